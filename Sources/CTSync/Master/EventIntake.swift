// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The master's first stage: kernel events become messages in the send ring.
///
/// 1. Take what the event socket has, 64 events a system call; filter each and append it to the open
///    packet in place.
/// 2. Read again what a helper may have changed without an event (`ShiftWatch`).
/// 3. Keep back deletions that are a flush of masqueraded connections (`FlushHold`).
/// 4. Drained: close the packet, so that nothing waits for company, and say how long to pause. Once a
///    second see that the kernel sends events at all.
///
/// Thread: `ct_sync_event`, for one term as master. Memory is the event socket's and the ring's.
/// Events that the kernel dropped (ENOBUFS), that could not be read, or that the ring had no place
/// for, are an overrun: every packet says so until an initsync has repaired it.
final class EventIntake: Sendable {
    /// What one term uses, all of it on one thread.
    final class Term {
        let source: any EventSource
        fileprivate let sieve: EventSieve
        fileprivate let expected: ExpectationSieve
        fileprivate let shifts: ShiftWatch
        fileprivate let tagged: TagWatch
        fileprivate let taggedLookup: any EntryLookup
        /// For the walk of the term too.
        let losses: SharedLosses
        fileprivate let flush: FlushHold
        fileprivate var pace = EventPace()
        /// When to look for events again: at an instant, or when there is one.
        fileprivate(set) var pause = Pause.untilWoken
        /// Whether it was looked for lost addresses since the events at hand were read.
        fileprivate var hasLooked = false
        fileprivate var lookAt: Instant = 0
        private let kernel: any KernelTable

        fileprivate init(
            _ source: any EventSource, _ kernel: any KernelTable, _ flush: FlushHold,
            _ tagged: TagWatch
        ) throws(SystemError) {
            self.source = source
            self.flush = flush
            self.kernel = kernel
            self.tagged = tagged
            taggedLookup = try kernel.makeLookup()
            losses = SharedLosses(try kernel.openAddressLosses())
            sieve = EventSieve(try kernel.makeLookup())
            expected = ExpectationSieve(try kernel.makeLookup())
            shifts = try ShiftWatch(try kernel.makeLookup())
        }

        /// When `drain` has something to do besides events.
        var due: Instant {
            min(lookAt, flush.due ?? .max, min(shifts.due ?? .max, tagged.due))
        }

        fileprivate func keepEvents() throws(SystemError) -> KeptSetting.State {
            try KeptSetting.events.keep(in: kernel)
        }
    }

    private let ring: SendRing
    private let master: MasterProtocol
    private let filter: FilterBox
    private let flush: FlushHold
    private let tagged: TagWatch
    private let events = Atomic<UInt64>(0)
    private let overruns = Atomic<UInt64>(0)
    private let ringOverruns = Atomic<UInt64>(0)
    private let missedShifts = Atomic<UInt64>(0)
    private let hasKernelFilter = Atomic<Bool>(false)
    private let kernelFilterFailures = Atomic<UInt64>(0)
    private let lossFailures = Atomic<UInt64>(0)
    private let offs = Atomic<UInt64>(0)
    private static let lookInterval = 1 * Duration.second

    init(
        ring: SendRing, master: MasterProtocol, filter: FilterBox, flush: FlushHold,
        tagged: TagWatch
    ) {
        self.ring = ring
        self.master = master
        self.filter = filter
        self.flush = flush
        self.tagged = tagged
    }

    /// Events taken from the kernel.
    var eventCount: UInt64 { events.load(ordering: .relaxed) }
    /// How often the kernel dropped events.
    var overrunCount: UInt64 { overruns.load(ordering: .relaxed) }
    /// Entries that a helper may have changed unnoticed; the next reconciliation sees it.
    var missedShiftCount: UInt64 { missedShifts.load(ordering: .relaxed) }
    /// Messages for which the ring had no place.
    var ringOverrunCount: UInt64 { ringOverruns.load(ordering: .relaxed) }
    /// Whether the kernel filters for this term.
    var isFilteredByKernel: Bool { hasKernelFilter.load(ordering: .relaxed) }
    /// How often the kernel refused the filter's program; events are then filtered here alone.
    var kernelFilterFailureCount: UInt64 { kernelFilterFailures.load(ordering: .relaxed) }

