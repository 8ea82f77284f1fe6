// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc
import Testing

extension ClusterTests {
    /// One of two slaves gets nowhere.
    @Suite struct SlowSlaveTests {
        /// It stands while the table is walked and connections come: the other is given both, as if it were
        /// alone, and the one that stood has all when it goes on.
        @Test func oneThatStandsHarmsNobody() throws {
            // More packets than the window of a walk.
            let (count, more, slots) = (4_000, 100, 256)
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let (first, second, third) = (
                    cluster.firewalls[0], cluster.firewalls[1], cluster.firewalls[2]
                )
                try MadeEntries.create(0..<count, in: first.host)
                try cluster.startDaemons([
                    "--reconcile", "0", "--initsync-rate", "0", "--ring-slots", "\(slots)",
                ])
                for slave in [second, third] {
                    try slave.waitForEqualTable(to: first, atLeast: count)
                }
                let before = try RepairCounts(second)
                let walks = try first.count("initsyncs_sent")
                let daemon = try #require(third.daemon)
                daemon.signal(SIGSTOP)
                defer { daemon.signal(SIGCONT) }
                #expect(try first.command(["resync"]).status == 0)
                try MadeEntries.create(count..<count + more, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: count + more)
                try eventually("one walk", detail: { first.statusLine }) {
                    try first.count("initsyncs_sent") == walks + 1
                        && second.count("initsyncs_received") == before.received + 1
                        && second.status()?.isInSync == true
                }
                let after = try RepairCounts(second)
                #expect(after.lost == before.lost && after.requested == before.requested)
                #expect(try third.table().count == count)
                daemon.signal(SIGCONT)
                try third.waitForEqualTable(to: first, atLeast: count + more)
                try cluster.waitInSync()
                #expect(try second.count("initsyncs_requested") == before.requested)
            }
        }
    }
}
