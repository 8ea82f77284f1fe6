// SPDX-License-Identifier: GPL-2.0-or-later

/// The memory of the replica table: places for replicas, an open-addressing index over them, and
/// places for what few of them have besides. All of it is reserved at start and backed by the
/// kernel when first used, low places first.
///
/// An index cell holds a replica's hash in the high half and its place plus one in the low half;
/// zero is free. Linear probing; a removal shifts the cells behind it back, so there are no
/// tombstone cells.
struct ReplicaPool: ~Copyable {
    static let noPlace = UInt32.max

    let capacity: Int
    let replicas: UnsafeMutablePointer<Replica>
    /// A replica's place in the pool of extras, or `noPlace`; of a free place, the next free one.
    private let links: UnsafeMutablePointer<UInt32>
    private let extras: UnsafeMutablePointer<Extras>
    /// Places from here on have never been used.
    private(set) var highWater = 0
    /// Places in use.
    private(set) var count = 0

    private let hash: TupleHash
    private let cells: UnsafeMutablePointer<UInt64>
    private let cellMask: Int
    private let replicaMemory: MappedMemory
    private let linkMemory: MappedMemory
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
        let linkPages = try MappedMemory(byteCount: capacity * MemoryLayout<UInt32>.stride)
        let extrasPages = try MappedMemory(byteCount: capacity * MemoryLayout<Extras>.stride)
        let cellPages = try MappedMemory(byteCount: cellCount * MemoryLayout<UInt64>.stride)
        replicas = replicaPages.base.bindMemory(to: Replica.self, capacity: capacity)
        links = linkPages.base.bindMemory(to: UInt32.self, capacity: capacity)
        extras = extrasPages.base.bindMemory(to: Extras.self, capacity: capacity)
        cells = cellPages.base.bindMemory(to: UInt64.self, capacity: cellCount)
        cellMask = cellCount - 1
        hash = TupleHash(seed: seed)
        replicaMemory = replicaPages
        linkMemory = linkPages
        extrasMemory = extrasPages
        cellMemory = cellPages
    }

    /// The place of a key, or `noPlace`.
    @inline(__always)
    func find(_ key: Key) -> UInt32 { find(key, hash.wide(key)) }

    /// The same, by the key's fingerprint.
    @inline(__always)
    func find(_ key: Key, _ fingerprint: UInt64) -> UInt32 {
        let code = TupleHash.narrowed(fingerprint)
        var cell = Int(code) & cellMask
        while cells[cell] != 0 {
            let place = UInt32(truncatingIfNeeded: cells[cell]) &- 1
            if UInt32(cells[cell] >> 32) == code, replicas[Int(place)].key == key { return place }
            cell = (cell + 1) & cellMask
        }
        return Self.noPlace
    }

    /// A hash of a key in 64 bits, for a tombstone.
    func fingerprint(_ key: Key) -> UInt64 { hash.wide(key) }

    /// Puts a replica of a key that is not there; nil if all places are in use.
    mutating func insert(_ replica: Replica) -> UInt32? {
        guard count < capacity else { return nil }
        let place: UInt32
        if freeReplica != Self.noPlace {
            place = freeReplica
            freeReplica = links[Int(place)]
        } else {
            place = UInt32(highWater)
            highWater += 1
        }
        count += 1
        replicas[Int(place)] = replica
        links[Int(place)] = Self.noPlace
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
        replicas[Int(place)].standing = .free
        links[Int(place)] = freeReplica
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

    /// A replica's extras; nil if it has none.
    func extras(_ place: UInt32) -> Extras? {
        let link = links[Int(place)]
        return link == Self.noPlace ? nil : extras[Int(link)]
    }

    /// Stores a replica's extras, in the place it has for them or a new one.
    mutating func setExtras(_ place: UInt32, _ value: Extras) {
        var link = links[Int(place)]
        if link == Self.noPlace {
            if freeExtras != Self.noPlace {
                link = freeExtras
                freeExtras = extras[Int(link)].labelsLowAsLink
            } else {
                link = extrasHighWater
                extrasHighWater += 1
            }
            links[Int(place)] = link
        }
        extras[Int(link)] = value
    }

    /// Frees a replica's extras, if it has any.
    mutating func dropExtras(_ place: UInt32) {
        let link = links[Int(place)]
        guard link != Self.noPlace else { return }
        (extras + Int(link)).pointee.labelsLowAsLink = freeExtras
        freeExtras = link
        links[Int(place)] = Self.noPlace
    }

    /// Calls `fault` with what is not as it must be.
    func assertValid(_ fault: (String) -> Void) {
        var used = 0
        var withExtras = 0
        for place in 0..<UInt32(highWater) where replicas[Int(place)].standing != .free {
            used += 1
            if links[Int(place)] != Self.noPlace { withExtras += 1 }
            if find(replicas[Int(place)].key) != place { fault("place \(place) is not found") }
        }
        if used != count { fault("\(used) places in use, \(count) counted") }
        var cellCount = 0
        for cell in 0...cellMask where cells[cell] != 0 { cellCount += 1 }
        if cellCount != used { fault("\(cellCount) cells of \(used) places") }
        var free = freeReplica
        for _ in 0..<max(0, highWater - used) where free != Self.noPlace {
            guard Int(free) < highWater, replicas[Int(free)].standing == .free else {
                return fault("place \(free) is in the list of free ones")
            }
            free = links[Int(free)]
            used += 1
        }
        if used != highWater || free != Self.noPlace { fault("free places are lost") }
        var link = freeExtras
        while link != Self.noPlace, withExtras < Int(extrasHighWater) {
            withExtras += 1
            link = extras[Int(link)].labelsLowAsLink
        }
        if withExtras != Int(extrasHighWater) || link != Self.noPlace {
            fault("extras are lost, or in use twice")
        }
    }
}

extension Extras {
    /// A free place's labels hold the number of the next free place.
    fileprivate var labelsLowAsLink: UInt32 {
        get { UInt32(truncatingIfNeeded: labelsLow) }
        set { labelsLow = UInt64(newValue) }
    }
}