    /// How often lost addresses could not be heard; a flush is then told as the end it seems to be.
    var lossFailureCount: UInt64 { lossFailures.load(ordering: .relaxed) }

    /// How often nf_conntrack_events was found to be off.
    var offCount: UInt64 { offs.load(ordering: .relaxed) }

    /// Subscribes to events, before anything reads the table.
    func open(_ kernel: any KernelTable) throws(SystemError) -> Term {
        let term = try Term(try kernel.openEvents(), kernel, flush, tagged)
        hasKernelFilter.store(false, ordering: .relaxed)
        do throws(SystemError) {
            let isFiltered = try term.source.keepBack(filter.current.rules)
            hasKernelFilter.store(isFiltered, ordering: .relaxed)
        } catch {
            kernelFilterFailures.wrappingAdd(1, ordering: .relaxed)
        }
        return term
    }

    /// Takes all events that are there.
    ///
    /// - Parameter isLast: whether the term ends. What was lost is found now then, whenever it was looked for
    ///   before: what the kernel has may be later than all that was said.
    /// - Returns: whether a walk of the table is wanted, since events were lost.
    func drain(_ term: Term, now: Instant, isLast: Bool = false) -> Bool {
        let source = term.source
        let filter = filter.current
        let malformed = source.malformed
        var isDrained = false
        var found: UInt64 = 0
        while !isDrained {
            do throws(SystemError) {
                term.hasLooked = false
                // What this node's daemon changes is none of the connections' doing.
                let drain = try source.receive { kind, entry in
                    guard !source.isOwnDoing else { return }
                    take(kind, entry, filter, term, now)
                } expected: { kind, expectation in
                    guard !source.isOwnDoing else { return }
                    take(kind, expectation, filter, term)
                    if kind == .expectNew, !term.shifts.add(expectation, now: now) {
                        missedShifts.wrappingAdd(1, ordering: .relaxed)
                    }
                }
                isDrained = drain.isDrained
                found += UInt64(drain.messages)
                if drain.overrun { lostEvents(overruns) }
            } catch {
                // The socket cannot tell what it lost, nor what it still has.
                lostEvents(overruns)
                term.lookAt = now + Self.lookInterval
                ring.flush()
                term.pause = .until(now + EventPace.longest)
                return false
            }
        }
        term.pause = term.pace.looked(events: found, now: now)
        readShifted(term, filter, now)
        readTags(term, filter, now)
        // Nobody else reads what waits there, and its buffer is finite.
        if isLast || now >= term.lookAt {
            lookForLosses(term, now)
            keepEvents(term)
        }
        let isFlushOver = flush.isOver(now: now)
        if isFlushOver { master.requireInitsync() }
        // An event that cannot be read is a lost event.
        if source.malformed != malformed { lostEvents(overruns) }
        ring.flush()
        return master.caughtUp() || isFlushOver
    }

