// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Walks the master's table for slaves that need all of it, next to the live stream.
///
/// 1. Idle until a walk is wanted: by a slave, after lost events, by an operator, or because the last
///    is so long ago that a connection may have ended, or changed, without an event.
/// 2. Append the begin, then the entries and the expectations, 32 KiB of a kernel dump at a time,
///    then the end.
/// 3. After each piece wait as the pace says; it may be changed while a walk runs.
/// 4. The end proves that what was not named is gone only if the kernel was the same all the while
///    (`WalkConditions`).
///
/// Thread: `ct_sync_init`, for one term as master. Memory is the dump's and the ring's, and room for
/// one piece of the dump. It leaves half of the ring to the live stream; what does not fit waits. A
/// dump that fails is begun again: the slaves have seen no end.
final class InitsyncWalk: Sendable {
    /// Where a walk is.
    fileprivate enum Stage {
        case idle
        case begin
        case entries
        case expectations
        case end
    }

    /// What one term uses, all of it on one thread.
    final class Term {
        fileprivate let dump: any TableWalk
        fileprivate let expected: ExpectationSieve
        fileprivate let losses: any AddressLosses
        fileprivate var stage = Stage.idle
        fileprivate var number: UInt32 = 0
        fileprivate var pace = InitsyncPace(packetsPerSecond: 0, now: 0)
        fileprivate var packetsPerSecond: UInt32 = 0
        /// Nothing is done before, unless the rate changes.
        fileprivate var resumeAt: Instant = 0
        fileprivate var lastWalk: Instant
        /// Read, and not appended yet: the ring had no place.
        fileprivate var pending: [Entry] = []
        fileprivate var pendingExpectations: [Expectation] = []
        fileprivate var isMore = false
        /// In a handover: how late what follows is, as the slave was told last.
        fileprivate var word = Basis.none
        /// Entries of the table that this walk has read, and those of them that are replicated.
        fileprivate var seen: UInt64 = 0
        fileprivate var chosen: UInt64 = 0
        /// What the walk rests on, as it was when it began.
        fileprivate var conditions = WalkConditions()
        /// Whether the kernel had no room, when it began, for some that the node holds.
        fileprivate var lackedRoom = false
        /// `SendRing.walkedCount` up to which the pace has been paid.
        fileprivate var paid: UInt64 = 0

        fileprivate init(
            _ dump: any TableWalk, _ query: any EntryLookup, _ losses: any AddressLosses,
            now: Instant
        ) {
            self.dump = dump
            self.losses = losses
            expected = ExpectationSieve(query)
            lastWalk = now
            pending.reserveCapacity(512)
            pendingExpectations.reserveCapacity(256)
        }
    }

    private let ring: SendRing
    private let master: MasterProtocol
    private let filter: FilterBox
    private let flush: FlushHold
    private let tagged: TagWatch
    private let rate: Atomic<UInt32>
    private let entries = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let reconciliations = Atomic<UInt64>(0)
    private let unproved = Atomic<UInt64>(0)
    /// Of the last walk: entries of the table in the upper half, those replicated in the lower.
    private let lastWalk = Atomic<UInt64>(0)
    private let reconcileInterval: UInt64
    /// How long it waits for room in the ring.
    private static let patience = 200 * Duration.microsecond
    /// How long it waits after a dump that failed.
    private static let retryPause = 200 * Duration.millisecond

    init(
        ring: SendRing, master: MasterProtocol, filter: FilterBox, flush: FlushHold,
        tagged: TagWatch, packetsPerSecond: UInt32, reconcileSeconds: UInt32 = 0
    ) {
        self.ring = ring
        self.master = master
        self.filter = filter
        self.flush = flush
        self.tagged = tagged
        rate = Atomic(packetsPerSecond)
        reconcileInterval = UInt64(reconcileSeconds) * Duration.second
    }

