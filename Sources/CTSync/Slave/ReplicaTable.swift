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
public final class ReplicaTable {
    /// What an update came to.
    public enum Outcome: Sendable {
        /// It is merged.
        case applied
        /// It is merged, but the connection was unknown and too little is known of it.
        case insufficient
        /// There is no place for it.
        case full
    }

    /// Seconds a replica's kernel entry is given: a day, and a bit that no timeout of the kernel
    /// has, so that an untouched replica can be told from a connection of the slave's own.
    public static let holdSeconds: UInt32 = 86_400 + 397
    /// A replica that was given its time longer ago is given it again.
    public static let renewSeconds: UInt32 = 43_200
    /// Replicas looked at in a renewal while some are refused, and the most that one marks.
    private static let refusedBudget = 65_536
    private static let renewalsAtOnce = 2_048

    /// How many connections of the master are held.
    public private(set) var aliveCount = 0
    /// How many of them lack what a kernel entry needs.
    public private(set) var insufficientCount = 0
    /// How many the kernel has refused for good.
    public private(set) var refusedCount = 0
    /// Whether an initsync is running.
    public private(set) var isInitsyncRunning = false
    /// Entries that wait for their master entry, and what became of those that did.
    var waiting: MasterWait
    /// The expectations of the master: they come and go with its entries.
    public let expectations: ExpectationTable
    /// The helpers that this node lacks.
    var missingHelpers = MissingHelpers()
    /// Changes of labels that no rule here has a use for.
    private(set) var labelsIgnored: UInt64 = 0

    var pool: ReplicaPool
    private var generation: UInt16 = 1
    private let dirtyMemory: MappedMemory
    private let dirtyPlaces: UnsafeMutablePointer<UInt32>
    private var dirtyCount = 0
    private var renewalCursor = 0

    /// Reserves the memory of a table.
    ///
    /// - Parameters:
    ///   - capacity: the most connections.
    ///   - seed: of the hash; a random number outside tests.
    /// - Throws: `SystemError` of mmap(2).
    public init(capacity: Int, seed: UInt64) throws(SystemError) {
        pool = try ReplicaPool(capacity: capacity, seed: seed)
        dirtyMemory = try MappedMemory(byteCount: capacity * MemoryLayout<UInt32>.stride)
        dirtyPlaces = dirtyMemory.base.bindMemory(to: UInt32.self, capacity: capacity)
        waiting = try MasterWait()
        expectations = try ExpectationTable(seed: seed)
    }

    /// The most connections it holds.
    public var capacity: Int { pool.capacity }

    /// Whether the kernel lacks anything of it.
    public var isDirty: Bool { dirtyCount > 0 }

    // MARK: Messages

    /// Merges what the master said of a connection.
    ///
    /// - Parameters:
    ///   - entry: the message's entry.
    ///   - isNew: it says all there is of a connection just made.
    ///   - isCopy: an initsync read it from the table; then too it says all there is.
    ///   - now: seconds of the slave's clock.
    public func update(_ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32) -> Outcome {
        let place = pool.find(entry.key)
        guard place != ReplicaPool.noPlace else {
            return insert(entry, isNew: isNew, isCopy: isCopy, now: now)
        }
        let replica = pool.replicas + Int(place)
        let liveHasSpoken =
            replica.pointee.generation == generation && replica.pointee.flags.contains(.live)
        if isCopy, isInitsyncRunning, liveHasSpoken {
            let isPartial = !replica.pointee.flags.contains(.whole)
            if isPartial, replica.pointee.flags.contains(.alive) { complete(place, entry) }
            return .applied
        }
        touch(replica, isLive: !isCopy)
        if isNew { replica.pointee.flags.insert(.whole) }
        if replica.pointee.flags.contains(.alive) {
            merge(place, entry, isWhole: isNew || isCopy)
        } else {
            revive(place, entry)
        }
        if entry.fields.contains(.timeout) {
            replica.pointee.timeoutSeconds = entry.timeoutSeconds
            replica.pointee.saidAtSeconds = now
        }
        if replica.pointee.flags.contains(.adopted) { renewWindows(place) }
        if replica.pointee.flags.contains(.inKernel),
            now &- replica.pointee.heldAtSeconds > Self.renewSeconds
        {
            markDirty(place)
        }
        return settleSufficiency(place)
    }

    /// Marks a connection dead.
    public func delete(_ key: Key, now: UInt32) {
        let place = pool.find(key)
        guard place != ReplicaPool.noPlace else {
            if isInitsyncRunning { insertDead(key, now: now) }
            return
        }
        touch(pool.replicas + Int(place), isLive: true)
        kill(place)
    }

