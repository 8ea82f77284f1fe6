// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What a slave holds of the master's table, and what of it the slave's kernel does not have yet.
///
/// 1. Messages change replicas: `update` merges, `delete` marks dead. A replica that now differs
///    from the kernel's entry becomes dirty, once, however often it changes.
/// 2. The injector walks the dirty ones, all deletions first, and reports what the kernel refused.
/// 3. An initsync (`beginInitsync` to `endInitsync`) confirms replicas; its end marks dead what it
///    has not confirmed. What the live stream says meanwhile beats the initsync's copies, so a
///    deletion leaves a replica dead but in place until the end.
///
/// One thread owns it at a time: the receiver while slave, the timer start after a promotion. When
/// all places are in use an update answers `.full` and nothing changes.
package final class ReplicaTable {
    /// What an update came to.
    package enum Outcome: Sendable {
        /// It is merged.
        case applied
        /// It is merged, but the connection was unknown and too little is known of it.
        case insufficient
        /// There is no place for it.
        case full
    }

    /// Seconds a replica's kernel entry is given: a day, and a bit that no timeout of the kernel
    /// has, so that an untouched replica can be told from a connection of the slave's own.
    package static let holdSeconds: UInt32 = 86_400 + 397
    /// A replica that was given its time longer ago is given it again.
    static let renewSeconds: UInt32 = 43_200

    /// How many connections of the master are held.
    var aliveCount = 0
    /// How many of them lack what a kernel entry needs.
    var insufficientCount = 0
    /// How many the kernel has refused for good.
    var refusedCount = 0
    /// Whether an initsync is running.
    var isInitsyncRunning = false
    /// While a master takes a table over: what its kernel has already is newer and stays.
    var isCreateOnly = false
    /// Whether an entry of the kernel found no place: nobody would remove it.
    var isAdoptionPartial = false

    /// Entries that wait for their parent, and what became of those that did.
    var waiting: ParentWait
    /// Entries made without it: they are made anew where it comes after all.
    var orphans: ParentWait
    /// The expectations of the master: they come and go with its entries.
    package let expectations: ExpectationTable
    /// The helpers that this node lacks.
    var missingHelpers = MissingHelpers()
    /// Changes of labels that no rule here has a use for.
    var labelsIgnored: UInt64 = 0

    var pool: ReplicaPool
    var generation: UInt16 = 1
    private let dirtyMemory: MappedMemory
    let dirtyPlaces: UnsafeMutablePointer<UInt32>
    var dirtyCount = 0
    /// Dead replicas whose deletion has been handed out.
    let deadPlaces: UnsafeMutablePointer<UInt32>
    var deadCount = 0
    var renewalCursor = 0
    /// The least replicas looked at for renewal while some are refused.
    static let refusedBudget = 1 << 16

    /// Reserves the memory of a table.
    ///
    /// - Parameters:
    ///   - capacity: the most connections.
    ///   - seed: of the hash; a random number outside tests.
    /// - Throws: `SystemError` of mmap(2).
    package init(capacity: Int, seed: UInt64) throws(SystemError) {
        pool = try ReplicaPool(capacity: capacity, seed: seed)
        // Refusals make replicas dirty again while the dirty ones are handed out: each once more.
        let places = 2 * capacity + capacity
        dirtyMemory = try MappedMemory(byteCount: places * MemoryLayout<UInt32>.stride)
        dirtyPlaces = dirtyMemory.base.bindMemory(to: UInt32.self, capacity: places)
        deadPlaces = dirtyPlaces + 2 * capacity
        waiting = try ParentWait()
        orphans = try ParentWait()
        expectations = try ExpectationTable(seed: seed)
    }

    /// The most connections it holds.
    var capacity: Int { pool.capacity }

    /// Whether the kernel lacks anything of it.
    var isDirty: Bool { dirtyCount > 0 }

    // MARK: Messages

    /// Merges what the master said of a connection.
    ///
    /// - Parameters:
    ///   - entry: the message's entry.
    ///   - isNew: it says all there is of a connection just made.
    ///   - isCopy: an initsync read it from the table; then too it says all there is.
    ///   - now: seconds of the slave's clock.
    package func update(_ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32) -> Outcome {
        let place = pool.find(entry.key)
        guard place != ReplicaPool.noPlace else {
            return insert(entry, isNew: isNew, isCopy: isCopy, now: now)
        }
        let replica = pool.replicas + Int(place)
        let liveHasSpoken =
            replica.pointee.generation == generation && replica.pointee.flags.contains(.live)
        if isCopy, isInitsyncRunning, liveHasSpoken {
            guard replica.pointee.flags.contains(.alive) else { return .applied }
            complete(place, entry, now: now)
            return settleSufficiency(place)
        }
        touch(replica, isLive: !isCopy)
        if isNew, replica.pointee.flags.contains(.orphan) {
            replica.pointee.flags.remove(.orphan)
            orphans.remove(place)
        }
        if !isCopy { replica.pointee.spoken.formUnion(isNew ? Replica.everything : entry.fields) }
        if replica.pointee.flags.contains(.alive) {
            merge(place, entry, isWhole: isNew || isCopy)
        } else {
            revive(place, entry)
        }
        takeTimeout(place, entry, now: now)
        if replica.pointee.flags.contains(.adopted) {
            replica.pointee.flags.remove(.adopted)
            markDirty(place)
        }
        if replica.pointee.flags.contains(.inKernel),
            now &- replica.pointee.heldAtSeconds > Self.renewSeconds
        {
            markDirty(place)
        }
        return settleSufficiency(place)
    }

    /// Marks a connection dead.
    ///
    /// - Returns: `.full` where an initsync is running and there is no place to remember it by.
    @discardableResult
    package func delete(_ key: Key, now: UInt32) -> Outcome {
        let place = pool.find(key)
        guard place != ReplicaPool.noPlace else {
            return isInitsyncRunning ? insertDead(key, now: now) : .applied
        }
        touch(pool.replicas + Int(place), isLive: true)
        kill(place)
        return .applied
    }

    /// Takes over an entry that the slave's kernel has already, unconfirmed: the next initsync
    /// keeps or removes it. What the stream has said of it meanwhile stands, and the kernel follows.
    ///
    /// - Parameters:
    ///   - entry: from a dump; its timeout is the kernel's.
    ///   - isTouched: whether packets have passed since the entry was made.
    func adopt(_ entry: Entry, isTouched: Bool = true, now: UInt32) -> Outcome {
        let known = pool.find(entry.key)
        guard known == ReplicaPool.noPlace else {
            reconcile(known, entry, isTouched: isTouched)
            return .applied
        }
        var replica = Replica(entry, now: now)
        replica.flags = [.alive, .inKernel, .adopted, .unconfirmed]
        replica.generation = generation &- 1
        let age = Self.holdSeconds - min(Self.holdSeconds, entry.timeoutSeconds)
        replica.heldAtSeconds = now &- age
        guard let place = pool.insert(replica) else {
            isAdoptionPartial = true
            return .full
        }
        storeExtras(place, entry)
        aliveCount += 1
        if isTouched { renewWindows(place) }
        return .applied
    }

    /// Forgets everything, dirty or not; the kernel's entries stay as they are.
    func removeAll() {
        for place in 0..<UInt32(pool.highWater) where isUsed(place) {
            pool.remove(place)
        }
        dirtyCount = 0
        deadCount = 0
        aliveCount = 0
        insufficientCount = 0
        refusedCount = 0
        isInitsyncRunning = false
        isAdoptionPartial = false
        renewalCursor = 0
        waiting.removeAll()
        orphans.removeAll()
        expectations.removeAll()
    }

    /// Marks everything dead, so that the kernel's entries of it go with the next batches.
    ///
    /// - Returns: how many were alive.
    func killAll() -> Int {
        let count = aliveCount
        for place in 0..<UInt32(pool.highWater) where isUsed(place) { kill(place) }
        expectations.killAll()
        return count
    }

    // MARK: Initsync

    /// From here on copies confirm replicas; one that was running is forgotten.
    func beginInitsync() {
        generation &+= 1
        isInitsyncRunning = true
        expectations.beginInitsync()
    }

    /// Ends an initsync.
    ///
    /// - Parameter isComplete: whether every packet of it arrived; only then are unconfirmed
    ///   replicas marked dead.
    /// - Returns: how many were.
    @discardableResult
    func endInitsync(isComplete: Bool) -> Int {
        isInitsyncRunning = false
        expectations.endInitsync(isComplete: isComplete)
        var removed = 0
        for place in 0..<UInt32(pool.highWater) where isUsed(place) {
            let replica = pool.replicas[Int(place)]
            if replica.flags.contains(.alive) {
                if isComplete, replica.generation != generation {
                    kill(place)
                    removed += 1
                } else if !replica.flags.isDisjoint(with: [.refused, .waiting]) {
                    tryAgain(place, isComplete: isComplete)
                }
            } else if replica.flags.isDisjoint(with: [.inKernel, .dirty]) {
                pool.remove(place)
            }
        }
        return removed
    }

    /// The reply tuple of a replica; nil where there is none.
    func reply(_ key: Key) -> Tuple? {
        let place = pool.find(key)
        return place == ReplicaPool.noPlace ? nil : pool.replicas[Int(place)].reply
    }

    /// How a replica is beside what another node has of its connection.
    enum Comparison {
        /// There is none, or this kernel has none of it.
        case lacking
        /// Nothing that could be handed on differs.
        case same
        case different
    }

    /// Compares what is held of a connection with what another node has.
    func comparison(with other: Entry) -> Comparison {
        let place = pool.find(other.key)
        guard place != ReplicaPool.noPlace,
            pool.replicas[Int(place)].flags.isSuperset(of: [.alive, .inKernel])
        else { return .lacking }
        return Self.differs(entry(at: place), other) ? .different : .same
    }

    /// Calls `body` with each replica that the master has, in no order.
    func forEachAlive(_ body: (UInt32, Replica) -> Void) {
        for place in 0..<UInt32(pool.highWater) {
            let replica = pool.replicas[Int(place)]
            if replica.flags.contains(.alive) { body(place, replica) }
        }
    }

    /// How many replicas have their addresses translated; looks at all of them.
    func translatedCount() -> Int {
        var count = 0
        forEachAlive { _, replica in if replica.isTranslated { count += 1 } }
        return count
    }

    // MARK: Pieces

    func isUsed(_ place: UInt32) -> Bool {
        pool.replicas[Int(place)].flags != []
    }

    func markDirty(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        if replica.pointee.flags.contains(.refused) {
            replica.pointee.flags.remove(.refused)
            replica.pointee.attempts = 0
            refusedCount -= 1
        }
        guard !replica.pointee.flags.contains(.dirty) else { return }
        replica.pointee.flags.insert(.dirty)
        dirtyPlaces[dirtyCount] = place
        dirtyCount += 1
    }

    private func touch(_ replica: UnsafeMutablePointer<Replica>, isLive: Bool) {
        if replica.pointee.generation != generation { replica.pointee.spoken = [] }
        replica.pointee.generation = generation
        replica.pointee.attempts = 0
        replica.pointee.flags.remove(.unconfirmed)
        if isLive {
            replica.pointee.flags.insert(.live)
        } else {
            replica.pointee.flags.remove(.live)
        }
    }

    private func insert(_ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32) -> Outcome {
        var replica = Replica(entry, now: now)
        replica.flags = isCopy ? [.alive] : [.alive, .live]
        if !isCopy { replica.spoken = isNew ? Replica.everything : entry.fields }
        replica.generation = generation
        guard let place = pool.insert(replica) else { return .full }
        storeExtras(place, entry)
        aliveCount += 1
        if entry.isSufficient { markDirty(place) }
        return settleSufficiency(place)
    }

    private func insertDead(_ key: Key, now: UInt32) -> Outcome {
        var replica = Replica(Entry(key), now: now)
        replica.flags = [.live]
        replica.generation = generation
        return pool.insert(replica) != nil ? .applied : .full
    }

    private func kill(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        guard replica.pointee.flags.contains(.alive) else { return }
        if replica.pointee.flags.contains(.waiting) { waiting.remove(place) }
        if replica.pointee.flags.contains(.orphan) { orphans.remove(place) }
        replica.pointee.flags.subtract([.alive, .waiting, .orphan, .helperless])
        replica.pointee.spoken = []
        aliveCount -= 1
        if replica.pointee.flags.contains(.insufficient) {
            replica.pointee.flags.remove(.insufficient)
            insufficientCount -= 1
        }
        if replica.pointee.flags.contains(.refused) {
            replica.pointee.flags.remove(.refused)
            refusedCount -= 1
        }
        if replica.pointee.flags.contains(.inKernel) {
            markDirty(place)
        } else if !replica.pointee.flags.contains(.dirty), !isInitsyncRunning {
            pool.remove(place)
        }
    }
}
