// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

/// A command line that must be refused.
struct BadLine: CustomTestStringConvertible {
    let words: [String]
    /// A word of the sentence that says why.
    let names: String
    /// The exit status.
    let status: Int32
    var testDescription: String { words.joined(separator: " ") }

    init(_ line: String, names: String, status: Int32 = 64) {
        words = line.split(separator: " ").map { String($0) }
        self.names = names
        self.status = status
    }

    private static let good = "--syncdev sync0 --state 1 --id 1 --l2drop 0"

    static let all = [
        BadLine("\(good) --nonsense", names: "nonsense"),
        BadLine("--syncdev sync9 --state 1 --id 1 --l2drop 0", names: "sync9", status: 75),
        BadLine("--syncdev lo --state 1 --id 1 --l2drop 0", names: "multicast", status: 78),
        BadLine("--syncdev bare0 --state 1 --id 1 --l2drop 0", names: "address", status: 75),
        BadLine("--syncdev sync0 --state 2 --id 1 --l2drop 0", names: "state"),
        BadLine("--syncdev sync0 --state 1 --id 256 --l2drop 0", names: "256"),
        BadLine("--syncdev sync0 --state 1 --id -1 --l2drop 0", names: "id"),
        BadLine("--syncdev sync0 --state 1 --id 1 --l2drop 2", names: "l2drop"),
        BadLine("\(good) --initsync-rate fast", names: "fast"),
        BadLine("\(good) --port 70000", names: "70000"),
        BadLine("\(good) --group 10.0.0.1", names: "10.0.0.1"),
        BadLine(
            "--config /nonexistent/ct_sync.conf", names: "/nonexistent/ct_sync.conf", status: 78),
        BadLine("syncdev=sync0 state=1 id=1 l2drop=0 nonsense=1", names: "nonsense"),
        BadLine("--state 1 --id 1 --l2drop 0", names: "syncdev"),
        BadLine("\(good) --id", names: "--id is given without a value"),
        BadLine("syncdev=sync0 id", names: "id is given without a value"),
        BadLine("statsu", names: "there is no command \"statsu\"; did you mean status?"),
        BadLine("xyzzy", names: "there is no command \"xyzzy\"; ct_sync help shows"),
        BadLine("--id 1 status", names: "must be the first word: ct_sync status"),
        BadLine("-x", names: "\"-x\" is no flag of ct_sync"),
        BadLine("help demot", names: "there is no command \"demot\"; did you mean demote?"),
        BadLine("status --jsno", names: "--jsno"),
        BadLine("promote now", names: "'now'; ct_sync promote --help shows what is allowed"),
        BadLine("verify --timeout x", names: "ct_sync verify --help shows what is allowed"),
        BadLine("l2drop onn", names: "'status', 'off' or 'on'"),
        BadLine("--syncdv sync0", names: "--syncdv is no setting of ct_sync; did you mean syncdev"),
        BadLine("monitor --count 0", names: "--count is \"0\" but must be at least 1"),
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
                        : line.words[0].contains("=")
                            ? ["control-file=\(node.controlFile)"] : []
                    let result = try Command.result(
                        of: node.host.words([try Daemon.binary()] + control + line.words),
                        deadline: 5)
                    #expect(result.status == line.status, "\(line.words): \(result)")
                    #expect(result.output.isEmpty)
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

        /// An exit status of 0 means done: what a full disk has cut off is not.
        @Test func whatIsNotWrittenIsNoSuccess() throws {
            try withCluster { cluster in
                try MadeEntries.create(0..<200, in: cluster.firewalls[0].host)
                try cluster.startDaemons()
                let conntrackd = "Tests/ConntrackdImportTests/conntrackd/debian-ftfw.conf"
                let alone = [
                    "--version", "--help", "help", "status --help", "completion bash", "genkey",
                    "import-conntrackd \(conntrackd)",
                ]
                let asking = [
                    "status", "status -v", "status --json", "status --field role", "history",
                    "history --json", "check", "dump", "dump --json", "metrics", "initsync-rate",
                    "monitor --count 1",
                ]
                let node = cluster.firewalls[0]
                for line in alone + asking.map({ "\($0) --control-file \(node.controlFile)" }) {
                    let words = line.split(separator: " ").map { String($0) }
                    let result = try Command.result(
                        of: node.host.words(
                            ["sh", "-c", "exec \"$@\" > /dev/full", "sh", try Daemon.binary()]
                                + words))
                    #expect(result.status == 74, "\(line): \(result)")
                    #expect(
                        result.errors == "ct_sync: standard output could not be written\n",
                        "\(line)")
                }
            }
        }

        /// A script may start it so; its own files then have other numbers than the log's.
        @Test func whatIsClosedAtTheStartStaysNoFileOfItsOwn() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let shell = "exec 0<&- 1>&- 2>&-; exec \"$@\""
                let words = node.host.words(
                    ["sh", "-c", shell, "sh", try Daemon.binary()]
                        + ["--syncdev", "sync0", "--id", "1", "--control-file", node.controlFile])
                let null = open("/dev/null", O_RDWR | O_CLOEXEC)
                let child = try ChildProcess(words, input: null, output: null, errors: null)
                close(null)
                defer { child.kill(SIGTERM) }
                try eventually("a slave") { (try? node.read()) == "slave" }
                for number in 0...2 {
                    let place = try FileManager.default.destinationOfSymbolicLink(
                        atPath: "/proc/\(child.pid)/fd/\(number)")
                    #expect(place == "/dev/null", "descriptor \(number)")
                }
                child.kill(SIGTERM)
                #expect(try child.waitForEnd(within: 10) == 0)
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
            #expect(try Command.run([try Daemon.binary(), "help"]) == help)
            #expect(!help.contains("generate"))
            let commands = try Self.commands(help)
            #expect(commands.contains("status") && commands.contains("completion"))
            for command in commands {
                let own = try Command.run([try Daemon.binary(), command, "--help"])
                #expect(own.contains("USAGE: ct_sync \(command)"), "\(command): \(own)")
                #expect(try Command.run([try Daemon.binary(), "help", command]) == own)
            }
            let version = try Command.run([try Daemon.binary(), "--version"])
            #expect(version.contains { $0.isNumber })
        }

        /// What the shells do with it is in Tests/packaging/completions.sh.
        @Test(arguments: ["bash", "zsh", "fish"])
        func completionsKnowCommandsAndFlags(_ shell: String) throws {
            let text = try Command.run([try Daemon.binary(), "completion", shell])
            let help = try Command.run([try Daemon.binary(), "--help"])
            for command in try Self.commands(help) {
                #expect(text.contains(command), "\(command)")
            }
            let flags = help.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix("--") }
            #expect(flags.count > 20)
            for flag in flags {
                let written = shell == "fish" ? "-l \(flag.dropFirst(2))" : String(flag)
                #expect(text.contains(written), "\(flag)")
            }
            for word in ["/sys/class/net", "master slave", "netdev"] {
                #expect(text.contains(word), "\(word)")
            }
            let flag = shell == "fish" ? "-l timeout" : "--timeout"
            #expect(text.contains(flag), "a flag of a command")
        }

        /// The section COMMANDS of the help.
        private static func commands(_ help: String) throws -> [String] {
            let section = try #require(help.components(separatedBy: "COMMANDS:\n").last)
            let lines = section.components(separatedBy: "\n\n")[0].split(separator: "\n")
            return lines.filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
                .compactMap { $0.split(separator: " ").first.map { String($0) } }
        }
    }
}