    /// Takes over an entry that the slave's kernel has already, unconfirmed: the next initsync
    /// keeps or removes it.
    ///
    /// - Parameter entry: from a dump; its timeout is the kernel's.
    public func adopt(_ entry: Entry, now: UInt32) -> Outcome {
        guard pool.find(entry.key) == ReplicaPool.noPlace else { return .applied }
        var replica = Self.replica(of: entry, now: now)
        replica.flags = [.alive, .inKernel]
        if entry.key.tuple.protocolNumber == ProtocolNumber.tcp { replica.flags.insert(.adopted) }
        replica.generation = generation &- 1
        let age = Self.holdSeconds - min(Self.holdSeconds, entry.timeoutSeconds)
        replica.heldAtSeconds = now &- age
        guard let place = pool.insert(replica) else { return .full }
        storeExtras(place, entry)
        aliveCount += 1
        return .applied
    }

    /// Forgets everything, dirty or not; the kernel's entries stay as they are.
    public func removeAll() {
        for place in 0..<UInt32(pool.highWater) where isUsed(place) {
            pool.remove(place)
        }
        dirtyCount = 0
        aliveCount = 0
        insufficientCount = 0
        refusedCount = 0
        isInitsyncRunning = false
        renewalCursor = 0
        waiting.removeAll()
        expectations.removeAll()
    }

    // MARK: Initsync