    /// Entries sent by walks.
    var entryCount: UInt64 { entries.load(ordering: .relaxed) }
    /// Walks that proved nothing: the kernel's hash or settings have changed meanwhile.
    var unprovedCount: UInt64 { unproved.load(ordering: .relaxed) }
    /// Walks begun because of the time only.
    var reconciliationCount: UInt64 { reconciliations.load(ordering: .relaxed) }
    /// About how many entries are replicated, if the table has so many now: as large a part of them as the
    /// last walk has found, or all of them before the first walk.
    func estimate(of count: UInt64) -> UInt32 {
        let last = lastWalk.load(ordering: .relaxed)
        let (seen, chosen) = (last >> 32, last & 0xFFFF_FFFF)
        guard seen > 0 else { return UInt32(clamping: count) }
        return UInt32(clamping: count * chosen / seen)
    }

    /// Dumps that failed.
    var failureCount: UInt64 { failures.load(ordering: .relaxed) }

    /// Packets per second, 0 for as fast as the slaves keep up; the walk's thread is to be woken
    /// after a change.
    var packetsPerSecond: UInt32 {
        get { rate.load(ordering: .relaxed) }
        set { rate.store(newValue, ordering: .relaxed) }
    }

    /// Opens what walks of a table need.
    func open(
        _ dump: any TableWalk, _ query: any EntryLookup, _ losses: any AddressLosses, now: Instant
    ) -> Term {
        Term(dump, query, losses, now: now)
    }

    /// Whether a walk was whole, and none runs or is wanted since.
    func isDone(_ term: Term) -> Bool {
        term.stage == .idle && term.number != 0 && !master.initsyncs.isRunning
    }

    /// Gives up a walk that runs, at the end of a term.
    func close(_ term: Term) {
        guard term.stage != .idle else { return }
        term.dump.cancel()
        term.stage = .idle
        master.initsyncEnded(isWhole: false)
    }

    /// Does the next piece of work.
    func step(_ term: Term, now: Instant) -> Pause {
        let rate = packetsPerSecond
        if now < term.resumeAt, rate == term.packetsPerSecond { return .until(term.resumeAt) }
        do throws(SystemError) {
            switch term.stage {
            case .idle: return takeUp(term, now)
            case .begin: return try begin(term, now)
            case .entries: return try walkEntries(term, now)
            case .expectations: return try walkExpectations(term, now)
            case .end: return try end(term, now)
            }
        } catch {
            failures.wrappingAdd(1, ordering: .relaxed)
            close(term)
            term.lastWalk = now
            master.requireInitsync()
            return wait(term, until: now + Self.retryPause)
        }
    }

    private func wait(_ term: Term, until instant: Instant) -> Pause {
        term.packetsPerSecond = packetsPerSecond
        term.resumeAt = instant
        return .until(instant)
    }

    private func takeUp(_ term: Term, _ now: Instant) -> Pause {
        if let number = master.beginInitsync(now: now) {
            term.number = number
            term.stage = .begin
            return .none
        }
        if let due = master.repairDue, due > now { return .until(due) }
        guard reconcileInterval > 0 else { return .untilWoken }
        guard now >= term.lastWalk + reconcileInterval else {
            return .until(term.lastWalk + reconcileInterval)
        }
        term.lastWalk = now
        reconciliations.wrappingAdd(1, ordering: .relaxed)
        master.requireInitsync()
        return .none
    }

    private func begin(_ term: Term, _ now: Instant) throws(SystemError) -> Pause {
        let bracket = Bracket(number: term.number, basis: master.basis)
        guard let sequence = ring.append(bracket, .UPDATE) else {
            return wait(term, until: now + Self.patience)
        }
        master.initsyncBegan(in: sequence)
        term.word = bracket.basis
        term.packetsPerSecond = packetsPerSecond
        term.pace = InitsyncPace(packetsPerSecond: term.packetsPerSecond, now: now)
        term.paid = ring.walkedCount
        term.pending.removeAll(keepingCapacity: true)
        term.pendingExpectations.removeAll(keepingCapacity: true)
        term.conditions = try term.dump.conditions()
        term.lackedRoom = master.lacksRoom
        try term.dump.start()
        (term.seen, term.chosen) = (0, 0)
        term.isMore = true
        term.stage = .entries
        return .none
    }

