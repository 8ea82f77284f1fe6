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

    @Test func everyScheduleKeepsThePromises() throws {
        let only = Self.setting("CTSYNC_SEED")
        let first = Self.setting("CTSYNC_FIRST") ?? 1
        let count = Self.setting("CTSYNC_SCHEDULES") ?? 1_000
        let minutes = Self.setting("CTSYNC_MINUTES")
        let run = SimulationRun(
            seeds: only.map { $0...$0 } ?? first...(minutes == nil ? first + count - 1 : .max),
            until: minutes.map { Clock.now() + $0 * 60 * Duration.second },
            failureLimit: Int(Self.setting("CTSYNC_FAILURES") ?? 3))
        try run.go(threads: only == nil ? 2 : 1)
        print(run.summary)
        // What it still finds is listed in docs/hacking.md; one seed run by itself fails.
        if only == nil, !run.failures.isEmpty {
            withKnownIssue("schedules that break a promise", isIntermittent: true) {
                for failure in run.failures { Issue.record("\(failure)") }
            }
        } else {
            for failure in run.failures { Issue.record("\(failure)") }
        }
        guard only == nil, minutes == nil, count >= 1_000, run.failures.isEmpty else { return }
        // The schedules are worth something only while all of this happens in them.
        let total = run.total
        #expect(total.agreements > 1_000)
        #expect(total.kept > 1_000)
        #expect(total.overruns > 100)
        for counter in total.counters { #expect(counter > 100) }
    }
}
