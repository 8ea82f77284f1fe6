// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc
import Testing

@testable import CTSync

extension ClusterTests {
    /// `ct_sync verify` and `ct_sync check`.
    @Suite struct VerifyTests {
        private static let tuple =
            "-p tcp -s 10.1.0.77 -d 198.51.100.7 --sport 1000 --dport 80"

        private static func conntrack(_ node: Firewall, _ line: String) throws {
            try node.host.run(["conntrack"] + words(line))
        }

        /// Gives the entry of the tuple labels; a rule of the node has to use some.
        private static func setLabels(_ node: Firewall, _ low: UInt64) throws {
            try node.host.inside {
                let (dump, batch) = (try TableDump(), try RequestBatch())
                try dump.start()
                while try dump.step({ (each: borrowing Entry) in
                    var entry = copy each
                    guard entry.key.tuple.sourcePort == 1000 else { return }
                    entry.fields.insert(.labels)
                    entry.extras.labelsLow = low
                    _ = batch.update(entry, timeoutSeconds: entry.timeoutSeconds, tag: 0)
                }) {}
                try batch.send { _, number in Issue.record("errno \(number)") }
            }
        }

        /// What is done to the standby's kernel by hand, and what `verify` then shows.
        struct Hand: CustomTestStringConvertible, Sendable {
            let name: String
            let change: @Sendable (Firewall) throws -> Void
            /// What stands in the line of this kernel and in that of the master.
            let here: String
            let master: String
            var testDescription: String { name }
        }

        static let hands = [
            Hand(
                name: "deleted", change: { try conntrack($0, "-D \(tuple)") },
                here: "nothing", master: "sport=1000"),
            Hand(
                name: "mark", change: { try conntrack($0, "-U \(tuple) -m 77") }, here: "mark=77",
                master: "mark=5"),
            Hand(
                name: "state", change: { try conntrack($0, "-U \(tuple) --state CLOSE_WAIT") },
                here: "state=CLOSE_WAIT", master: "state=ESTABLISHED"),
            Hand(
                name: "timeout", change: { try conntrack($0, "-U \(tuple) -t 100") },
                here: "sport=1000", master: "sport=1000"),
            Hand(
                name: "labels", change: { try setLabels($0, 0xABCD) }, here: "abcd",
                master: "1234"),
            Hand(
                name: "labels cleared", change: { try setLabels($0, 0) }, here: "mark=5",
                master: "1234"),
            Hand(
                name: "translation",
                change: {
                    try conntrack($0, "-D \(tuple)")
                    try conntrack(
                        $0,
                        "-I \(tuple) -t 600 --state ESTABLISHED -u SEEN_REPLY,ASSURED "
                            + "--src-nat 10.2.0.1")
                }, here: "reply_dst=10.2.0.1", master: "reply_dst=10.1.0.77"),
            Hand(
                name: "added",
                change: {
                    try conntrack(
                        $0,
                        "-I -p udp -s 10.1.0.78 -d 198.51.100.7 --sport 9 --dport 53 -t 600")
                }, here: "sport=9", master: "nothing"),
        ]

        private static func result(_ node: Firewall) throws -> (status: Int32, output: String) {
            let result = try node.command(["verify", "--timeout", "20"])
            return (result.status, result.output + result.errors)
        }

        @Test(arguments: hands) func whatHandsDoIsFound(_ hand: Hand) throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                for node in [first, second] {
                    try node.host.nft(
                        "table inet uses { chain labels { ct label set 1 accept; }; }")
                }
                try cluster.startDaemons()
                try Self.conntrack(
                    first,
                    "-I \(Self.tuple) -t 600 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 5")
                try Self.setLabels(first, 0x1234)
                try MadeEntries.create(0..<50, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 51)
                try eventually("nothing differs", detail: { second.statusLine }) {
                    let (status, output) = try Self.result(second)
                    return status == 0
                        && output.hasPrefix("51 entries verified, 0 differed, 0 only here")
                }
                // Some take two commands; what stands between them would be put right.
                second.daemon?.signal(SIGSTOP)
                defer { second.daemon?.signal(SIGCONT) }
                try hand.change(second)
                second.daemon?.signal(SIGCONT)
                // Put right without being asked; the next comparison tells of it.
                var last = ""
                try eventually("the difference", every: 0.3, detail: { last }) {
                    let (status, output) = try Self.result(second)
                    last = output
                    return status == 1
                }
                let lines = last.split(separator: "\n").map { String($0) }
                #expect(lines.contains { $0.hasPrefix("  here    ") && $0.contains(hand.here) })
                #expect(
                    lines.contains { $0.hasPrefix("  master  ") && $0.contains(hand.master) })
                #expect(lines.count { $0.hasPrefix("  here") } == 1, "\(last)")
                if hand.name == "added" {
                    #expect(last.contains("1 only here"))
                    #expect(try second.field("verified.added") == "1")
                    let text = try second.statusCommand(json: false).output
                    #expect(
                        text.contains("this kernel has 1 entry that the master does not have"))
                } else {
                    #expect(last.contains("1 differed"))
                    try eventually("it is put right", every: 0.3, detail: { last }) {
                        let (status, output) = try Self.result(second)
                        last = output
                        return status == 0
                    }
                }
            }
        }

        @Test func whatCannotBeComparedIsSaid() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                #expect(try Self.result(first).status == 2)
                try second.start(role: .slave)
                let lonely = try Self.result(second)
                #expect(lonely.status == 1 && lonely.output.contains("no master is heard"))
                try first.start(role: .master)
                try cluster.waitInSync()
                try first.waitUntilWell()
                let master = try Self.result(first)
                #expect(master.status == 1 && master.output.contains("type it on node 2"))
            }
        }

        /// A pair that is well; then with a fault that a takeover would meet.
        @Test func aCheckSaysWhetherATakeoverWouldWork() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                #expect(try first.command(["check"]).status == 2)
                try cluster.startDaemons()
                try first.waitUntilWell()
                #expect(try Self.result(second).status == 0)
                // What the slave has just found the master hears with its report of the next second.
                for node in [second, first] {
                    var last = ""
                    try eventually("a check without a fault", every: 0.1, detail: { last }) {
                        let check = try node.command(["check"])
                        last = check.output
                        let hasPeer = last.contains("ok    settings: as on node")
                        return check.status == 0 && hasPeer
                    }
                    #expect(!last.contains("FAIL") && !last.contains("warn"), "\(last)")
                }
                // Side by side, on both nodes.
                try second.host.set(["net.netfilter.nf_conntrack_tcp_timeout_close_wait": 33])
                for (node, place) in [(second, "33 here, 60 on node 1"), (first, "on node 2")] {
                    var last = ""
                    try eventually("a timeout that differs", every: 0.2, detail: { last }) {
                        last = try node.command(["check"]).output
                        let name = "warn  nf_conntrack_tcp_timeout_close_wait: "
                        return last.contains(name) && last.contains(place)
                    }
                }
                try second.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"])
                let check = try second.command(["check"])
                #expect(check.status == 2)
                #expect(
                    check.output.contains(
                        "FAIL  forwarding: IPv4 is not forwarded\n      try   sysctl -w "),
                    "\(check.output)")
                second.kill()
                try eventually("no slave", detail: { first.statusLine }) {
                    let check = try first.command(["check"])
                    return check.status == 2
                        && check.output.contains("FAIL  slaves: no slave could take over")
                }
            }
        }
    }
}
