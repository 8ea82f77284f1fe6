// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// What becomes of the drop when people, other programs or an earlier daemon meddle with it.
    @Suite struct L2DropFailureTests {
        /// The way out works while a slave runs, and lasts until its next demotion.
        @Test(arguments: ["netdev", "tables"])
        func offStaysOff(_ backend: String) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let echo = try echoes(cluster)
                defer { echo.stop() }
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", backend])
                #expect(try isDark(node))

                let result = try console(node, "off")
                #expect(result.status == 0 && result.output == "l2drop is off\n", "\(result)")
                let meddling = [
                    "nft add table inet theirs", "nft delete table inet theirs",
                    "ip link add other0 type veth peer name other1", "ip link del other0",
                    "nft flush ruleset",
                ]
                for words in meddling + ["true"] {
                    try node.host.run(words.split(separator: " ").map { String($0) })
                    pause(0.2)
                    #expect(try !isDark(node), "\(words)")
                }
                let status = try #require(try node.status())
                #expect(status.role == .slave && status.text.contains("\"l2drop\": false"))
                try echo.expectReplies()
                #expect(try console(node, "off").status == 0, "off again")

                #expect(try node.command(["promote"]).status == 0)
                #expect(try node.command(["demote"]).status == 0)
                #expect(try isDark(node), "demoted again")
                #expect(try node.nftTables().allSatisfy { !$0.contains("l2off") }, "no mark")
                let count = echo.gaps.count
                pause(0.2)
                #expect(echo.gaps.count <= count + 1)
                try node.host.run(["nft", "flush", "ruleset"])
                try eventually("the flushed drop is back") { try isDark(node) }

                // A start puts it on as well.
                #expect(try console(node, "off").status == 0)
                node.kill()
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", backend])
                #expect(try isDark(node), "started again")
                pause(0.5)
                #expect(try isDark(node), "started again, and lasting")
            }
        }

        /// A demotion that leaves the node visible is one, but no success.
        @Test func demotionSaysThatTheNodeIsNotDark() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.host.run(["nft", "add table ip6 mangle"])
                try node.host.run([
                    "nft",
                    "add chain ip6 mangle POSTROUTING "
                        + "{ type filter hook postrouting priority 100; }",
                ])
                try node.start(role: .master, ["--l2drop", "1", "--l2drop-backend", "tables"])
                #expect(try hasNoError(node))
                for _ in 0..<2 {
                    let result = try node.command(["demote"])
                    #expect(result.status == 1)
                    #expect(
                        result.errors.hasPrefix("ct_sync: it is slave, but the node is not dark: "),
                        "\(result)")
                    #expect(result.errors.contains("ip6tables"), "\(result)")
                }
                #expect(try node.read() == "slave")
                #expect(try !hasNoError(node))
                try expectRest(node, "the node is not dark")

                try node.host.run(["nft", "delete table ip6 mangle"])
                try eventually("the drop without its obstacle") {
                    try hasNoError(node) && isDark(node)
                }
                #expect(try node.command(["demote"]).status == 0)
            }
        }

        /// So is a promotion that leaves it dark.
        @Test func promotionSaysThatTheNodeIsDark() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let echo = try echoes(cluster)
                defer { echo.stop() }
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", "tables"])
                // For the daemon alone: `ip netns exec` gave it a mount namespace.
                let refusing = "\(node.controlFile)-refusing"
                try "#!/bin/sh\necho 'not by me' >&2; exit 1\n".write(
                    toFile: refusing, atomically: false, encoding: .utf8)
                try Command.run(["chmod", "755", refusing])
                let pid = try #require(node.daemon?.pid)
                let program = "/usr/sbin/xtables-nft-multi"
                let inside = ["nsenter", "-t", "\(pid)", "-m"]
                try Command.run(inside + ["mount", "--bind", refusing, program])

                let result = try node.command(["promote"])
                #expect(result.status == 1)
                #expect(
                    result.errors.hasPrefix("ct_sync: it is master, but the node is still dark: "),
                    "\(result)")
                #expect(result.errors.contains("not by me"), "\(result)")
                #expect(try node.read() == "master")
                #expect(try !hasNoError(node))
                #expect(try node.status()?.text.contains("\"l2drop\": true") == true)
                try expectRest(node, "the node is still dark")

                try Command.run(inside + ["umount", program])
                try eventually("the end of the drop") { try hasNoError(node) && !isDark(node) }
                try echo.expectReplies()
                #expect(try node.command(["promote"]).status == 0)
            }
        }

        /// A node that has no drop of its own is not kept dark by an earlier daemon's.
        @Test(arguments: ["netdev", "tables"], [NodeRole.slave, .master])
        func leftDropsGo(_ backend: String, _ role: NodeRole) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let echo = try echoes(cluster)
                defer { echo.stop() }
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", backend])
                #expect(try node.stop() == 0)
                #expect(try isDark(node))
                try node.start(role: role)
                try eventually("the left drop is gone") { try !isDark(node) }
                #expect(node.log.contains("an earlier daemon"), "\(node.log)")
                try echo.expectReplies()
            }
        }

        /// Those of another control file stay, with one warning that says what to do.
        @Test(arguments: ["netdev", "tables"])
        func otherDropsAreNamed(_ backend: String) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let other = Firewall(node, group: "other")
                try other.start(
                    role: .slave,
                    ["--l2drop", "1", "--l2drop-backend", backend, "--port", "3799"])
                other.kill()
                let name = try #require(
                    try console(node, "status").output.split(separator: ":").first)
                try node.start(role: .slave)
                for order in ["promote", "demote", "promote"] {
                    #expect(try node.command([order]).status == 0)
                }
                let lines = node.log.split(separator: "\n").filter { $0.contains(name) }
                #expect(lines.count == 1, "\(node.log)")
                #expect(lines.first?.contains("ct_sync l2drop off") == true)
                #expect(try isDark(node))
            }
        }

        /// A part of the drop that somebody takes away comes back, not only a whole table.
        @Test func missingPartsComeBack() throws {
            try withCluster { cluster in
                for (node, backend) in zip(cluster.firewalls, ["netdev", "tables"]) {
                    try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", backend])
                    let name = try #require(
                        try console(node, "status").output.split(separator: ":").first)
                    let rules = try Self.rules(node)
                    let cuts =
                        backend == "netdev"
                        ? [
                            "nft delete chain netdev \(name) ingress0",
                            "nft flush table inet \(name)", "nft flush chain arp \(name) input",
                        ]
                        : [
                            "iptables -t raw -D \(name)_in 2", "arptables -D \(name)_out 2",
                            "ebtables -D FORWARD -j \(name)_in",
                        ]
                    for cut in cuts {
                        let words = cut.split(separator: " ").map { String($0) }
                        // The kernel keeps what it can keep from others.
                        let result = try Command.result(of: node.host.words(words))
                        #expect((result.status == 0) == (backend == "tables"), "\(cut)")
                        try eventually(cut, within: 3) { try Self.rules(node) == rules }
                    }
                }
            }
        }

        /// It tries again, but neither all the time nor with a line of log each time.
        private func expectRest(_ node: Firewall, _ words: String) throws {
            let pid = try #require(node.daemon?.pid)
            let before = try Self.processorTicks(pid)
            pause(2)
            #expect(try Self.processorTicks(pid) - before < 100, "ticks of 10 ms in 2 s")
            // Besides the verdict, which is said when it changes.
            let lines = node.log.split(separator: "\n").filter {
                $0.contains(words) && !$0.contains(", NOT DARK: ")
            }
            #expect(lines.count == 1, "\(node.log)")
        }

        /// User and system time of a process and the children that it has waited for.
        private static func processorTicks(_ pid: pid_t) throws -> Int {
            let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            let fields = try #require(text.split(separator: ")").last).split(separator: " ")
            return try fields[11...14].reduce(0) { try $0 + #require(Int($1)) }
        }

        private static func rules(_ node: Firewall) throws -> [Substring] {
            try node.host.run(["nft", "--stateless", "list", "ruleset"]).split(separator: "\n")
                .sorted()
        }

        private func hasNoError(_ node: Firewall) throws -> Bool {
            try node.status()?.text.contains("\"l2drop_error\": null") == true
        }
    }
}
