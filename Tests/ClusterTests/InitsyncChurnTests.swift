// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// What happens to a slave's table, which has few places, while a walk that crawls fills it.
    @Suite struct InitsyncChurnTests {
        private static let entries = 1_000
        /// The walk of so many takes 40 s; what is waited for takes 5.
        private static let patience = 30.0

        /// Connections come and go, twice as many as there are places: those that have gone take no room
        /// from those that come.
        @Test func theDeadOfAWalkLeaveRoomForTheLiving() throws {
            let (rounds, alive) = (12, 250)
            try whileWalking(places: 1_500) { first, second in
                for round in 0..<rounds {
                    // Of an address of their own.
                    let start = 50_000 + round * alive
                    try MadeEntries.create(start..<start + alive, in: first.host)
                    guard round > 0 else { continue }
                    try MadeEntries.delete(start - alive..<start, in: first.host)
                }
                try eventually("the living", within: Self.patience, detail: { second.statusLine }) {
                    let found = try second.table(ipv6: false)
                    return found.count { $0.original.source == "10.1.1.1" } == alive
                }
                return alive
            }
        }

        /// `flush` in the middle: what it takes away leaves no place taken.
        @Test func aFlushInAWalkFreesEveryPlace() throws {
            let (copies, spare) = (100, 50)
            try whileWalking(places: Self.entries + spare) { _, second in
                try eventually("copies", within: Self.patience, detail: { second.statusLine }) {
                    try second.status()?.entriesHeld ?? 0 >= copies
                }
                #expect(try second.command(["flush"]).status == 0)
                return 0
            }
        }

        /// Walks a master's table at a crawl, has something done meanwhile, lets the walk go, and compares
        /// the tables.
        ///
        /// - Parameter body: says how many entries the master has more when it ends.
        private func whileWalking(
            places: Int, _ body: (Firewall, Firewall) throws -> Int
        ) throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<Self.entries, in: first.host)
                let quiet = ["--reconcile", "0"]
                try first.start(role: .master, quiet + ["--initsync-rate", "1"])
                try second.start(role: .slave, quiet + ["--max-entries", "\(places)"])
                try eventually("a walk", within: Self.patience, detail: { second.statusLine }) {
                    try second.status()?.entriesHeld ?? 0 > 0
                }
                let more = try body(first, second)
                let status = try #require(try first.status())
                #expect(status.text.contains("\"initsync_running\": true"))
                #expect(try first.command(["initsync-rate", "0"]).status == 0)
                try cluster.waitInSync()
                try second.waitForEqualTable(to: first, atLeast: Self.entries + more)
                #expect(try second.count("table_full") == 0)
            }
        }
    }
}
