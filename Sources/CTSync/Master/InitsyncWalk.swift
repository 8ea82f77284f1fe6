// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// Walks the master's table for slaves that need all of it, next to the live stream.
///
/// Thread: `ct_sync_init`, for one term as master.
///
/// 1. Sleep until a walk is wanted: by a slave, after lost events, by an operator, or because the
///    last is so long ago that a connection may have ended, or changed, without an event.
/// 2. Append the begin, then the table, 32 KiB of a kernel dump at a time, then the end.
/// 3. After each piece wait as the pace says; it may be changed while a walk runs.
///
/// Memory is the dump's and the ring's. It leaves half of the ring to the live stream and waits when
/// that half is full. A dump that fails is begun anew: the slaves have seen no end.
final class InitsyncWalk: Sendable {
    private let ring: SendRing
    private let master: MasterProtocol
    private let filter: FilterBox
    private let stop: StopSign
    private let rate: Atomic<UInt32>
    private let entries = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let reconciliations = Atomic<UInt64>(0)
    private let reconcileInterval: UInt64
    /// How long it waits for room in the ring.
    private static let patience = 1 * Duration.millisecond
    /// How long it waits after a dump that failed.
    private static let retryPause = 200 * Duration.millisecond

    init(
        ring: SendRing, master: MasterProtocol, filter: FilterBox, packetsPerSecond: UInt32,
        reconcileSeconds: UInt32 = 0
    ) throws(SystemError) {
        self.ring = ring
        self.master = master
        self.filter = filter
        rate = Atomic(packetsPerSecond)
        reconcileInterval = UInt64(reconcileSeconds) * Duration.second
        stop = try StopSign()
    }

    /// Entries sent by walks.
    var entryCount: UInt64 { entries.load(ordering: .relaxed) }
    /// Walks begun because of the time only.
    var reconciliationCount: UInt64 { reconciliations.load(ordering: .relaxed) }
    /// Dumps that failed.
    var failureCount: UInt64 { failures.load(ordering: .relaxed) }

    /// Packets per second, 0 for as fast as the slaves keep up.
    var packetsPerSecond: UInt32 {
        get { rate.load(ordering: .relaxed) }
        set {
            rate.store(newValue, ordering: .relaxed)
            wake()
        }
    }

    /// Starts the thread.
    func start() throws(SystemError) -> WorkerThread {
        stop.reset()
        let state = SendableBox(
            WalkState(dump: try TableDump(), expected: try ExpectationSieve()))
        return try WorkerThread(named: "ct_sync_init") { [self] in run(state.value) }
    }

    /// Lets the thread end.
    func requestStop() {
        stop.stop()
    }

    /// Wakes it: a walk is wanted.
    func wake() {
        stop.wake.signal()
    }

    private func run(_ state: WalkState) {
        var lastWalk = Clock.now()
        while !stop.isStopped {
            guard let number = master.beginInitsync() else {
                sleep(since: lastWalk)
                continue
            }
            let isDone = walk(number, state)
            master.initsyncEnded()
            lastWalk = Clock.now()
            if !isDone, !stop.isStopped {
                failures.wrappingAdd(1, ordering: .relaxed)
                master.requireInitsync()
                stop.sleep(until: Clock.now() + Self.retryPause)
            }
        }
    }

    /// Sleeps until it is signalled or a reconciliation is due, and then wants one.
    private func sleep(since lastWalk: Instant) {
        guard reconcileInterval > 0 else {
            stop.sleep()
            return
        }
        stop.sleep(until: lastWalk + reconcileInterval)
        guard !stop.isStopped, Clock.now() >= lastWalk + reconcileInterval else { return }
        reconciliations.wrappingAdd(1, ordering: .relaxed)
        master.requireInitsync()
    }

    private func walk(_ number: UInt32, _ state: WalkState) -> Bool {
        let dump = state.dump
        guard let begin = bracket(.UPDATE, number) else { return false }
        master.initsyncBegan(in: begin)
        var pace = InitsyncPace(packetsPerSecond: packetsPerSecond, now: Clock.now())
        _ = master.takeAskedAgain()
        do throws(SystemError) {
            try dump.start()
            var isMore = true
            while isMore, !stop.isStopped {
                let filter = filter.current
                var byteCount = 0
                isMore = try dump.step { entry in byteCount += append(entry, filter) }
                ring.flush()
                pace.set(packetsPerSecond: packetsPerSecond)
                let packets = UInt64((byteCount + ring.slotByteCount - 1) / ring.slotByteCount)
                let next = pace.spend(
                    packets, wasAskedAgain: master.takeAskedAgain(), now: Clock.now())
                pause(until: next)
            }
            try walkExpectations(state)
        } catch {
            dump.cancel()
            return false
        }
        guard !stop.isStopped else {
            dump.cancel()
            return false
        }
        return bracket(.DELETE, number) != nil
    }

    /// The expectations, after the entries that they need: at most nf_conntrack_expect_max.
    private func walkExpectations(_ state: WalkState) throws(SystemError) {
        guard !stop.isStopped else { return }
        let dump = state.dump
        try dump.startExpectations()
        var isMore = true
        while isMore, !stop.isStopped {
            let filter = filter.current
            isMore = try dump.step { _ in
            } expectation: { expectation in
                if state.expected.admits(expectation, filter) { append(copy expectation) }
            }
            ring.flush()
        }
    }

    private func append(_ expectation: Expectation) {
        while ring.appendUpdate(expectation, bits: MessageKind.initsync) == .full {
            guard !stop.isStopped else { return }
            stop.sleep(until: Clock.now() + Self.patience)
        }
        entries.wrappingAdd(1, ordering: .relaxed)
    }

    /// Sleeps although it is signalled: further requests wait for the end of the walk. A new rate
    /// holds at once.
    private func pause(until next: Instant) {
        let rate = packetsPerSecond
        while !stop.isStopped, Clock.now() < next, packetsPerSecond == rate {
            stop.sleep(until: next)
        }
    }

    private func append(_ dumped: borrowing Entry, _ filter: ReplicationFilter) -> Int {
        var entry = copy dumped
        guard filter.admits(entry) else { return 0 }
        entry.prepareForReplication()
        while ring.appendUpdate(entry, bits: MessageKind.initsync) == .full {
            guard !stop.isStopped else { return 0 }
            stop.sleep(until: Clock.now() + Self.patience)
        }
        entries.wrappingAdd(1, ordering: .relaxed)
        // Key, status, timeout and TCP state: what most entries take.
        return entry.key.tuple.family == .ipv4 ? 32 : 56
    }

    private func bracket(_ type: MessageKind.MessageType, _ number: UInt32) -> UInt64? {
        while !stop.isStopped {
            if let sequence = ring.appendBracket(type, number: number) { return sequence }
            stop.sleep(until: Clock.now() + Self.patience)
        }
        return nil
    }
}

/// What the walk's thread alone uses.
private final class WalkState {
    let dump: TableDump
    let expected: ExpectationSieve

    init(dump: TableDump, expected: consuming ExpectationSieve) {
        self.dump = dump
        self.expected = expected
    }
}
