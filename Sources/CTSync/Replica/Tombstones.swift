// SPDX-License-Identifier: GPL-2.0-or-later

/// The connections that have ended while an initsync runs, by a fingerprint of 64 bits each.
///
/// Two keys have one fingerprint with a probability of 2^-64, and the seed of the hash is secret, so
/// nobody can choose such a pair. Linear probing; none is taken out but all at once. Its memory is
/// given back to the kernel when it is emptied.
struct Tombstones: ~Copyable {
    /// The most that it holds.
    let limit: Int
    private(set) var count = 0

    private let memory: MappedMemory
    private let cells: UnsafeMutablePointer<UInt64>
    private let cellMask: Int

    init(limit: Int) throws(SystemError) {
        precondition(limit >= 0 && limit < 1 << 29)
        self.limit = limit
        var cellCount = 8
        while cellCount * 3 < limit * 4 { cellCount *= 2 }
        memory = try MappedMemory(byteCount: cellCount * MemoryLayout<UInt64>.stride)
        cells = memory.base.bindMemory(to: UInt64.self, capacity: cellCount)
        cellMask = cellCount - 1
    }

    /// Adds one, unless it is there; false if there is no room for it.
    mutating func insert(_ fingerprint: UInt64) -> Bool {
        let cell = find(fingerprint)
        guard cells[cell] == 0 else { return true }
        guard count < limit else { return false }
        cells[cell] = Self.stored(fingerprint)
        count += 1
        return true
    }

    func contains(_ fingerprint: UInt64) -> Bool {
        count > 0 && cells[find(fingerprint)] != 0
    }

    mutating func removeAll() {
        guard count > 0 else { return }
        memory.discard()
        count = 0
    }

    /// The cell that has it, or the free one where it belongs.
    private func find(_ fingerprint: UInt64) -> Int {
        let stored = Self.stored(fingerprint)
        var cell = Int(truncatingIfNeeded: stored) & cellMask
        while cells[cell] != 0, cells[cell] != stored { cell = (cell + 1) & cellMask }
        return cell
    }

    /// Zero means a free cell.
    private static func stored(_ fingerprint: UInt64) -> UInt64 { max(fingerprint, 1) }
}