    private func walkEntries(_ term: Term, _ now: Instant) throws(SystemError) -> Pause {
        guard master.mayWalk(now: now) else { return wait(term, until: now + Self.patience) }
        if term.pending.isEmpty {
            guard term.isMore else {
                try term.dump.startExpectations()
                term.isMore = true
                term.stage = .expectations
                return .none
            }
            let filter = filter.current
            term.isMore = try term.dump.step { entry in
                term.seen += 1
                guard filter.admits(entry) else { return }
                term.chosen += 1
                tagged.said(entry, now: now)
                var whole = copy entry
                whole.prepareForReplication()
                if !term.pending.isEmpty || !append(whole, term) { term.pending.append(whole) }
            }
        } else {
            let appended = term.pending.prefix { append($0, term) }.count
            term.pending.removeFirst(appended)
        }
        ring.flush()
        guard term.pending.isEmpty else { return wait(term, until: now + Self.patience) }
        return pay(term, now)
    }

    /// Waits as long as the packets cost that the last piece has taken.
    private func pay(_ term: Term, _ now: Instant) -> Pause {
        term.pace.set(packetsPerSecond: packetsPerSecond)
        let walked = ring.walkedCount
        defer { term.paid = walked }
        return wait(term, until: term.pace.spend(walked - term.paid, now: now))
    }

    private func append(_ entry: Entry, _ term: Term) -> Bool {
        guard say(term.dump.word, term),
            ring.appendUpdate(entry, bits: MessageKind.initsync) == .appended
        else { return false }
        entries.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    /// In a handover, says how late what follows is.
    private func say(_ word: Basis?, _ term: Term) -> Bool {
        guard let word, word != term.word else { return true }
        let bracket = Bracket(number: term.number, basis: word, isContinuing: true)
        guard ring.append(bracket, .UPDATE) != nil else { return false }
        term.word = word
        return true
    }

    /// The expectations, after the entries that they need: at most nf_conntrack_expect_max.
    private func walkExpectations(_ term: Term, _ now: Instant) throws(SystemError) -> Pause {
        guard master.mayWalk(now: now) else { return wait(term, until: now + Self.patience) }
        if term.pendingExpectations.isEmpty {
            guard term.isMore else {
                term.stage = .end
                return .none
            }
            let filter = filter.current
            term.isMore = try term.dump.step { _ in
            } expectation: { expectation in
                guard term.expected.admits(expectation, filter) else { return }
                if !term.pendingExpectations.isEmpty || !append(expectation) {
                    term.pendingExpectations.append(copy expectation)
                }
            }
        } else {
            let appended = term.pendingExpectations.prefix { append($0) }.count
            term.pendingExpectations.removeFirst(appended)
        }
        ring.flush()
        guard term.pendingExpectations.isEmpty else {
            return wait(term, until: now + Self.patience)
        }
        return pay(term, now)
    }

    private func append(_ expectation: borrowing Expectation) -> Bool {
        guard ring.appendUpdate(copy expectation, bits: MessageKind.initsync) == .appended else {
            return false
        }
        entries.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    private func end(_ term: Term, _ now: Instant) throws(SystemError) -> Pause {
        var bracket = Bracket(
            number: term.number, basis: master.basis, rules: filter.current.fingerprint)
        // What the kernel flushed during the walk may not have reached the event listener yet.
        try term.losses.look { loss in flush.opens(loss, now: now) }
        bracket.isSparing = flush.spares()
        bracket.isProved =
            term.conditions.prove(try term.dump.conditions(), seen: term.seen)
            && !term.lackedRoom && !master.lacksRoom
        guard ring.append(bracket, .DELETE) != nil else {
            return wait(term, until: now + Self.patience)
        }
        term.stage = .idle
        term.lastWalk = now
        if !bracket.isProved { unproved.wrappingAdd(1, ordering: .relaxed) }
        lastWalk.store(
            min(term.seen, 0xFFFF_FFFF) << 32 | min(term.chosen, 0xFFFF_FFFF), ordering: .relaxed)
        master.initsyncEnded(isWhole: true)
        return .none
    }
}
