// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

@testable import CTSync

/// Many schedules, on several threads; what fails is shortened.
final class SimulationRun: Sendable {
    /// What happened in all of them.
    struct Total {
        var schedules = 0
        var agreements = 0
        var kept = 0
        var overruns = 0
        /// What slaves kept for all of the grace, as their master's kernel had flushed it.
        var flushed = 0
        var counters = [UInt64](repeating: 0, count: 7)
    }

    private struct State {
        var next: UInt64
        var total = Total()
        var failures: [String] = []
    }

    private let last: UInt64
    private let deadline: Instant?
    private let failureLimit: Int
    private let state: Mutex<State>

    /// - Parameter until: no schedule is begun after it; nil for all seeds.
    init(seeds: ClosedRange<UInt64>, until: Instant?, failureLimit: Int) {
        last = seeds.upperBound
        deadline = until
        self.failureLimit = failureLimit
        state = Mutex(State(next: seeds.lowerBound))
    }

    var total: Total { state.withLock { $0.total } }
    /// Of each failing schedule its seed, what failed, and the steps that it takes.
    var failures: [String] { state.withLock { $0.failures } }

    var summary: String {
        let total = total
        return """
            schedules \(total.schedules), agreements \(total.agreements), kept \(total.kept), \
            overruns \(total.overruns), kept of flushes \(total.flushed), recovered, lost, initsyncs, purged, insufficient, beyond, \
            stale: \(total.counters)
            """
    }

    /// Runs them.
    func go(threads count: Int) throws(SystemError) {
        for index in 1..<max(count, 1) {
            let box = SendableBox(ThreadBox(try start(index)))
            workers.withLock { $0.append(box) }
        }
        work()
        for worker in workers.withLock({ $0 }) { worker.value.join() }
    }

    private func start(_ index: Int) throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "simulation-\(index)") { [self] in work() }
    }

    private let workers = Mutex<[SendableBox<ThreadBox>]>([])

    private func take() -> UInt64? {
        state.withLock { state in
            guard state.next <= last, state.failures.count < failureLimit else { return nil }
            if let deadline, Clock.now() > deadline { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    private func work() {
        while let seed = take() { run(seed) }
    }

    private func run(_ seed: UInt64) {
        let schedule = Schedule(seed: seed)
        let (failure, cluster) = Self.failure(of: schedule)
        state.withLock { state in
            state.total.schedules += 1
            guard let cluster else { return }
            state.total.agreements += cluster.agreements
            state.total.kept += cluster.kept
            state.total.overruns += cluster.overruns
            state.total.flushed += cluster.flushed.keptCount
            for (index, count) in cluster.counters.enumerated() {
                state.total.counters[index] += count
            }
        }
        guard let failure else { return }
        let report = Self.shortened(schedule, failure)
        state.withLock { $0.failures.append(report) }
    }

    /// Runs a schedule; what it breaks, if anything.
    static func failure(
        of schedule: Schedule
    ) -> (SimulatedCluster.Failure?, SimulatedCluster?) {
        var cluster: SimulatedCluster?
        do {
            let made = try SimulatedCluster(schedule)
            cluster = made
            try made.run()
            return (nil, made)
        } catch let failure as SimulatedCluster.Failure {
            return (failure, cluster)
        } catch {
            return (SimulatedCluster.Failure(0, "\(error)"), cluster)
        }
    }

    /// Leaves out of a failing schedule all that is not needed for breaking the same promise.
    private static func shortened(
        _ schedule: Schedule, _ failure: SimulatedCluster.Failure
    ) -> String {
        var best = schedule
        var reason = failure
        var width = max(best.steps.count / 2, 1)
        var tries = 0
        while width >= 1, tries < 60, !best.steps.isEmpty {
            var from = 0
            while from < best.steps.count, tries < 60 {
                let kept =
                    Array(0..<from) + Array(min(from + width, best.steps.count)..<best.steps.count)
                let candidate = best.keeping(kept)
                tries += 1
                if let other = Self.failure(of: candidate).0, other.promise == failure.promise {
                    best = candidate
                    reason = other
                } else {
                    from += width
                }
            }
            width /= 2
        }
        if SimulatedTrace.isWanted {
            best.isTraced = true
            _ = Self.failure(of: best)
        }
        let steps = best.steps.map { "\n    step \($0.at): \($0.action)" }.joined()
        return "CTSYNC_SEED=\(schedule.seed), \(schedule.nodeCount) nodes: \(failure)\n"
            + "  shortened from \(schedule.steps.count) steps to \(best.steps.count), which breaks "
            + "\(reason):\(steps)"
    }
}

/// Carries a thread to where it is joined.
final class ThreadBox {
    private var thread: WorkerThread?

    init(_ thread: consuming WorkerThread) {
        self.thread = consume thread
    }

    func join() {
        thread.take()?.join()
    }
}
