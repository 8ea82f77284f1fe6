// SPDX-License-Identifier: GPL-2.0-or-later

/// Hears what anybody else does to a slave's kernel, so that "in sync" is a statement about the kernel
/// and not only about the books.
///
/// 1. A few times a second take the events of others than this process. A replica that was deleted, or
///    that a hand has changed, is read, and put right.
/// 2. Events that were lost, an expectation that was deleted, and more ends without a hand than are
///    likely, call for a comparison of the whole table; these back off. What was adopted has its own
///    time and may end until the master confirms it.
/// 3. On a node that was master a moment ago, what packets make and change is taken too, more often
///    (`ReplicaTable.hearOwn`); what was not heard of it, as events were lost, the comparison finds.
/// 4. nf_conntrack_events is looked at each second. What was made while it was off is made again.
///
/// While any of that is to be done, or nothing can be heard, the slave is not in sync (`doubt`).
/// What packets change is left to the comparison at its interval: a takeover may have begun.
/// Thread: the link's, while the node is slave. Memory is the socket's, taken when it becomes so.
final class KernelWatch {
    /// How often the events are taken.
    static let interval = 250 * Duration.millisecond
    /// ... while it hears what begins.
    static let beginInterval = 20 * Duration.millisecond
    private static let settingInterval = 1 * Duration.second
    /// Batches of events taken at once; the rest waits for the next packet.
    private static let batchLimit = 32
    /// Before a promotion so many, and of changed entries as many as are read within a millisecond or two.
    private static let lastBatches = 8
    private static let lastChanges = 64
    /// Ends without a hand that are repaired at once: a full kernel ends one entry for each it makes.
    private static let endLimit = 64

    private let kernel: any KernelTable
    private let lookup: any EntryLookup
    private var source: (any EventSource)?
    /// Whether it was deaf since the kernel was compared.
    private var wasDeaf = false
    private var areEventsOff = false
    private var hasMore = false
    private var demand = CheckDemand()
    /// Replicas to be read.
    private var changed: [Key] = []
    /// Whether what packets make and change is taken; connections of it to be read.
    private(set) var hearsBegins = false
    private var unread: [Key] = []
    private static let changedLimit = 1_024
    private var settingAt: Instant = 0
    /// When nf_conntrack_events was last seen on, in seconds.
    private var onAtSeconds: UInt32 = 0
    /// Whether the last look found anything.
    private var hasFound = false
    /// When there is something to do next.
    private(set) var due: Instant = 0
    /// How often nf_conntrack_events was found to be off.
    private(set) var offCount: UInt64 = 0
    private(set) var failureCount: UInt64 = 0

    init(_ kernel: any KernelTable, _ lookup: any EntryLookup) {
        self.kernel = kernel
        self.lookup = lookup
        changed.reserveCapacity(Self.changedLimit)
    }

    /// Begins to listen; what was changed before is not known.
    ///
    /// - Parameter begins: also to what packets make and change.
    func open(begins: Bool, now: Instant) {
        close()
        hearsBegins = begins
        (wasDeaf, areEventsOff, hasFound) = (false, false, false)
        demand = CheckDemand()
        settingAt = 0
        onAtSeconds = Self.seconds(now)
        due = now
        listen()
    }

    /// Ceases to listen.
    func close() {
        source = nil
    }

    /// Takes no more of what packets do.
    func endBegins() {
        guard hearsBegins else { return }
        hearsBegins = false
        do throws(SystemError) {
            try source?.endBegins()
        } catch {
            failureCount += 1
        }
    }

    /// The kernel is to be compared as soon as it can be: what became of it meanwhile is not known.
    func requireCheck() {
        demand.want(.adopting)
    }

    /// Why the kernel may not have what the books say; nil if it has.
    var doubt: SlaveProtocol.OutOfSync? {
        if source == nil || areEventsOff { return .unwatched }
        return hasFound || hasMore ? .kernelChanged : demand.cause
    }

    /// Takes what was heard.
    ///
    /// - Parameters:
    ///   - slave: whose table is meant.
    ///   - check: begun if the whole table is to be compared.
    func look(_ slave: SlaveProtocol, _ check: inout KernelCheck, now: Instant) {
        guard now >= due || hasMore else { return }
        due = now + (hearsBegins ? Self.beginInterval : Self.interval)
        let table = slave.table
        hasFound = false
        listen()
        if now >= settingAt { keepSetting(table, now) }
        take(slave, &check, now)
        demand.meet(&check, now: now)
    }

    /// Takes what was heard until now, if it is not much: a promotion does not wait for more.
    func lookLast(_ slave: SlaveProtocol, _ check: inout KernelCheck, now: Instant) {
        take(slave, &check, now, batchLimit: Self.lastBatches, changedLimit: Self.lastChanges)
    }

