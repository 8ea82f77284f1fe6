// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
import Synchronization

/// The master's first stage: kernel events become messages in the send ring.
///
/// Thread: `ct_sync_event`, for one term as master.
///
/// 1. Sleep until the event socket has something; after idleness the first event wakes at once.
/// 2. Drain it, 64 events a system call, each filtered and appended to the open packet in place.
/// 3. Read again what a helper may have changed without an event (`ShiftWatch`).
/// 4. Drained: close the packet, so that nothing waits for company. Under load pause a moment before
///    sleeping again, so that the next wake-up finds a batch and not one event.
///
/// Memory is the event socket's and the ring's. Events that the kernel dropped (ENOBUFS), or that the
/// ring had no place for, are an overrun: every packet says so until an initsync has repaired it.
final class EventListener: Sendable {
    /// The pause under load.
    static let moderation = 300 * Duration.microsecond
    /// A wake-up so soon after the last one means load.
    private static let busy = 1 * Duration.millisecond

    private let ring: SendRing
    private let master: MasterProtocol
    private let initsync: InitsyncWalk
    private let filter: FilterBox
    private let stop: StopSign
    private let events = Atomic<UInt64>(0)
    private let overruns = Atomic<UInt64>(0)
    private let ringOverruns = Atomic<UInt64>(0)
    private let missedShifts = Atomic<UInt64>(0)
    private let hasSocketFilter = Atomic<Bool>(false)
    private let socketFilterFailures = Atomic<UInt64>(0)

    init(
        ring: SendRing, master: MasterProtocol, initsync: InitsyncWalk, filter: FilterBox
    ) throws(SystemError) {
        self.ring = ring
        self.master = master
        self.initsync = initsync
        self.filter = filter
        stop = try StopSign()
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
    var isFilteredByKernel: Bool { hasSocketFilter.load(ordering: .relaxed) }
    /// How often the kernel refused the filter's program; events are then filtered here alone.
    var socketFilterFailureCount: UInt64 { socketFilterFailures.load(ordering: .relaxed) }

    /// Opens the event socket, before anything reads the table, and starts the thread.
    ///
    /// - Throws: `SystemError` of the socket or the thread.
    func start() throws(SystemError) -> WorkerThread {
        stop.reset()
        let socket = try EventSocket(
            receiveBufferBytes: Kernel.eventBufferBytes, expectations: true)
        attachFilter(socket)
        let state = SendableBox(
            ListenerState(
                socket: socket, sieve: try EventSieve(), expected: try ExpectationSieve(),
                shifts: try ShiftWatch()))
        return try WorkerThread(named: "ct_sync_event") { [self] in run(state.value) }
    }

    /// Lets the thread end.
    func requestStop() {
        stop.stop()
    }

    /// Lets the kernel drop what it can tell from the tuple; the listener filters all the same.
    private func attachFilter(_ socket: EventSocket) {
        hasSocketFilter.store(false, ordering: .relaxed)
        do throws(SystemError) {
            hasSocketFilter.store(try socket.keepBack(filter.current.rules), ordering: .relaxed)
        } catch {
            socketFilterFailures.wrappingAdd(1, ordering: .relaxed)
        }
    }

    private func run(_ state: ListenerState) {
        var lastWake: Instant = 0
        while !stop.isStopped {
            var time: Int64 = -1
            if let due = state.shifts.due {
                let now = Clock.now()
                time = Int64(max(due, now) - now)
            }
            _ = ctsync_wait(state.socket.raw, stop.wake.raw, time)
            let now = Clock.now()
            drain(state)
            if now < lastWake + Self.busy { stop.sleep(until: now + Self.moderation) }
            lastWake = now
        }
        drain(state)
    }

    private func drain(_ state: ListenerState) {
        let socket = state.socket
        let filter = filter.current
        let malformed = socket.malformed
        var isDrained = false
        while !isDrained {
            do throws(SystemError) {
                let drain = try socket.receive { kind, entry in
                    take(kind, entry, filter, state)
                } expected: { kind, expectation in
                    take(kind, expectation, filter, state)
                    if kind == .expectNew, !state.shifts.add(expectation, now: Clock.now()) {
                        missedShifts.wrappingAdd(1, ordering: .relaxed)
                    }
                }
                isDrained = drain.isDrained
                if drain.overrun { lostEvents(overruns) }
            } catch {
                // The socket cannot tell what it lost, nor what it still has.
                lostEvents(overruns)
                ring.flush()
                return
            }
        }
        readShifted(state, filter)
        // An event that cannot be read is a lost event.
        if socket.malformed != malformed { lostEvents(overruns) }
        ring.flush()
        if master.caughtUp() { initsync.wake() }
    }

    @inline(__always)
    private func take(
        _ kind: CtnetlinkKind, _ event: borrowing Entry, _ filter: ReplicationFilter,
        _ state: ListenerState
    ) {
        events.wrappingAdd(1, ordering: .relaxed)
        var entry = copy event
        state.shifts.heard(zone: entry.key.zone)
        let outcome: SendRing.Outcome
        switch state.sieve.sift(kind, &entry, filter) {
        case .nothing:
            return
        case .update:
            entry.prepareForReplication()
            outcome = ring.appendUpdate(entry, bits: kind == .new ? MessageKind.new : 0)
        case .delete:
            outcome = ring.appendDelete(entry.key)
        case .lost:
            return lostEvents(overruns)
        }
        if outcome == .full { lostEvents(ringOverruns) }
    }

    private func take(
        _ kind: CtnetlinkKind, _ expectation: borrowing Expectation, _ filter: ReplicationFilter,
        _ state: ListenerState
    ) {
        events.wrappingAdd(1, ordering: .relaxed)
        let expectation = copy expectation
        // That one is gone means nothing to a slave that never had it.
        let isTold =
            kind == .expectNew
            ? state.expected.admits(expectation, filter) : filter.mayAdmit(expectation)
        guard isTold else { return }
        let outcome =
            kind == .expectNew
            ? ring.appendUpdate(expectation, bits: 0) : ring.appendDelete(expectation)
        if outcome == .full { lostEvents(ringOverruns) }
    }

    private func readShifted(_ state: ListenerState, _ filter: ReplicationFilter) {
        guard state.shifts.due != nil else { return }
        do throws(SystemError) {
            try state.shifts.look(now: Clock.now()) { entry in
                take(.update, entry, filter, state)
            }
        } catch {
            missedShifts.wrappingAdd(1, ordering: .relaxed)
        }
    }

    private func lostEvents(_ counter: borrowing Atomic<UInt64>) {
        counter.wrappingAdd(1, ordering: .relaxed)
        master.lostEvents()
    }
}

/// What the listener's thread alone uses.
private final class ListenerState {
    let socket: EventSocket
    let sieve: EventSieve
    let expected: ExpectationSieve
    let shifts: ShiftWatch

    init(
        socket: EventSocket, sieve: consuming EventSieve, expected: consuming ExpectationSieve,
        shifts: ShiftWatch
    ) {
        self.socket = socket
        self.sieve = sieve
        self.expected = expected
        self.shifts = shifts
    }
}