    /// From here on copies confirm replicas; one that was running is forgotten.
    public func beginInitsync() {
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
    public func endInitsync(isComplete: Bool) -> Int {
        isInitsyncRunning = false
        expectations.endInitsync(isComplete: isComplete)
        var removed = 0
        for place in 0..<UInt32(pool.highWater) where isUsed(place) {
            let replica = pool.replicas[Int(place)]
            if replica.flags.contains(.alive) {
                guard isComplete, replica.generation != generation else { continue }
                kill(place)
                removed += 1
            } else if replica.flags.isDisjoint(with: [.inKernel, .dirty]) {
                pool.remove(place)
            }
        }
        return removed
    }

    // MARK: Kernel

    /// Hands out the dirty replicas, all deletions first, and takes what they came to.
    ///
    /// The kernel is supposed to do as told; where it does not, `failed` corrects the table.
    ///
    /// - Parameter requests: takes each operation, in order.
    func drainDirty(into requests: (InjectOperation, UInt32) -> Void, now: UInt32) {
        let count = dirtyCount
        for index in 0..<count {
            let place = dirtyPlaces[index]
            let replica = pool.replicas + Int(place)
            let isStale =
                !replica.pointee.flags.contains(.alive)
                || replica.pointee.flags.contains(.recreate)
            guard isStale, replica.pointee.flags.contains(.inKernel) else { continue }
            let isRecreated = replica.pointee.flags.contains(.alive)
            replica.pointee.flags.subtract([.inKernel, .recreate])
            requests(.delete, place)
            if replica.pointee.fields.contains(.helper) {
                expectations.lostMaster(replica.pointee.key, isRecreated: isRecreated)
            }
        }
        for index in 0..<count {
            let place = dirtyPlaces[index]
            let replica = pool.replicas + Int(place)
            replica.pointee.flags.remove(.dirty)
            guard replica.pointee.flags.contains(.alive) else {
                let isTombstone = isInitsyncRunning && replica.pointee.generation == generation
                if !isTombstone { pool.remove(place) }
                continue
            }
            guard !replica.pointee.flags.contains(.insufficient) else { continue }
            let operation: InjectOperation =
                replica.pointee.flags.contains(.inKernel) ? .update : .create
            replica.pointee.flags.insert(.inKernel)
            replica.pointee.flags.remove(.recreate)
            replica.pointee.heldAtSeconds = now
            requests(operation, place)
        }
        for index in count..<dirtyCount { dirtyPlaces[index - count] = dirtyPlaces[index] }
        dirtyCount -= count
    }

    /// Corrects the table where the kernel refused an operation.
    ///
    /// - Returns: what is done about it.
    func failed(
        _ operation: InjectOperation, _ place: UInt32, _ errno: CInt, now: UInt32
    ) -> InjectRemedy {
        if operation == .delete { return errno == ENOENT ? .ignored : .refused }
        let replica = pool.replicas + Int(place)
        guard replica.pointee.flags.contains(.alive) else { return .ignored }
        let asked = request(at: place).fields
        let remedy = InjectRemedy(
            operation, errno, attempts: replica.pointee.attempts,
            hasMaster: asked.contains(.master), hasHelper: asked.contains(.helper))
        replica.pointee.attempts += 1
        switch remedy {
        case .ignored:
            return remedy
        case .labelsIgnored:
            labelsIgnored += 1
            return remedy
        case .waitForMaster:
            replica.pointee.flags.remove(.inKernel)
            if wait(place, now: now) { return remedy }
        case .createWithoutHelper:
            replica.pointee.flags.remove(.inKernel)
            replica.pointee.flags.insert(.helperless)
            missingHelpers.count(request: entry(at: place))
        case .update:
            replica.pointee.flags.insert(.inKernel)
        case .create:
            replica.pointee.flags.remove(.inKernel)
        case .recreate:
            replica.pointee.flags.formUnion([.inKernel, .recreate])
        case .refused:
            if operation == .create { replica.pointee.flags.remove(.inKernel) }
            if !replica.pointee.flags.contains(.refused) {
                replica.pointee.flags.insert(.refused)
                refusedCount += 1
            }
            return remedy
        }
        markDirty(place)
        return remedy
    }

    /// The entry to create or update, as the master described it.
    func entry(at place: UInt32) -> Entry {
        let replica = pool.replicas[Int(place)]
        var entry = Entry(replica.key)
        entry.reply = replica.reply
        entry.fields = replica.fields
        entry.status = Status(rawValue: UInt32(replica.status))
        entry.timeoutSeconds = replica.timeoutSeconds
        entry.mark = replica.mark
        entry.protocolInfo = replica.protocolInfo
        if replica.link != ReplicaPool.noPlace { entry.extras = pool.extras[Int(replica.link)] }
        return entry
    }

    /// The entry as the kernel is told of it: without what it cannot have here.
    func request(at place: UInt32) -> Entry {
        var entry = entry(at: place)
        let flags = pool.replicas[Int(place)].flags
        if flags.contains(.orphan) { entry.fields.remove(.master) }
        if flags.contains(.helperless) { entry.fields.remove(.helper) }
        return entry
    }

    /// Calls `body` with each replica that the master has, in no order.
    func forEachAlive(_ body: (UInt32, Replica) -> Void) {
        for place in 0..<UInt32(pool.highWater) {
            let replica = pool.replicas[Int(place)]
            if replica.flags.contains(.alive) { body(place, replica) }
        }
    }

    /// Looks at the next `budget` replicas and marks dirty those whose long timeout is to be renewed,
    /// and those that the kernel refused, to be tried once more: a full table may have room by now.
    public func renew(budget: Int, now: UInt32) {
        let budget = refusedCount > 0 ? max(budget, Self.refusedBudget) : budget
        let dirtyLimit = dirtyCount + Self.renewalsAtOnce
        for _ in 0..<min(budget, pool.highWater) where dirtyCount < dirtyLimit {
            if renewalCursor >= pool.highWater { renewalCursor = 0 }
            let replica = pool.replicas + renewalCursor
            let isOld =
                replica.pointee.flags.isSuperset(of: [.alive, .inKernel])
                && now &- replica.pointee.heldAtSeconds > Self.renewSeconds
            if isOld || replica.pointee.flags.contains(.refused) {
                markDirty(UInt32(renewalCursor))
            }
            renewalCursor += 1
        }
    }

    // MARK: Pieces

    private func isUsed(_ place: UInt32) -> Bool {
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
        replica.pointee.generation = generation
        replica.pointee.attempts = 0
        if isLive {
            replica.pointee.flags.insert(.live)
        } else {
            replica.pointee.flags.remove(.live)
        }
    }

    private func insert(_ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32) -> Outcome {
        var replica = Self.replica(of: entry, now: now)
        replica.flags = isCopy ? [.alive] : isNew ? [.alive, .live, .whole] : [.alive, .live]
        replica.generation = generation
        guard let place = pool.insert(replica) else { return .full }
        storeExtras(place, entry)
        aliveCount += 1
        if entry.isSufficient { markDirty(place) }
        return settleSufficiency(place)
    }

    private func insertDead(_ key: Key, now: UInt32) {
        var replica = Self.replica(of: Entry(key), now: now)
        replica.flags = [.live]
        replica.generation = generation
        _ = pool.insert(replica)
    }

    private func kill(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        guard replica.pointee.flags.contains(.alive) else { return }
        if replica.pointee.flags.contains(.waiting) { waiting.remove(place) }
        replica.pointee.flags.subtract([.alive, .whole, .waiting])
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

    private func revive(_ place: UInt32, _ entry: Entry) {
        let replica = pool.replicas + Int(place)
        replica.pointee.flags.insert(.alive)
        replica.pointee.flags.subtract([.orphan, .helperless])
        if replica.pointee.flags.contains(.inKernel) { replica.pointee.flags.insert(.recreate) }
        aliveCount += 1
        replica.pointee.fields = []
        take(place, entry, isWhole: true)
        markDirty(place)
    }

    /// Merges into a living replica; dirty if the kernel's entry must follow.
    private func merge(_ place: UInt32, _ entry: Entry, isWhole: Bool) {
        let replica = pool.replicas + Int(place)
        let before = self.entry(at: place)
        take(place, entry, isWhole: isWhole)
        let after = self.entry(at: place)
        guard Self.differs(before, after) else { return }
        if replica.pointee.flags.contains(.inKernel), Self.needsRecreation(before, after) {
            replica.pointee.flags.insert(.recreate)
            replica.pointee.flags.subtract([.orphan, .helperless])
        }
        markDirty(place)
    }

    /// Adds what the live stream left unsaid.
    private func complete(_ place: UInt32, _ entry: Entry) {
        let replica = pool.replicas + Int(place)
        var missing = entry
        missing.fields.subtract(replica.pointee.fields)
        missing.reply = replica.pointee.reply
        let isLacking = !missing.fields.isEmpty
        guard isLacking else { return }
        take(place, missing, isWhole: false)
        markDirty(place)
        _ = settleSufficiency(place)
    }

    /// Copies the said fields; in a whole entry the unsaid ones are none.
    private func take(_ place: UInt32, _ entry: Entry, isWhole: Bool) {
        let replica = pool.replicas + Int(place)
        replica.pointee.reply = entry.reply
        if entry.fields.contains(.status) {
            replica.pointee.status = UInt16(truncatingIfNeeded: entry.status.rawValue)
        }
        if isWhole || entry.fields.contains(.mark) { replica.pointee.mark = entry.mark }
        if isWhole || entry.fields.contains(.protocolInfo) {
            replica.pointee.protocolInfo = entry.protocolInfo
        }
        if isWhole {
            replica.pointee.fields = entry.fields
            pool.dropExtras(place)
        } else {
            replica.pointee.fields.formUnion(entry.fields)
        }
        storeExtras(place, entry)
    }

    private func storeExtras(_ place: UInt32, _ entry: Entry) {
        guard !entry.fields.isDisjoint(with: .extras) else { return }
        let link = pool.replicas[Int(place)].link
        var extras = link == ReplicaPool.noPlace ? Extras() : pool.extras[Int(link)]
        if entry.fields.contains(.master) { extras.master = entry.extras.master }
        if entry.fields.contains(.helper) { extras.helper = entry.extras.helper }
        if entry.fields.contains(.labels) {
            extras.labelsLow = entry.extras.labelsLow
            extras.labelsHigh = entry.extras.labelsHigh
        }
        if entry.fields.contains(.sequenceAdjustment) {
            extras.originalAdjustment = entry.extras.originalAdjustment
            extras.replyAdjustment = entry.extras.replyAdjustment
        }
        if entry.fields.contains(.synproxy) {
            extras.synproxyISN = entry.extras.synproxyISN
            extras.synproxyITS = entry.extras.synproxyITS
            extras.synproxyTSOffset = entry.extras.synproxyTSOffset
        }
        pool.setExtras(place, extras)
    }

    /// Has an adopted TCP entry made anew: the windows that the kernel remembers of it are those of
    /// the time when this node was master, the stream has moved on since, and ctnetlink can set a
    /// window in no other way than by making the entry.
    private func renewWindows(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        replica.pointee.flags.remove(.adopted)
        guard replica.pointee.flags.contains(.inKernel) else { return }
        replica.pointee.flags.insert(.recreate)
        markDirty(place)
    }

    private func settleSufficiency(_ place: UInt32) -> Outcome {
        let replica = pool.replicas + Int(place)
        let isSufficient = entry(at: place).isSufficient
        if isSufficient == replica.pointee.flags.contains(.insufficient) {
            replica.pointee.flags.formSymmetricDifference(.insufficient)
            insufficientCount += isSufficient ? -1 : 1
            if isSufficient { markDirty(place) }
        }
        return isSufficient ? .applied : .insufficient
    }

    private static func replica(of entry: Entry, now: UInt32) -> Replica {
        Replica(
            key: entry.key, flags: [], fields: entry.fields,
            status: UInt16(truncatingIfNeeded: entry.status.rawValue), reply: entry.reply,
            generation: 0, timeoutSeconds: entry.timeoutSeconds, mark: entry.mark,
            protocolInfo: entry.protocolInfo, saidAtSeconds: now, heldAtSeconds: now,
            link: ReplicaPool.noPlace)
    }

    /// Status bits that an update can hand on.
    private static let settable: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]

    private static func differs(_ before: Entry, _ after: Entry) -> Bool {
        before.status.intersection(settable) != after.status.intersection(settable)
            || before.mark != after.mark || before.protocolInfo != after.protocolInfo
            || before.reply != after.reply || before.extras != after.extras
    }

    private static func needsRecreation(_ before: Entry, _ after: Entry) -> Bool {
        let cleared = before.status.subtracting(after.status)
        return !cleared.isDisjoint(with: .onlyEverSet) || before.reply != after.reply
            || before.extras.master != after.extras.master
            || before.extras.helper != after.extras.helper
    }
}
