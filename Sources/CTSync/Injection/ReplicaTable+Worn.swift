// SPDX-License-Identifier: GPL-2.0-or-later

/// TCP entries that packets have passed, on a node that was master a moment ago. Their windows are of
/// that time: after the next promotion each direction would acknowledge what this kernel has not seen,
/// and all packets would be invalid for ever.
extension ReplicaTable {
    /// Has one made again that packets have passed since it was made. From here on its windows are those
    /// of the next packets.
    ///
    /// - Parameter entry: from a dump.
    func remakeIfWorn(_ entry: borrowing Entry) {
        guard let place = book.alivePlace(entry.key), kernel[place].state == .held else { return }
        kernel[place].marks.remove(.outOfStep)
        guard entry.isAcknowledged else { return }
        move(place, .becameAnother)
    }

    /// The windows of the one in this place were seen to mislead.
    func setOutOfStep(_ place: UInt32) { kernel[place].marks.insert(.outOfStep) }
}
