// SPDX-License-Identifier: GPL-2.0-or-later

/// TCP entries that packets have passed, on a node that was master a moment ago. Their windows are of
/// that time: after the next promotion each direction would acknowledge what this kernel has not seen,
/// and all packets would be invalid for ever.
extension ReplicaTable {
    /// Has one made again that packets have passed since it was made.
    ///
    /// - Parameter entry: from a dump.
    func remakeIfWorn(_ entry: borrowing Entry) {
        guard entry.isAcknowledged else { return }
        guard let place = book.alivePlace(entry.key), kernel[place].state == .held else { return }
        move(place, .becameAnother)
    }
}