    private func listen() {
        guard source == nil else { return }
        do throws(SystemError) {
            source = try kernel.openChanges(begins: hearsBegins)
            if wasDeaf { demand.want(.unwatched) }
            wasDeaf = false
        } catch {
            failureCount += 1
            wasDeaf = true
        }
    }

    private func keepSetting(_ table: ReplicaTable, _ now: Instant) {
        settingAt = now + Self.settingInterval
        do throws(SystemError) {
            switch try KeptSetting.events.keep(in: kernel) {
            case .right, .set, .tolerable: areEventsOff = false
            case .wrong:
                if !areEventsOff { offCount += 1 }
                areEventsOff = true
                return
            case .mended:
                if !areEventsOff { offCount += 1 }
                areEventsOff = false
                table.remake(since: onAtSeconds)
                demand.want(.kernelChanged)
            }
            onAtSeconds = Self.seconds(now)
        } catch {
            failureCount += 1
        }
    }

    // MARK: Events

    private func take(
        _ slave: SlaveProtocol, _ check: inout KernelCheck, _ now: Instant,
        batchLimit: Int = batchLimit, changedLimit: Int = changedLimit
    ) {
        guard let source else { return }
        let table = slave.table
        let ownCount = table.ownCount
        defer { if table.ownCount != ownCount { slave.hasOwn(now: now) } }
        var ends = 0
        hasMore = true
        do throws(SystemError) {
            for _ in 0..<batchLimit {
                let drain = try source.receive { kind, entry in
                    guard !source.isOwnDoing else { return }
                    if hearsBegins, source.causedBy == 0, kind != .destroy {
                        takeOwn(slave, entry, isNew: kind == .new, now)
                    }
                    guard table.isHere(entry.key) else { return }
                    if source.causedBy == 0, table.isConfirmed(entry.key) { ends += 1 }
                    if kind == .destroy || source.causedBy != 0 {
                        change(entry.key, ends, changedLimit)
                    }
                } expected: { kind, expectation in
                    guard kind == .expectDestroy, source.causedBy != 0, !source.isOwnDoing,
                        table.expectations.isHere(expectation)
                    else { return }
                    demand.want(.kernelChanged)
                }
                if drain.overrun { demand.want(.kernelChanged) }
                hasMore = !drain.isDrained
                guard hasMore else { break }
                try read(table, &check, now)
                try readOwn(slave, now)
            }
            try read(table, &check, now)
            try readOwn(slave, now)
        } catch {
            failureCount += 1
            demand.want(.unwatched)
            hasMore = false
        }
    }

    /// Takes what packets have made of a connection here.
    private func takeOwn(
        _ slave: SlaveProtocol, _ entry: borrowing Entry, isNew: Bool, _ now: Instant
    ) {
        var own = copy entry
        guard !isNew || slave.filter.adopts(own) else { return }
        own.prepareForReplication()
        let change = slave.table.hearOwn(
            own, isNew: isNew, after: slave.ownLast, heard: slave.heard, now: Self.seconds(now))
        if change == .unknown, unread.count < Self.changedLimit { unread.append(own.key) }
    }

    /// Takes a connection that packets have made here, and of which no event was heard.
    func takeUnheard(_ slave: SlaveProtocol, _ entry: Entry, now: Instant) {
        guard hearsBegins else { return }
        let ownCount = slave.table.ownCount
        takeOwn(slave, entry, isNew: true, now)
        if slave.table.ownCount != ownCount { slave.hasOwn(now: now) }
    }

    /// Reads connections of which only a change was heard.
    private func readOwn(_ slave: SlaveProtocol, _ now: Instant) throws(SystemError) {
        defer { unread.removeAll(keepingCapacity: true) }
        for key in unread {
            guard let entry = try lookup.entry(key) else { continue }
            takeOwn(slave, entry, isNew: true, now)
        }
    }

    private func change(_ key: Key, _ ends: Int, _ limit: Int) {
        guard ends <= Self.endLimit, changed.count < limit else {
            demand.want(.kernelChanged)
            return
        }
        changed.append(key)
    }

    /// Reads what was changed, and has it put right.
    private func read(
        _ table: ReplicaTable, _ check: inout KernelCheck, _ now: Instant
    ) throws(SystemError) {
        defer { changed.removeAll(keepingCapacity: true) }
        for key in changed where table.isHere(key) {
            let entry = try lookup.entry(key)
            guard table.isConfirmed(key) else {
                // Its own time was over before the master spoke of it: nobody was wrong.
                if entry == nil { table.isLost(key) }
                continue
            }
            let said = table.said(key)
            if let entry {
                guard table.checkIsDifferent(entry, now: Self.seconds(now)) else {
                    continue
                }
            } else {
                table.isLost(key)
            }
            hasFound = true
            check.note(here: entry, said: said)
        }
    }

    private static func seconds(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now / Duration.second)
    }
}
