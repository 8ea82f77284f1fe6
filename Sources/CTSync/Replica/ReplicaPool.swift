// SPDX-License-Identifier: GPL-2.0-or-later

/// The memory of the replica table: places for replicas, an open-addressing index over them, and
/// places for what few of them have besides. All of it is reserved at start and backed by the
/// kernel when first used, low places first.
///
/// An index cell holds a replica's hash in the high half and its place plus one in the low half;
/// zero is free. Linear probing; a removal shifts the cells behind it back, so there are no
/// tombstone cells.
package struct ReplicaPool: ~Copyable {
    static let noPlace = UInt32.max

    let capacity: Int
    let replicas: UnsafeMutablePointer<Replica>
    let extras: UnsafeMutablePointer<Extras>
    /// Places from here on have never been used.
    private(set) var highWater = 0
    /// Places in use.
    private(set) var count = 0

    private let hash: TupleHash
    private let cells: UnsafeMutablePointer<UInt64>
    private let cellMask: Int
    private let replicaMemory: MappedMemory
    private let extrasMemory: MappedMemory
    private let cellMemory: MappedMemory
    private var freeReplica = noPlace
    private var freeExtras = noPlace
    private var extrasHighWater: UInt32 = 0

    init(capacity: Int, seed: UInt64) throws(SystemError) {
        precondition(capacity > 0 && capacity < 1 << 29)
        self.capacity = capacity
        var cellCount = 8
        while cellCount * 2 < capacity * 3 { cellCount *= 2 }
        let replicaPages = try MappedMemory(byteCount: capacity * MemoryLayout<Replica>.stride)
        let extrasPages = try MappedMemory(byteCount: capacity * MemoryLayout<Extras>.stride)
        let cellPages = try MappedMemory(byteCount: cellCount * MemoryLayout<UInt64>.stride)
        replicas = replicaPages.base.bindMemory(to: Replica.self, capacity: capacity)
        extras = extrasPages.base.bindMemory(to: Extras.self, capacity: capacity)
        cells = cellPages.base.bindMemory(to: UInt64.self, capacity: cellCount)
        cellMask = cellCount - 1
        hash = TupleHash(seed: seed)
        replicaMemory = replicaPages
        extrasMemory = extrasPages
        cellMemory = cellPages
    }

    /// The place of a key, or `noPlace`.
    @inline(__always)
    func find(_ key: Key) -> UInt32 {
        let code = hash(key)
        var cell = Int(code) & cellMask
        while cells[cell] != 0 {
            let place = UInt32(truncatingIfNeeded: cells[cell]) &- 1
            if UInt32(cells[cell] >> 32) == code, replicas[Int(place)].key == key { return place }
            cell = (cell + 1) & cellMask
        }
        return Self.noPlace
    }

    /// Puts a replica of a key that is not there; nil where all places are in use.
    mutating func insert(_ replica: Replica) -> UInt32? {
        guard count < capacity else { return nil }
        let place: UInt32
        if freeReplica != Self.noPlace {
            place = freeReplica
            freeReplica = replicas[Int(place)].link
        } else {
            place = UInt32(highWater)
            highWater += 1
        }
        count += 1
        replicas[Int(place)] = replica
        let code = hash(replica.key)
        var cell = Int(code) & cellMask
        while cells[cell] != 0 { cell = (cell + 1) & cellMask }
        cells[cell] = UInt64(code) << 32 | UInt64(place + 1)
        return place
    }

    /// Frees a place and its extras.
    mutating func remove(_ place: UInt32) {
        removeCell(of: place)
        dropExtras(place)
        replicas[Int(place)].flags = []
        replicas[Int(place)].link = freeReplica
        freeReplica = place
        count -= 1
    }

    private func removeCell(of place: UInt32) {
        var hole = Int(hash(replicas[Int(place)].key)) & cellMask
        while UInt32(truncatingIfNeeded: cells[hole]) != place + 1 { hole = (hole + 1) & cellMask }
        var cell = hole
        while true {
            cell = (cell + 1) & cellMask
            guard cells[cell] != 0 else { break }
            let home = Int(cells[cell] >> 32) & cellMask
            // A cell may fill the hole unless its home lies behind the hole.
            if (cell - home) & cellMask >= (cell - hole) & cellMask {
                cells[hole] = cells[cell]
                hole = cell
            }
        }
        cells[hole] = 0
    }

    /// Stores a replica's extras, in the place it has for them or a new one.
    mutating func setExtras(_ place: UInt32, _ value: Extras) {
        var link = replicas[Int(place)].link
        if link == Self.noPlace {
            if freeExtras != Self.noPlace {
                link = freeExtras
                freeExtras = extras[Int(link)].labelsLowAsLink
            } else {
                link = extrasHighWater
                extrasHighWater += 1
            }
            replicas[Int(place)].link = link
        }
        extras[Int(link)] = value
    }

    /// Frees a replica's extras, if it has any.
    mutating func dropExtras(_ place: UInt32) {
        let link = replicas[Int(place)].link
        guard link != Self.noPlace else { return }
        extras[Int(link)].labelsLowAsLink = freeExtras
        freeExtras = link
        replicas[Int(place)].link = Self.noPlace
    }
}

extension Extras {
    /// A free place's labels hold the number of the next free place.
    fileprivate var labelsLowAsLink: UInt32 {
        get { UInt32(truncatingIfNeeded: labelsLow) }
        set { labelsLow = UInt64(newValue) }
    }
}
