// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// What a daemon changes in its own kernel is no news to anybody.
    @Suite struct OwnChangeTests {
        /// A promotion starts the timers of all replicas: as many changes, of which the new master takes
        /// none for an event of the connections'.
        @Test func aPromotionTellsNothingOfItsReplicas() throws {
            let (count, more) = (2_000, 20)
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--reconcile", "0"])
                try MadeEntries.create(0..<count, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: count)
                let events = try second.count("events")
                // Nobody is left to whom the table would be told.
                try cluster.crash(first)
                #expect(try second.command(["promote"]).status == 0)
                try eventually("their timers", detail: { second.statusLine }) {
                    try second.status()?.number("timers_started", of: "injected") ?? 0 >= count
                }
                // Events come in their order: after these no others are on the way.
                try MadeEntries.create(count..<count + more, in: second.host)
                try eventually("what happens now", detail: { second.statusLine }) {
                    try second.count("events") >= events + more
                }
                #expect(try second.count("events") == events + more)
                #expect(try second.count("sequence") <= more)
            }
        }
    }
}
