// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// The control file, the status and the life of a daemon.
    @Suite struct RoleTests {
        @Test(arguments: [NodeRole.master, .slave])
        func controlFileSaysTheRoleAtStart(_ role: NodeRole) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: role)
                #expect(try node.read() == role.rawValue)
            }
        }

        @Test func controlFileChangesTheRole() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                let orders: [(String, NodeRole)] = [
                    ("1\n", .master), ("0\n", .slave), ("master\n", .master), ("slave\n", .slave),
                    ("1", .master), ("slave", .slave),
                ]
                for (text, role) in orders {
                    try node.write(text)
                    try node.waitForRole(role)
                }
                for (text, role) in orders {
                    try node.replace(text)
                    try node.waitForRole(role)
                }
            }
        }

        @Test(arguments: ["garbage\n", "", "2\n", "masters\n", "1 0\n", "master slave\n"])
        func controlFileRefusesAnythingElse(_ text: String) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                let logged = node.log.count
                if text.isEmpty { try node.replace(text) } else { try node.write(text) }
                try eventually("the true role in the file") { try node.read() == "slave" }
                #expect(try node.status()?.role == .slave)
                if !text.isEmpty {
                    try eventually("a line in the log") { node.log.count > logged }
                }
                // It still obeys.
                try node.write("1\n")
                try node.waitForRole(.master)
            }
        }

        /// The sync device is removed and made anew under the same name, on the standby's side and on
        /// the master's: both go on with the new one.
        @Test(arguments: [0, 1])
        func aSyncDeviceThatIsMadeAnewIsFollowed(_ number: Int) throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let node = cluster.firewalls[number]
                try cluster.remakeSyncDevice(of: node)
                try eventually("the loss in the log") { node.log.contains("sync0 is gone") }
                try cluster.waitInSync()
                try MadeEntries.create(0..<10, in: cluster.firewalls[0].host)
                try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0], atLeast: 10)
            }
        }

        /// A firewall that is loaded anew flushes all rules, the daemon's own among them.
        @Test func theTableForTheSyncLinkComesBack() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let before = try node.nftTables().filter { $0.contains("inet ct_sync_") }
                #expect(before.count == 1)
                try node.host.nft("flush ruleset")
                try eventually("the table", within: 2) { try node.nftTables() == before }
            }
        }

        /// A clock that was set back while the daemon was down makes no epoch that slaves have left
        /// behind: the highest stands beside the control file.
        @Test func anEpochIsHigherThanThoseOfEarlierRuns() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons()
                first.kill()
                let inTheYear2100: UInt64 = 4_102_444_800_000_000
                try "1\n\(inTheYear2100)\n".write(
                    toFile: first.controlFile + ".lock", atomically: false, encoding: .utf8)
                try first.start(role: .master)
                try cluster.waitInSync()
                #expect(try first.status()?.epoch == inTheYear2100 + 1)
                // Who has followed it remembers too.
                second.kill()
                first.kill()
                try second.start(role: .master)
                #expect(try second.status()?.epoch == inTheYear2100 + 2)
            }
        }

        /// Orders that follow each other faster than they are carried out: the last one counts.
        @Test func lastOfManyOrdersCounts() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                for last in ["1\n", "0\n"] {
                    for number in 0..<50 {
                        try node.write(number % 2 == 0 ? "0\n" : "1\n")
                    }
                    try node.write(last)
                    try node.waitForRole(last == "1\n" ? .master : .slave)
                }
            }
        }

        @Test func secondStartIsRefused() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let words = node.host.words([try Daemon.binary()] + node.flags(role: .slave))
                let second = try Command.result(of: words, deadline: 5)
                #expect(second.status != 0)
                #expect(second.errors.contains(node.controlFile), "\(second.errors)")
                #expect(try node.status()?.role == .master)
                #expect(try node.read() == "master")
            }
        }

        @Test(arguments: [NodeRole.master, .slave], [SIGTERM, SIGINT])
        func signalEndsItQuickly(_ role: NodeRole, _ signal: CInt) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let tables = try node.nftTables()
                try MadeEntries.create(0..<1000, in: node.host)
                try node.start(role: role)
                #expect(try node.nftTables().count > tables.count)
                let daemon = try #require(node.daemon)
                daemon.signal(signal)
                #expect(try daemon.waitForEnd(within: 2) == 0)
                #expect(try node.nftTables() == tables)
                #expect(try node.statusCommand().status == 2)
                try node.start(role: role)
            }
        }

        @Test func killedDaemonStartsAgain() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let tables = try node.nftTables()
                for _ in 0..<3 {
                    node.kill()
                    #expect(try node.statusCommand().status == 2)
                    try node.start(role: .master)
                    #expect(try node.nftTables() == tables)
                }
                #expect(try node.stop() == 0)
            }
        }

        /// The dying process holds its lock for a moment; the next one waits for it.
        @Test func killedDaemonStartsAgainAtOnce() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                for _ in 0..<10 {
                    let dying = try #require(node.daemon)
                    dying.signal(SIGKILL)
                    try node.start(role: .master)
                    try dying.waitForEnd(within: 5)
                }
                #expect(try node.stop() == 0)
            }
        }

        /// Its client has said that the role is not changed.
        @Test func anOrderThatWasGivenUpIsNotCarriedOut() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                let daemon = try #require(node.daemon)
                daemon.signal(SIGSTOP)
                #expect(try node.command(["promote", "--timeout", "1"]).status == 1)
                try node.write("0\n")
                daemon.signal(SIGCONT)
                pause(1)
                #expect(try node.status()?.role == .slave)
                #expect(try node.read() == "slave")
                #expect(!node.log.contains("MASTER"), "\(node.log)")
            }
        }

        /// keepalived runs its notify scripts side by side; the last one started counts.
        @Test func theLastOfTwoNotificationsCounts() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                    .deletingLastPathComponent().deletingLastPathComponent()
                let conf = top.appendingPathComponent("conf").path
                let pairs = [("BACKUP", "MASTER"), ("MASTER", "BACKUP")]
                for number in 0..<50 {
                    let (first, last) = pairs[number % 2]
                    try Command.run([
                        "sh", "-c",
                        """
                        export CT_SYNC_ROLE="$0/ct_sync-role"
                        "$0/keepalived/ct_sync-notify" -f "$1" INSTANCE vi "$2" 100 &
                        sleep "$4"
                        "$0/keepalived/ct_sync-notify" -f "$1" INSTANCE vi "$3" 100 &
                        wait
                        """, conf, node.controlFile, first, last, "0.00\(number % 5)",
                    ])
                    let role: NodeRole = last == "MASTER" ? .master : .slave
                    #expect(try node.status()?.role == role, "pair \(number): \(first), \(last)")
                }
            }
        }

        /// 0 in sync, 1 not, 2 nobody there.
        /// The higher epoch stays; the other steps down by itself and says so.
        @Test func newerMasterDemotesTheOlder() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<100, in: first.host)
                try first.start(role: .master)
                try second.start(role: .slave)
                try cluster.waitInSync()
                try second.write("1\n")
                try first.waitForRole(.slave)
                try second.waitForRole(.master)
                try cluster.waitInSync()
                try first.write("1\n")
                try second.waitForRole(.slave)
                try first.waitForRole(.master)
            }
        }

        /// A slave that has heard a higher claim follows nothing below it, also when its maker is gone: the
        /// master, whose timers have begun, claims above it, and begins them again.
        @Test func aClaimThatNobodyMakesIsOutbid() throws {
            try withCluster { cluster in
                let (slave, master) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<100, in: slave.host)
                try cluster.startDaemons()
                try cluster.waitInSync()
                // With replicas whose packets it waits for, the thread stays.
                try slave.write("0\n")
                try master.write("1\n")
                try master.waitForRole(.master)
                try slave.waitForRole(.slave)
                try eventually("the thread of the timers") { try timerThreads(master) == 1 }
                let epoch = try #require(try master.status()).epoch
                let forged = ForgedPackets(against: epoch, nodeID: 2)
                let socket = try ForgingSocket(in: master.host, ipv6: false, device: "sync0")
                try eventually("the forged claim at the slave", detail: { slave.log }) {
                    try socket.send([forged.announcement], to: Plan.sync(1), hopLimit: 255)
                    return try slave.status()?.epoch == forged.epoch
                }
                try eventually("a higher claim", detail: { master.log }) {
                    guard let status = try master.status() else { return false }
                    return status.epoch > forged.epoch && status.role == .master
                }
                try cluster.waitInSync()
                try slave.waitForEqualTable(to: master, atLeast: 100)
                #expect(try timerThreads(master) == 1)
            }
        }

        private func timerThreads(_ node: Firewall) throws -> Int {
            let tasks = "/proc/\(node.daemon?.pid ?? 0)/task"
            return try FileManager.default.contentsOfDirectory(atPath: tasks).count { task in
                let name = try? String(contentsOfFile: "\(tasks)/\(task)/comm", encoding: .utf8)
                return name == "ct_sync_timer\n"
            }
        }

        /// Both start as masters, on a link that joins them only afterwards.
        @Test func oneOfTwoMastersStays() throws {
            try withCluster { cluster in
                let nodes = cluster.firewalls
                try cluster.cutSync(nodes[1])
                for node in nodes { try node.start(role: .master) }
                let epochs = try nodes.map { try #require(try $0.status()).epoch }
                try cluster.restoreSync(nodes[1])
                let winner = epochs[0] > epochs[1] ? 0 : 1
                try nodes[1 - winner].waitForRole(.slave)
                try nodes[winner].waitForRole(.master)
                try cluster.waitInSync()
                #expect(try nodes[winner].status()?.epoch == epochs[winner])
            }
        }

        @Test func eventsAreSwitchedOn() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                let words = ["cat", "/proc/sys/net/netfilter/nf_conntrack_events"]
                #expect(try node.host.run(words) == "1\n")
            }
        }

        /// Its own packets are not connections.
        @Test func syncTrafficIsNotTracked() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                for node in cluster.firewalls {
                    #expect(try node.host.run(["conntrack", "-L", "-p", "udp"]) == "")
                }
            }
        }
    }
}
