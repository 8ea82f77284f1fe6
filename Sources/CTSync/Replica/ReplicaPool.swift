// SPDX-License-Identifier: GPL-2.0-or-later

/// The memory of the replica table: places for replicas, an open-addressing index over them, and
/// places for what few of them have besides. All of it is reserved at start and backed by the
/// kernel when first used, low places first.
///
/// An index cell of 32 bits holds a replica's place plus one, in as many bits as the capacity takes, and
/// above it what there is room for of the high bits of its hash; zero is free. Linear probing; a removal
/// shifts the cells behind it back, so there are no tombstone cells.
struct ReplicaPool: ~Copyable {
    static let noPlace = UInt32.max

    let capacity: Int
    let replicas: UnsafeMutablePointer<Replica>
    /// A replica's place among the rare parts, or `noPlace`; of a free place, the next free one.
    private let links: UnsafeMutablePointer<UInt32>
    private let rarities: UnsafeMutablePointer<Rarity>
    /// Places from here on have never been used.
    private(set) var highWater = 0
    /// Places in use.
    private(set) var count = 0

    private let hash: TupleHash
    private let cells: UnsafeMutablePointer<UInt32>
    private let cellMask: Int
    /// The bits of a cell that have the place plus one.
    private let placeMask: UInt32
    private let replicaMemory: MappedMemory
    private let linkMemory: MappedMemory
    private let rarityMemory: MappedMemory
    private let cellMemory: MappedMemory
    private var freeReplica = noPlace
    private var freeRarity = noPlace
    private var rarityHighWater: UInt32 = 0

    /// What few replicas have: 160 bytes.
    private struct Rarity: BitwiseCopyable {
        var extras = Extras()
        /// The reply tuple if it is a translated one of IPv6; else `Tuple.none`.
        var reply = Tuple.none
        /// Of a free place: the next free one.
        var next = noPlace
    }

    init(capacity: Int, seed: UInt64) throws(SystemError) {
        precondition(capacity > 0 && capacity < 1 << 29)
        self.capacity = capacity
        var cellCount = 8
        while cellCount * 2 < capacity * 3 { cellCount *= 2 }
        let replicaPages = try MappedMemory(byteCount: capacity * MemoryLayout<Replica>.stride)
        let linkPages = try MappedMemory(byteCount: capacity * MemoryLayout<UInt32>.stride)
        let rarityPages = try MappedMemory(byteCount: capacity * MemoryLayout<Rarity>.stride)
        let cellPages = try MappedMemory(
            byteCount: cellCount * MemoryLayout<UInt32>.stride, inHugePages: true)
        replicas = replicaPages.base.bindMemory(to: Replica.self, capacity: capacity)
        links = linkPages.base.bindMemory(to: UInt32.self, capacity: capacity)
        rarities = rarityPages.base.bindMemory(to: Rarity.self, capacity: capacity)
        cells = cellPages.base.bindMemory(to: UInt32.self, capacity: cellCount)
        cellMask = cellCount - 1
        placeMask = .max >> UInt32(capacity).leadingZeroBitCount
        hash = TupleHash(seed: seed)
        replicaMemory = replicaPages
        linkMemory = linkPages
        rarityMemory = rarityPages
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
            let place = (cells[cell] & placeMask) &- 1
            if (cells[cell] ^ code) & ~placeMask == 0, replicas[Int(place)].key == key {
                return place
            }
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
        cells[cell] = code & ~placeMask | (place + 1)
        return place
    }

    /// Frees a place and all that belongs to it.
    mutating func remove(_ place: UInt32) {
        removeCell(of: place)
        dropRarity(place)
        replicas[Int(place)].standing = .free
        links[Int(place)] = freeReplica
        freeReplica = place
        count -= 1
    }

    private func removeCell(of place: UInt32) {
        var hole = Int(hash(replicas[Int(place)].key)) & cellMask
        while cells[hole] & placeMask != place + 1 { hole = (hole + 1) & cellMask }
        var cell = hole
        while true {
            cell = (cell + 1) & cellMask
            guard cells[cell] != 0 else { break }
            let neighbour = Int((cells[cell] & placeMask) &- 1)
            let home = Int(hash(replicas[neighbour].key)) & cellMask
            // A cell may fill the hole unless its home lies behind the hole.
            if (cell - home) & cellMask >= (cell - hole) & cellMask {
                cells[hole] = cells[cell]
                hole = cell
            }
        }
        cells[hole] = 0
    }

    // MARK: Reply tuples and extras

    /// A replica's reply tuple.
    @inline(__always)
    func reply(_ place: UInt32) -> Tuple {
        let replica = replicas + Int(place)
        let original = replica.pointee.key.tuple
        if original.family == .ipv4 { return replica.pointee.shortReply.tuple(for: original) }
        let link = links[Int(place)]
        guard link != Self.noPlace, rarities[Int(link)].reply.family == .ipv6 else {
            return original.inverse
        }
        return rarities[Int(link)].reply
    }

    /// Whether the replies are not the plain inversion: address translation.
    func isTranslated(_ place: UInt32) -> Bool {
        !reply(place).isInverse(of: replicas[Int(place)].key.tuple)
    }

    /// Stores a replica's reply tuple.
    @inline(__always)
    mutating func setReply(_ place: UInt32, _ reply: Tuple) {
        let original = replicas[Int(place)].key.tuple
        if original.family == .ipv4 {
            replicas[Int(place)].shortReply = ShortReply(reply)
        } else if !reply.isInverse(of: original) {
            rarities[Int(rarity(of: place))].reply = reply
        } else if links[Int(place)] != Self.noPlace {
            rarities[Int(links[Int(place)])].reply = .none
        }
    }

    /// A replica's extras; nil if it has none.
    func extras(_ place: UInt32) -> Extras? {
        let link = links[Int(place)]
        return link == Self.noPlace ? nil : rarities[Int(link)].extras
    }

    /// Stores a replica's extras.
    mutating func setExtras(_ place: UInt32, _ value: Extras) {
        rarities[Int(rarity(of: place))].extras = value
    }

    /// The place of what a replica has beside what all have: its own, or a new and empty one.
    private mutating func rarity(of place: UInt32) -> UInt32 {
        var link = links[Int(place)]
        guard link == Self.noPlace else { return link }
        if freeRarity != Self.noPlace {
            link = freeRarity
            freeRarity = rarities[Int(link)].next
        } else {
            link = rarityHighWater
            rarityHighWater += 1
        }
        rarities[Int(link)] = Rarity()
        links[Int(place)] = link
        return link
    }

    /// Frees what a replica has beside what all have; its reply tuple is to be stored again.
    mutating func dropRarity(_ place: UInt32) {
        let link = links[Int(place)]
        guard link != Self.noPlace else { return }
        rarities[Int(link)].next = freeRarity
        freeRarity = link
        links[Int(place)] = Self.noPlace
    }

    /// Calls `fault` with what is not as it must be.
    func assertValid(_ fault: (String) -> Void) {
        var used = 0
        var rare = 0
        for place in 0..<UInt32(highWater) where replicas[Int(place)].standing != .free {
            used += 1
            if links[Int(place)] != Self.noPlace { rare += 1 }
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
        var link = freeRarity
        while link != Self.noPlace, rare < Int(rarityHighWater) {
            rare += 1
            link = rarities[Int(link)].next
        }
        if rare != Int(rarityHighWater) || link != Self.noPlace {
            fault("rare parts are lost, or in use twice")
        }
    }
}
