// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// How a promotion goes, whatever there is to promote.
    @Suite struct PromotionTests {
        /// Entries of a large table: below the default nf_conntrack_max of small machines.
        private static let large = 150_000

        /// Nothing before the first forwarded packet depends on the size of the table: a promotion
        /// that looked at each entry would take hundreds of times as long with the large one.
        @Test func takesTheSameTimeWhateverTheTable() throws {
            try withCluster { cluster in
                try cluster.startDaemons(["--initsync-rate", "0"])
                let small = try promotionTimes(cluster, entries: 0..<10)
                let large = try promotionTimes(cluster, entries: 10..<Self.large)
                #expect(
                    median(large) < 10 * median(small),
                    "us with 10 entries: \(small); with \(Self.large): \(large)")
            }
        }

        /// Makes entries on the master, then moves the role to and fro.
        private func promotionTimes(_ cluster: Cluster, entries: Range<Int>) throws -> [Int] {
            let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
            try MadeEntries.create(entries, in: first.host)
            var times: [Int] = []
            for firewall in [second, first, second, first] {
                try eventually("all entries on \(firewall.name)", within: 60, every: 0.05) {
                    try firewall.status()?.entriesHeld == entries.upperBound
                }
                try cluster.waitInSync(within: 60)
                try firewall.write("1\n")
                try firewall.waitForRole(.master)
                let status = try #require(try firewall.status())
                times.append(status.promotionMicroseconds)
            }
            return times
        }

        private func median(_ values: [Int]) -> Int { values.sorted()[values.count / 2] }

        /// The command does what the control file does, and says so with its exit status.
        @Test func commandsChangeTheRole() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                #expect(try second.command(["promote"]).status == 0)
                #expect(try second.read() == "master")
                try first.waitForRole(.slave)
                #expect(try second.command(["promote"]).status == 0, "it is master already")
                #expect(try second.command(["demote", "--wait"]).status == 0)
                #expect(try second.read() == "slave")
                second.kill()
                let orphaned = try second.command(["promote"])
                #expect(orphaned.status == 2)
                #expect(orphaned.errors.contains("no daemon answers"))
            }
        }

        /// A promotion in the middle of an initsync waits for its end, and not longer.
        @Test func waitsForAnInitsyncWhereAsked() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<20_000, in: first.host)
                try first.start(role: .master, ["--initsync-rate", "100"])
                try second.start(role: .slave, ["--require-sync", "60"])
                try eventually("the initsync has begun") {
                    let held = try second.status()?.entriesHeld ?? 0
                    return held > 0 && held < 20_000
                }
                let refused = try second.command(["promote"])
                #expect(refused.status == 1)
                #expect(refused.errors.contains("waits for an initsync"))
                #expect(try second.command(["promote", "--wait", "--timeout", "60"]).status == 0)
                #expect(try second.table().count == 20_000)
            }
        }
    }
}
