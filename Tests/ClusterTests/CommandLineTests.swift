// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

/// A command line that must be refused.
struct BadLine: CustomTestStringConvertible {
    let words: [String]
    /// A word of the sentence that says why.
    let names: String
    var testDescription: String { words.joined(separator: " ") }

    init(_ line: String, names: String) {
        words = line.split(separator: " ").map { String($0) }
        self.names = names
    }

    static let all = [
        BadLine("--syncdev sync0 --state 1 --id 1 --l2drop 0 --nonsense", names: "nonsense"),
        BadLine("--syncdev sync9 --state 1 --id 1 --l2drop 0", names: "sync9"),
        BadLine("--syncdev lo --state 1 --id 1 --l2drop 0", names: "lo"),
        BadLine("--syncdev bare0 --state 1 --id 1 --l2drop 0", names: "bare0"),
        BadLine("--syncdev sync0 --state 2 --id 1 --l2drop 0", names: "state"),
        BadLine("--syncdev sync0 --state 1 --id 256 --l2drop 0", names: "256"),
        BadLine("--syncdev sync0 --state 1 --id -1 --l2drop 0", names: "id"),
        BadLine("--syncdev sync0 --state 1 --id 1 --l2drop 2", names: "l2drop"),
        BadLine(
            "--syncdev sync0 --state 1 --id 1 --l2drop 0 --initsync-rate fast", names: "fast"),
        BadLine("--syncdev sync0 --state 1 --id 1 --l2drop 0 --port 70000", names: "70000"),
        BadLine("--syncdev sync0 --state 1 --id 1 --l2drop 0 --group 10.0.0.1", names: "10.0.0.1"),
        BadLine("--config /nonexistent/ct_sync.conf", names: "/nonexistent/ct_sync.conf"),
        BadLine("syncdev=sync0 state=1 id=1 l2drop=0 nonsense=1", names: "nonsense"),
        BadLine("--state 1 --id 1 --l2drop 0", names: "syncdev"),
    ]
}

extension ClusterTests {
    /// Settings by flags, by module parameters and by file; what is refused changes nothing.
    @Suite struct CommandLineTests {
        @Test func badLinesAreRefusedInOneSentence() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.host.ip(
                    "link add bare0 type veth peer name bare1\nlink set bare0 up multicast off")
                let rules = try node.host.run(["nft", "list", "ruleset"])
                for line in BadLine.all {
                    let control =
                        line.words[0].hasPrefix("-")
                        ? ["--control-file", node.controlFile]
                        : ["control-file=\(node.controlFile)"]
                    let result = try Command.result(
                        of: node.host.words([try Daemon.binary()] + line.words + control),
                        deadline: 5)
                    #expect([64, 78].contains(result.status), "\(line.words): \(result)")
                    let lines = result.errors.split(separator: "\n")
                    #expect(lines.count == 1, "\(line.words): \(result.errors)")
                    #expect(result.errors.contains(line.names), "\(result.errors)")
                    #expect(!FileManager.default.fileExists(atPath: node.controlFile))
                }
                #expect(try node.host.run(["nft", "list", "ruleset"]) == rules)
                let events = ["cat", "/proc/sys/net/netfilter/nf_conntrack_events"]
                #expect(try node.host.run(events) == "2\n")
            }
        }

        @Test func moduleParametersMeanTheSame() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(
                    words: [
                        "syncdev=sync0", "state=1", "id=1", "l2drop=0", "--control-file",
                        node.controlFile,
                    ], role: .master)
                #expect(try node.read() == "master")
            }
        }

        @Test func configurationFileIsRead() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let file = cluster.directory + "/ct_sync.conf"
                let text = "# a pair\noptions ct_sync syncdev=sync0 state=1 id=7 l2drop=0\n"
                try text.write(toFile: file, atomically: true, encoding: .utf8)
                let words = ["--config", file, "--control-file", node.controlFile]
                try node.start(words: words, role: .master)
                try node.stop()
                // A flag wins over the file.
                try node.start(words: words + ["--state", "0"], role: .slave)
            }
        }

        @Test(arguments: ["multicast IPv4", "multicast IPv6", "peers IPv4", "peers IPv6"])
        func transportsCarryTheTable(_ transport: String) throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<100, in: first.host)
                let ipv6 = transport.hasSuffix("6")
                let unicast = transport.hasPrefix("peers")
                func flags(_ peer: Firewall) -> [String] {
                    if unicast { return ["--peer", Plan.sync(peer.id, ipv6: ipv6)] }
                    return ["--group", ipv6 ? "ff02::4374" : "224.0.0.199", "--port", "4374"]
                }
                try first.start(role: .master, flags(second))
                try second.start(role: .slave, flags(first))
                try cluster.waitInSync()
                try MadeEntries.create(100..<200, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 200)
            }
        }

        @Test func helpAndVersionEndWell() throws {
            let help = try Command.run([try Daemon.binary(), "--help"])
            for flag in ["--syncdev", "--state", "--id", "--l2drop", "--control-file", "--peer"] {
                #expect(help.contains(flag))
            }
            let version = try Command.run([try Daemon.binary(), "--version"])
            #expect(version.contains { $0.isNumber })
        }
    }
}
