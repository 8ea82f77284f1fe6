// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Synchronization
import Testing

extension ClusterTests {
    /// How a promotion goes, whatever there is to promote.
    @Suite struct PromotionTests {
        /// Entries of a large table: below the default nf_conntrack_max of small machines.
        private static let large = 150_000
        /// Entries of a table whose walk is much longer than a promotion.
        private static let walked = 60_000

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

        private func median<Value: Comparable>(_ values: [Value]) -> Value {
            values.sorted()[values.count / 2]
        }

        /// In the middle of an initsync, while connections come and go, it takes what has arrived when the
        /// order comes, and waits neither for the walk nor for a pause of the events.
        @Test func takesWhatHasArrivedUnderAFlood() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<Self.walked, in: first.host)
                let flags = ["--initsync-rate", "0", "--require-sync", "0"]
                try first.start(role: .master, flags)
                let isOver = Box(Atomic(false))
                let host = first.host
                let flood = Background(named: "cts_flood") {
                    let numbers = Self.walked..<Self.walked + 500
                    let steps = numbers.flatMap { [MadeEntries.Step.create($0), .delete($0)] }
                    while !isOver.value.load(ordering: .relaxed) {
                        try? MadeEntries.apply(steps, in: host, pauseMicroseconds: 100)
                    }
                }
                defer {
                    isOver.value.store(true, ordering: .relaxed)
                    flood.join()
                }
                var walks: [Double] = []
                var promotions: [Double] = []
                for _ in 0..<3 {
                    let began = Stopwatch.seconds()
                    try startEmpty(second, flags)
                    try cluster.waitInSync(within: 60)
                    walks.append(Stopwatch.seconds() - began)
                    try startEmpty(second, flags)
                    try second.write("1\n")
                    try second.waitForRole(.master)
                    let status = try #require(try second.status())
                    promotions.append(Double(status.promotionMicroseconds) / 1e6)
                    // It takes over what it has not.
                    try eventually("the whole table", within: 60, detail: { cluster.logs }) {
                        try second.table().count >= Self.walked
                    }
                    try first.write("1\n")
                    try first.waitForRole(.master)
                }
                print("promotions \(promotions), initsyncs \(walks), in seconds")
                #expect(median(promotions) < median(walks) / 10)
            }
        }

        /// Starts a slave anew, until an initsync has begun.
        private func startEmpty(_ node: Firewall, _ flags: [String]) throws {
            node.kill()
            try node.flush()
            try node.start(role: .slave, flags)
            try eventually("an initsync", every: 0.02, detail: { node.statusLine }) {
                try node.status()?.entriesHeld ?? 0 > 1_000
            }
        }

        /// A link that takes nothing more holds up neither an answer nor a demotion.
        @Test func aStuckLinkHoldsUpNoDemotion() throws {
            try withCluster { cluster in
                let master = cluster.firewalls[0]
                try master.start(role: .master)
                // It keeps all that it is given, more than the socket may have under way.
                try master.host.run(
                    "tc qdisc add dev sync0 root tbf rate 8bit burst 9100 limit 1000000000"
                        .split(separator: " ").map(String.init))
                try MadeEntries.create(0..<Self.walked, in: master.host)
                var mark: UInt32 = 0
                try eventually("a link that takes no more", within: 60, detail: { master.log }) {
                    mark += 1
                    let steps = (0..<5_000).map { MadeEntries.Step.mark($0, mark) }
                    try MadeEntries.apply(steps, in: master.host)
                    #expect(try master.statusCommand().status <= 1)
                    let metrics = try master.command(["metrics"]).output
                    return metrics.contains("\nct_sync_sends_refused_total ")
                        && !metrics.contains("\nct_sync_sends_refused_total 0\n")
                }
                #expect(try master.command(["demote", "--wait"]).status == 0, "\(master.log)")
                try master.waitForRole(.slave)
            }
        }

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