    @inline(__always)
    private func take(
        _ kind: CtnetlinkKind, _ event: borrowing Entry, _ filter: ReplicationFilter,
        _ term: Term, _ now: Instant
    ) {
        events.wrappingAdd(1, ordering: .relaxed)
        var entry = copy event
        if kind == .new, master.births.isRecording { master.births.insert(entry.key) }
        term.shifts.heard(zone: entry.key.zone)
        if kind != .destroy { term.tagged.said(entry, now: now) }
        let outcome: SendRing.Outcome
        let sifted = term.sieve.sift(kind, &entry, filter)
        switch sifted {
        case .nothing:
            return
        case .update, .whole:
            entry.prepareForReplication()
            // The slaves may hold one of this key that was flushed.
            if flush.isOpen, kind == .new, ring.appendDelete(entry.key) == .full {
                lostEvents(ringOverruns)
            }
            // A walk may have passed it when it was left out: no copy completes what slaves have of before.
            let isWhole = kind == .new || sifted == .whole && master.isWalking
            outcome = ring.appendUpdate(entry, bits: isWhole ? MessageKind.new : 0)
        case .delete:
            if kind == .destroy, isFlushed(entry, term, now) { return }
            outcome = ring.appendDelete(entry.key)
        case .lost:
            return lostEvents(overruns)
        }
        if outcome == .full { lostEvents(ringOverruns) }
    }

    private func take(
        _ kind: CtnetlinkKind, _ expectation: borrowing Expectation, _ filter: ReplicationFilter,
        _ term: Term
    ) {
        events.wrappingAdd(1, ordering: .relaxed)
        let expectation = copy expectation
        // It goes with its parent, which the slaves keep.
        if kind == .expectDestroy, flush.isOpen, term.source.causedBy == 0 { return }
        // That one is gone means nothing to a slave that never had it.
        let isTold =
            kind == .expectNew
            ? term.expected.admits(expectation, filter) : filter.mayAdmit(expectation)
        guard isTold else { return }
        let outcome =
            kind == .expectNew
            ? ring.appendUpdate(expectation, bits: 0) : ring.appendDelete(expectation)
        if outcome == .full { lostEvents(ringOverruns) }
    }

    private func readShifted(_ term: Term, _ filter: ReplicationFilter, _ now: Instant) {
        guard term.shifts.due != nil else { return }
        do throws(SystemError) {
            try term.shifts.look(now: now) { entry in
                take(.update, entry, filter, term, now)
            }
        } catch {
            missedShifts.wrappingAdd(1, ordering: .relaxed)
        }
    }

    private func readTags(_ term: Term, _ filter: ReplicationFilter, _ now: Instant) {
        do throws(SystemError) {
            try term.tagged.look(term.taggedLookup, now: now) { entry in
                take(.update, entry, filter, term, now)
            }
        } catch {
            missedShifts.wrappingAdd(1, ordering: .relaxed)
        }
    }

    // MARK: Flushes

    private func isFlushed(_ entry: borrowing Entry, _ term: Term, _ now: Instant) -> Bool {
        guard flush.isEnabled, FlushHold.isCandidate(entry, causedBy: term.source.causedBy) else {
            return false
        }
        // The message of the loss was there before the event was.
        if !term.hasLooked { lookForLosses(term, now) }
        guard flush.isOpen else { return false }
        return flush.holds(entry)
    }

    private func lookForLosses(_ term: Term, _ now: Instant) {
        term.hasLooked = true
        term.lookAt = now + Self.lookInterval
        do throws(SystemError) {
            try term.losses.look { loss in flush.opens(loss, now: now) }
        } catch {
            lossFailures.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// What changed while there were no events is lost, as in an overrun.
    private func keepEvents(_ term: Term) {
        do throws(SystemError) {
            switch try term.keepEvents() {
            case .right, .set, .tolerable:
                if master.areEventsOff { lostEvents(overruns) }
                master.areEventsOff = false
            case .mended:
                master.areEventsOff = false
                offs.wrappingAdd(1, ordering: .relaxed)
                lostEvents(overruns)
            case .wrong:
                if !master.areEventsOff { offs.wrappingAdd(1, ordering: .relaxed) }
                master.areEventsOff = true
            }
        } catch {
            // It is not known what it is; it is looked at again.
            return
        }
    }

    private func lostEvents(_ counter: borrowing Atomic<UInt64>) {
        counter.wrappingAdd(1, ordering: .relaxed)
        master.births.missed()
        master.lostEvents()
    }
}
