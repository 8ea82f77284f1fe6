// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// A thousand schedules of a simulated cluster. `CTSYNC_SEED=n` runs only that one,
/// `CTSYNC_SCHEDULES=n` that many.
@Suite struct SimulationTests {
    private static func setting(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    @Test func everyScheduleEndsWithEqualTables() throws {
        let only = Self.setting("CTSYNC_SEED")
        let count = Self.setting("CTSYNC_SCHEDULES") ?? 1_000
        let seeds = only.map { $0...$0 } ?? 1...count
        var counters = [UInt64](repeating: 0, count: 7)
        var agreements = 0
        var overruns = 0
        var failures = 0
        for seed in seeds where failures < 5 {
            let cluster = try SimulatedCluster(seed: seed)
            do {
                try cluster.run()
            } catch {
                Issue.record("CTSYNC_SEED=\(seed): \(error)")
                failures += 1
            }
            agreements += cluster.agreements
            overruns += cluster.overruns
            for (index, count) in cluster.counters.enumerated() { counters[index] += count }
        }
        print(
            "schedules \(seeds.count), agreements \(agreements), overruns \(overruns),",
            "recovered, lost, initsyncs, purged, insufficient, beyond, stale: \(counters)")
        guard only == nil, count >= 1_000, failures == 0 else { return }
        // The schedules are worth something only while all of this happens in them.
        #expect(agreements > 1_000)
        #expect(overruns > 100)
        for counter in counters { #expect(counter > 100) }
    }
}
