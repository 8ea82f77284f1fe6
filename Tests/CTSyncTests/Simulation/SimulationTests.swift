// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization
import Testing

@testable import CTSync

/// A simulated cluster through many schedules. `CTSYNC_SEED=n` runs only that one,
/// `CTSYNC_SCHEDULES=n` that many, `CTSYNC_MINUTES=n` as many as fit.
@Suite struct SimulationTests {
    private static func setting(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    /// Each call that a daemon makes fails, once, at every point at which it is made: at the start, in a
    /// promotion, in a demotion, in an initsync, at a stop, and in between.
    @Test(arguments: [0, 1])
    func everyCallFailsOnce(_ node: Int) throws {
        let (failure, cluster) = SimulationRun.failure(of: Schedule(failing: 0, of: node))
        try #require(failure == nil, "none fails: \(failure!)")
        let names = try #require(cluster).nodes[node].kernel.calls.names
        for (index, name) in names.enumerated() {
            let (failure, cluster) = SimulationRun.failure(
                of: Schedule(failing: index + 1, of: node))
            #expect(cluster?.nodes[node].kernel.calls.failed == name)
            #expect(failure == nil, "call \(index + 1), \(name), of node \(node): \(failure!)")
        }
        #expect(Set(names).count > 8, "\(Set(names))")
    }

    /// Schedules of higher seeds that found a fault.
    private static let found: [UInt64] = [
        1267, 1331, 1439, 1479, 1567, 1848, 1936, 1945, 1981, 2189, 2251, 2375, 2464, 2693, 2789,
        2811, 2928, 3026, 3171, 3176, 3369, 3770, 3925, 4159, 4247, 4296, 4469, 4689, 4913, 4993,
        7020, 7312, 8302, 8844, 9440, 10388, 11618, 13484, 13698, 14626, 15058, 25627, 26459, 1405,
        52720, 76766, 100757, 104269, 107101, 107989, 119221, 134717, 151263, 153639, 154943,
        214479, 303143, 411266, 411601, 1813, 54381, 56949, 71325, 78425, 78541, 83754, 217767,
        219143, 500040, 500054, 500338, 500616, 500810, 501012, 501210, 442002, 444141, 446490,
        503157, 502804, 506681, 517293, 525077, 530653, 530932, 546755, 555992, 519466, 542935,
        515756, 538658,
    ]

    @Test func whatWasFoundStaysMended() {
        for seed in Self.found {
            let (failure, _) = SimulationRun.failure(of: Schedule(seed: seed))
            #expect(failure == nil, "CTSYNC_SEED=\(seed): \(failure!)")
        }
    }

    /// A stranger on the link is sent nothing, and changes nothing for long.
    @Test func forgedPacketsAreGotOver() {
        for seed in UInt64(1)...100 {
            var schedule = Schedule(seed: seed)
            guard schedule.habits.isEmpty else { continue }
            schedule.habits = .forgeries
            let (failure, _) = SimulationRun.failure(of: schedule)
            #expect(failure == nil, "CTSYNC_HABITS=262144 CTSYNC_SEED=\(seed): \(failure!)")
        }
    }

    /// Half of them have some of the later habits (`Schedule.Habits`).
    @Test func schedulesOfLaterHabitsKeepThePromises() throws {
        let settings = ["SEED", "FIRST", "SCHEDULES", "MINUTES"]
        guard settings.allSatisfy({ Self.setting("CTSYNC_" + $0) == nil }) else { return }
        let first = Schedule.Habits.lastOfOld + 1
        let run = SimulationRun(seeds: first...first + 299, until: nil, failureLimit: 20)
        try run.go(threads: 2)
        for failure in run.failures { Issue.record("\(failure)") }
        #expect(run.total.flushed > 3)
    }

    @Test func everyScheduleKeepsThePromises() throws {
        let only = Self.setting("CTSYNC_SEED")
        let first = Self.setting("CTSYNC_FIRST") ?? 1
        let count = Self.setting("CTSYNC_SCHEDULES") ?? 1_000
        let minutes = Self.setting("CTSYNC_MINUTES")
        let limit = Int(Self.setting("CTSYNC_FAILURES") ?? 20)
        let run = SimulationRun(
            seeds: only.map { $0...$0 } ?? first...(minutes == nil ? first + count - 1 : .max),
            until: minutes.map { Clock.now() + $0 * 60 * Duration.second },
            failureLimit: limit)
        try run.go(threads: only == nil ? 2 : 1)
        print(run.summary)
        for failure in run.failures { Issue.record("\(failure)") }
        guard only == nil, minutes == nil, count >= 1_000 else { return }
        // The schedules are worth something only while all of this happens in them.
        let total = run.total
        #expect(total.agreements > 1_000)
        #expect(total.kept > 1_000)
        #expect(total.overruns > 100)
        for counter in total.counters { #expect(counter > 100) }
    }
}
