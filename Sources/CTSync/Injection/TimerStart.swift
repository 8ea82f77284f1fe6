// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// Starts the replicas' timers after a promotion, in the background.
///
/// Thread: `ct_sync_timer`, until the walk is done or stopped. It owns the replica table meanwhile.
///
/// 1. Dump the kernel's table, 32 KiB at a time.
/// 2. An entry that still has the long timeout it was held with has seen no packet since: it is given
///    the time it would have had. Any other has been given its time by a packet, and is left alone.
///
/// A packet that comes between the two steps sets its connection's timeout again at the next. Then it
/// looks after connections that stall (`WindowMender`).
final class TimerStart: Sendable {
    /// What follows the walk.
    let windows = WindowMender()
    private let stop: StopSign
    private let started = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)

    init() throws(SystemError) {
        stop = try StopSign()
    }

    /// Replicas whose timers were started, by all walks.
    var startedCount: UInt64 { started.load(ordering: .relaxed) }
    /// Walks and looks that failed.
    var failureCount: UInt64 { failures.load(ordering: .relaxed) }

    /// Starts the thread.
    ///
    /// - Parameter whenStarted: called on it after the timers' walk, whole or not.
    func start(
        _ table: SendableBox<ReplicaTable>, whenStarted: @escaping @Sendable () -> Void
    ) throws(SystemError) -> WorkerThread {
        stop.reset()
        let promotedAt = Clock.now()
        return try WorkerThread(named: "ct_sync_timer") { [self] in
            walk(table.value, until: .max)
            whenStarted()
            guard table.value.aliveCount > 0 else { return }
            do throws(SystemError) {
                try windows.run(table.value, promotedAt: promotedAt, stop)
            } catch {
                failures.wrappingAdd(1, ordering: .relaxed)
            }
        }
    }

    /// Lets the thread end.
    func requestStop() {
        stop.stop()
    }

    /// The expectations first, as they are few and short-lived.
    private func startExpectations(
        _ table: ExpectationTable, _ batch: RequestBatch
    ) throws(SystemError) {
        let now = UInt32(truncatingIfNeeded: Clock.now() / Duration.second)
        let wanted: HeldExpectation.Flags = [.alive, .inKernel]
        for place in 0..<table.highWater where table.held[place].flags.isSuperset(of: wanted) {
            let held = table.held[place]
            let seconds = held.remainingSeconds(now: now)
            if !batch.updateTimeout(held.expectation, timeoutSeconds: seconds, tag: 0) {
                try batch.send { _, _ in }
                _ = batch.updateTimeout(held.expectation, timeoutSeconds: seconds, tag: 0)
            }
            started.wrappingAdd(1, ordering: .relaxed)
        }
        // Refused is only what has gone meanwhile.
        try batch.send { _, _ in }
    }

    /// Walks the table in the calling thread, at most until this instant.
    func walk(_ table: ReplicaTable, until deadline: Instant) {
        guard table.aliveCount > 0 else { return }
        do throws(SystemError) {
            let dump = try TableDump()
            let batch = try RequestBatch()
            try startExpectations(table.expectations, batch)
            try dump.start()
            var isMore = true
            while isMore, !stop.isStopped, Clock.now() < deadline {
                let now = UInt32(truncatingIfNeeded: Clock.now() / Duration.second)
                isMore = try dump.step { entry in
                    guard let seconds = table.remainingTime(of: entry, now: now) else { return }
                    // A step holds fewer entries than a batch has room for.
                    if batch.updateTimeout(entry.key, timeoutSeconds: seconds, tag: 0) {
                        started.wrappingAdd(1, ordering: .relaxed)
                    }
                }
                // Refused is only what has gone meanwhile.
                try batch.send { _, _ in }
            }
            dump.cancel()
        } catch {
            failures.wrappingAdd(1, ordering: .relaxed)
        }
    }
}
