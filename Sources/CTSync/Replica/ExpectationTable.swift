// SPDX-License-Identifier: GPL-2.0-or-later

/// The master's expectations, as the replica table holds its entries, with the same rules: the live
/// stream beats an initsync's copies, an initsync's end removes what it has not confirmed.
///
/// As many as the kernel's default nf_conntrack_expect_max, in memory taken once. They are few and
/// short-lived: a key is found by looking through all hashes, 4 ns for a hundred, a microsecond or
/// two when the table is full.
package final class ExpectationTable {
    /// The most that are held.
    static let capacity = 4_096

    /// How many of the master are held.
    private(set) var aliveCount = 0
    /// How many wait for their parent.
    private(set) var waitingCount = 0
    /// How many the kernel has refused for good.
    private(set) var refusedCount = 0
    /// Updates for which there was no place.
    private(set) var fullCount: UInt64 = 0
    /// Whether the kernel lacks anything of it.
    private(set) var isDirty = false

    let held: UnsafeMutablePointer<HeldExpectation>
    /// Places from here on are free.
    private(set) var highWater = 0
    private let hashes: UnsafeMutablePointer<UInt32>
    private let heldMemory: MappedMemory
    private let hashMemory: MappedMemory
    private let hash: TupleHash
    private var generation: UInt16 = 1
    private var isInitsyncRunning = false

    /// Reserves the memory of a table.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(seed: UInt64) throws(SystemError) {
        hash = TupleHash(seed: seed)
        heldMemory = try MappedMemory(
            byteCount: Self.capacity * MemoryLayout<HeldExpectation>.stride)
        hashMemory = try MappedMemory(byteCount: Self.capacity * MemoryLayout<UInt32>.stride)
        held = heldMemory.base.bindMemory(to: HeldExpectation.self, capacity: Self.capacity)
        hashes = hashMemory.base.bindMemory(to: UInt32.self, capacity: Self.capacity)
    }

    // MARK: Messages

    /// Takes what the master said of an expectation.
    ///
    /// - Parameter isCopy: an initsync read it from the table.
    /// - Returns: false where there is no place for it.
    @discardableResult
    func update(_ expectation: Expectation, isCopy: Bool, now: UInt32) -> Bool {
        guard let place = find(expectation) else {
            return insert(expectation, [.used, .alive, .dirty], isLive: !isCopy, now: now)
        }
        let slot = held + place
        let liveHasSpoken =
            slot.pointee.generation == generation && slot.pointee.flags.contains(.live)
        if isCopy, isInitsyncRunning, liveHasSpoken { return true }
        touch(slot, isLive: !isCopy)
        let isSame = slot.pointee.expectation.isSame(as: expectation)
        let wasAlive = slot.pointee.flags.contains(.alive)
        slot.pointee.expectation = expectation
        slot.pointee.saidAtSeconds = now
        // One that waited in vain is tried again: its parent may have come since.
        guard !wasAlive || !isSame || slot.pointee.flags.contains(.refused) else { return true }
        if !wasAlive { aliveCount += 1 }
        settle(slot, to: [])
        slot.pointee.flags.formUnion([.alive, .dirty])
        if slot.pointee.flags.contains(.inKernel) { slot.pointee.flags.insert(.recreate) }
        isDirty = true
        return true
    }

    /// Takes that an expectation is gone: come true, timed out or removed.
    func delete(_ expectation: Expectation, now: UInt32) {
        guard let place = find(expectation) else {
            if isInitsyncRunning { insert(expectation, [.used], isLive: true, now: now) }
            return
        }
        touch(held + place, isLive: true)
        kill(place)
    }

    /// Takes over one that the slave's kernel has already, unconfirmed.
    func adopt(_ expectation: Expectation, now: UInt32) {
        guard find(expectation) == nil else { return }
        let flags: HeldExpectation.Flags = [.used, .alive, .inKernel]
        guard insert(expectation, flags, isLive: false, now: now) else { return }
        // Whatever time it has left, it is held from now on.
        for place in 0..<highWater where held[place].expectation == expectation {
            held[place].generation = generation &- 1
            held[place].flags.insert(.dirty)
            isDirty = true
        }
    }

    /// Marks all dead, as if the master had removed them.
    func killAll() {
        for place in 0..<highWater where held[place].flags.contains(.used) { kill(place) }
    }

    /// Forgets everything; the kernel's expectations stay as they are.
    func removeAll() {
        for place in 0..<highWater { held[place].flags = [] }
        highWater = 0
        aliveCount = 0
        waitingCount = 0
        refusedCount = 0
        isDirty = false
        isInitsyncRunning = false
    }

    // MARK: Initsync

    /// From here on copies confirm.
    func beginInitsync() {
        generation &+= 1
        isInitsyncRunning = true
    }

    /// Ends an initsync; a complete one removes what it has not confirmed.
    func endInitsync(isComplete: Bool) {
        isInitsyncRunning = false
        for place in 0..<highWater where held[place].flags.contains(.used) {
            let slot = held + place
            if slot.pointee.flags.contains(.alive) {
                if isComplete, slot.pointee.generation != generation { kill(place) }
            } else {
                release(place)
            }
        }
    }

    // MARK: Pieces, for the injection as well

    /// Marks those dirty whose long timeout is to be renewed.
    func renew(now: UInt32) {
        let wanted: HeldExpectation.Flags = [.alive, .inKernel]
        for place in 0..<highWater where held[place].flags.isSuperset(of: wanted) {
            guard now &- held[place].heldAtSeconds > ReplicaTable.renewSeconds else { continue }
            held[place].flags.insert(.dirty)
            isDirty = true
        }
    }

    /// Takes a replica out of the waiting and refused ones, or puts it among them.
    func settle(
        _ slot: UnsafeMutablePointer<HeldExpectation>, to state: HeldExpectation.Flags
    ) {
        let before = slot.pointee.flags
        slot.pointee.flags.subtract([.waiting, .refused])
        slot.pointee.flags.formUnion(state)
        waitingCount += (state.contains(.waiting) ? 1 : 0) - (before.contains(.waiting) ? 1 : 0)
        refusedCount += (state.contains(.refused) ? 1 : 0) - (before.contains(.refused) ? 1 : 0)
        if !state.contains(.waiting) { slot.pointee.retryUntil = 0 }
    }

    /// Takes note that the slave's kernel is told to remove a parent: it removes that one's
    /// expectations as well.
    ///
    /// - Parameter isRecreated: the entry comes again at once, and they are to follow.
    func lostParent(_ key: Key, isRecreated: Bool) {
        for place in 0..<highWater where held[place].flags.contains(.inKernel) {
            let expectation = held[place].expectation
            guard expectation.parent == key.tuple, expectation.key.zone == key.zone else {
                continue
            }
            held[place].flags.remove(.inKernel)
            if isRecreated {
                held[place].flags.insert(.dirty)
                isDirty = true
            } else if !held[place].flags.contains(.alive) {
                held[place].flags.remove(.dirty)
                release(place)
            }
        }
    }

    /// The kernel is to be told something.
    func becameDirty() {
        isDirty = true
    }

    /// All has been handed to the kernel.
    func becameClean() {
        isDirty = false
    }

    /// Frees a dead one's place, unless it is to stay for the running initsync.
    func release(_ place: Int) {
        let flags = held[place].flags
        guard flags.contains(.used), flags.isDisjoint(with: [.alive, .inKernel, .dirty]) else {
            return
        }
        if isInitsyncRunning, held[place].generation == generation { return }
        held[place].flags = []
        while highWater > 0, held[highWater - 1].flags.isEmpty { highWater -= 1 }
    }

    private func touch(_ slot: UnsafeMutablePointer<HeldExpectation>, isLive: Bool) {
        slot.pointee.generation = generation
        if isLive {
            slot.pointee.flags.insert(.live)
        } else {
            slot.pointee.flags.remove(.live)
        }
    }

    private func kill(_ place: Int) {
        let slot = held + place
        guard slot.pointee.flags.contains(.alive) else { return }
        settle(slot, to: [])
        slot.pointee.flags.subtract([.alive, .dirty])
        aliveCount -= 1
        if slot.pointee.flags.contains(.inKernel) {
            slot.pointee.flags.insert(.dirty)
            isDirty = true
        } else {
            release(place)
        }
    }

    @discardableResult
    private func insert(
        _ expectation: Expectation, _ flags: HeldExpectation.Flags, isLive: Bool, now: UInt32
    ) -> Bool {
        var place = 0
        while place < highWater, held[place].flags.contains(.used) { place += 1 }
        guard place < Self.capacity else {
            if flags.contains(.alive) { fullCount += 1 }
            return false
        }
        highWater = max(highWater, place + 1)
        hashes[place] = hash(expectation.key)
        held[place] = HeldExpectation(
            expectation: expectation, flags: isLive ? flags.union(.live) : flags,
            generation: generation, saidAtSeconds: now, heldAtSeconds: now, retryAt: 0,
            retryUntil: 0)
        if flags.contains(.alive) { aliveCount += 1 }
        if flags.contains(.dirty) { isDirty = true }
        return true
    }

    private func find(_ expectation: Expectation) -> Int? {
        let code = hash(expectation.key)
        for place in 0..<highWater where hashes[place] == code {
            let slot = held + place
            if slot.pointee.flags.contains(.used),
                slot.pointee.expectation.key == expectation.key,
                slot.pointee.expectation.mask == expectation.mask
            {
                return place
            }
        }
        return nil
    }
}
