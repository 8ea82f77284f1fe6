// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

/// Debian's; where it is not installed, the text is only checked by promtool.
private let nodeExporter = "/usr/bin/prometheus-node-exporter"

extension ClusterTests {
    /// `ct_sync metrics` and `ct_sync exporter` of real daemons.
    @Suite struct MetricsTests {
        private static let address = Endpoint("127.0.0.1", 9378)

        /// The samples of a text, by name and labels.
        private func samples(_ text: String) -> [String: Double] {
            text.split(separator: "\n").reduce(into: [:]) { samples, line in
                guard !line.hasPrefix("#"), let space = line.lastIndex(of: " ") else { return }
                samples[String(line[..<space])] = Double(line[line.index(after: space)...])
            }
        }

        private func metrics(_ firewall: Firewall) throws -> [String: Double] {
            samples(try firewall.command(["metrics"]).output)
        }

        /// Prometheus' own checker.
        private func check(_ text: String) throws {
            let result = try Command.result(of: ["promtool", "check", "metrics"], input: text)
            #expect(result.status == 0, "\(result.output)\(result.errors)")
        }

        @Test func metricsFollowATakeover() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<50, in: first.host)
                try cluster.startDaemons()
                try eventually("a slave that is ready") {
                    try metrics(first)["ct_sync_ready_slaves"] == 1
                }
                let slave = try metrics(second)
                #expect(slave["ct_sync_up"] == 1 && slave["ct_sync_well"] == 1)
                #expect(slave["ct_sync_role{role=\"slave\"}"] == 1)
                #expect(slave["ct_sync_in_sync"] == 1 && slave["ct_sync_entries"] == 50)
                #expect(slave["ct_sync_injections_total{operation=\"create\"}"] == 50)
                #expect(slave["ct_sync_lost_packets_total"] == 0)
                let heard =
                    "ct_sync_peer_last_heard_timestamp_seconds{peer_id=\"1\",role=\"master\"}"
                #expect(abs(try #require(slave[heard]) - Date().timeIntervalSince1970) < 60)
                for firewall in cluster.firewalls {
                    try check(firewall.command(["metrics"]).output)
                }
                try cluster.crash(first)
                try eventually("a slave without a master") {
                    let metrics = try metrics(second)
                    return metrics["ct_sync_in_sync"] == 0
                        && metrics["ct_sync_not_in_sync{reason=\"master_silent\"}"] == 1
                }
                try cluster.promote(second)
                let master = try metrics(second)
                #expect(master["ct_sync_role{role=\"master\"}"] == 1)
                #expect(master["ct_sync_in_sync"] == nil && master["ct_sync_ready_slaves"] == 0)
                #expect(master["ct_sync_role_changes_total{to=\"master\"}"] == 1)
                #expect(try #require(master["ct_sync_last_promotion_duration_seconds"]) > 0)
                try check(second.command(["metrics"]).output)
                // The daemon that was killed is down.
                let down = try first.command(["metrics"])
                #expect(down.status == 0 && samples(down.output) == ["ct_sync_up": 0])
            }
        }

        @Test func aTextFileIsReplacedInOneStep() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let file = cluster.directory + "/ct_sync.prom"
                try "old\n".write(toFile: file, atomically: false, encoding: .utf8)
                // A reader that has the old file open goes on reading it.
                let old = open(file, O_RDONLY | O_CLOEXEC)
                defer { close(old) }
                #expect(try node.command(["metrics", "--textfile", file]).status == 0)
                var bytes = [UInt8](repeating: 0, count: 64)
                #expect(read(old, &bytes, bytes.count) == 4)
                let text = try String(contentsOfFile: file, encoding: .utf8)
                #expect(samples(text)["ct_sync_role{role=\"master\"}"] == 1)
                let attributes = try FileManager.default.attributesOfItem(atPath: file)
                #expect(attributes[.posixPermissions] as? Int == 0o644)
                let names = try FileManager.default.contentsOfDirectory(atPath: cluster.directory)
                #expect(names.filter { $0.contains("prom") } == ["ct_sync.prom"])
                let refused = try node.command(["metrics", "--textfile", "/nonexistent/a.prom"])
                #expect(refused.status == 75 && refused.output == "")
                #expect(refused.errors.hasPrefix("ct_sync: the metrics are not written: open /non"))
            }
        }

        /// Debian's node_exporter reads the text file.
        @Test(.enabled(if: access(nodeExporter, X_OK) == 0))
        func aNodeExporterServesTheTextFile() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let folder = cluster.directory + "/textfile"
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: false)
                let written = try node.command(["metrics", "--textfile", folder + "/ct_sync.prom"])
                #expect(written.status == 0, "\(written)")
                let log = cluster.directory + "/node-exporter.log"
                let exporter = try ChildProcess(
                    node.host.words([
                        nodeExporter, "--collector.disable-defaults", "--collector.textfile",
                        "--collector.textfile.directory=\(folder)",
                        "--web.listen-address=127.0.0.1:9100",
                    ]), logFile: log)
                defer { exporter.end() }
                let address = Endpoint("127.0.0.1", 9100)
                let text = { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
                try eventually("the node_exporter's metrics", every: 0.05, detail: text) {
                    guard let answer = try? HTTPAnswer("/metrics", of: address, from: node.host)
                    else { return false }
                    return answer.body.contains("\nct_sync_up 1\n")
                        && answer.body.contains("\nct_sync_role{role=\"master\"} 1\n")
                        && answer.body.contains("\nnode_textfile_scrape_error 0\n")
                }
            }
        }

        @Test func theExporterAnswersThroughATakeover() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons()
                let exporter = try second.startExporter(logsIn: cluster.directory)
                defer { exporter.end() }
                func get(_ path: String) throws -> HTTPAnswer {
                    try HTTPAnswer(path, of: Self.address, from: second.host)
                }
                try eventually("metrics of a slave by HTTP") {
                    guard let answer = try? get("/metrics") else { return false }
                    return samples(answer.body)["ct_sync_role{role=\"slave\"}"] == 1
                }
                let metrics = try get("/metrics")
                #expect(metrics.status == 200)
                #expect(metrics.headers.contains("text/plain; version=0.0.4; charset=utf-8\r\n"))
                try check(metrics.body)
                let status = try get("/status.json")
                #expect(status.headers.contains("application/json"))
                #expect(try status.object()["schema"] as? Int == 1)
                let page = try get("/")
                #expect(page.status == 200 && page.headers.contains("default-src 'none'"))
                #expect(page.body.hasPrefix("<!doctype html>"))
                // Nothing from elsewhere.
                #expect(page.body.matches(of: /(src|href)="(http|\/\/)/).isEmpty)
                #expect(try get("/nonsense").status == 404)
                #expect(try get("/live.json?after=nonsense").status == 200)

                try cluster.crash(first)
                try cluster.promote(second)
                try eventually("the promotion by HTTP") {
                    samples(try get("/metrics").body)["ct_sync_role{role=\"master\"}"] == 1
                }
                let live = try get("/live.json").object()
                let history = try #require(live["history"] as? [[String: Any]])
                let texts = history.compactMap { $0["text"] as? String }
                #expect(texts.contains { $0.hasPrefix("SLAVE: started") }, "\(texts)")
                #expect(texts.contains { $0.hasPrefix("MASTER, promoted in ") }, "\(texts)")
                let rows = try #require(live["samples"] as? [[Double]])
                #expect(!rows.isEmpty && rows.allSatisfy { $0.count == 6 })
                let last = try #require(rows.last?.first)
                let later = try get("/live.json?after=\(last)").object()
                #expect(try #require(later["samples"] as? [[Double]]).count <= 2)

                second.kill()
                try eventually("a daemon that is down by HTTP") {
                    try get("/metrics").body.hasSuffix("\nct_sync_up 0\n")
                }
                #expect(try get("/status.json").status == 503)
                #expect(exporter.status == nil)
            }
        }

        @Test func aMonitorTellsTransitionsAsTheyCome() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let file = cluster.directory + "/monitor"
                let monitor = try ChildProcess(
                    [
                        try Daemon.binary(), "monitor", "--json", "--control-file",
                        node.controlFile,
                    ], logFile: file)
                defer { monitor.end() }
                func texts() throws -> [String] {
                    let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
                    return try text.split(separator: "\n").map { line in
                        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
                        return try #require((object as? [String: Any])?["text"] as? String)
                    }
                }
                try eventually("no daemon") {
                    try texts().last?.hasPrefix("the daemon does not answer: ") == true
                }
                try node.start(role: .slave)
                try eventually(
                    "a slave that is not in sync", detail: { String(describing: try? texts()) }
                ) {
                    try texts().contains { $0.hasPrefix("SLAVE, NOT IN SYNC") }
                }
                #expect(try texts().contains("the daemon answers"))
                try node.write("master\n")
                try eventually("a master") {
                    try texts().contains { $0.hasPrefix("MASTER, promoted in ") }
                }
                // As the history has it, and nothing twice.
                let told = try texts()
                #expect(told.count == Set(told).count, "\(told)")
                let kept = try node.command(["history"]).output
                #expect(told.dropFirst(2).allSatisfy { kept.contains($0) }, "\(told)\n\(kept)")
                let limited = try node.command(["monitor", "--count", "1"])
                #expect(limited.status == 0)
                #expect(limited.output.split(separator: "\n").count == 1)
                #expect(limited.output.contains("  MASTER"))
            }
        }

        /// How many processes watch a daemon.
        private static func watchers(_ controlFile: String) throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").count { name in
                guard
                    let text = try? String(contentsOfFile: "/proc/\(name)/cmdline", encoding: .utf8)
                else { return false }
                let words = text.split(separator: "\0")
                return words.contains("watch") && words.contains { $0 == controlFile }
            }
        }

        /// Watches again, kills the terminal, and waits until nobody watches.
        ///
        /// - Returns: how many watched before that.
        private static func watchersUntilKilled(
            _ node: Firewall, _ terminal: Terminal, _ command: String,
            _ isDrawn: ([String]) -> Bool
        ) throws -> Int {
            try terminal.type(line: "clear; \(command)")
            try terminal.wait("the screen again", isDrawn)
            let count = try watchers(node.controlFile)
            try terminal.kill()
            try eventually("nobody watches") { try watchers(node.controlFile) == 0 }
            return count
        }

        /// Whether a screen of 60 by 8 is drawn for that.
        private static func isSmall(_ screen: [String]) -> Bool {
            screen.prefix(8).allSatisfy { $0.count <= 60 } && screen[0].contains("ALONE")
        }

        /// The terminal shows what is typed and waits for whole lines, as before.
        private static func expectItself(_ terminal: Terminal) throws {
            try terminal.type(line: "echo af; stty -a")
            try terminal.wait("an echo") { screen in
                screen.contains("af") && screen.contains { $0.contains("icanon") }
            }
            #expect(
                terminal.screen.contains { $0.contains("icanon") && !$0.contains("-icanon") })
        }

        /// The screen in a real terminal: tmux keeps what a person would see.
        @Test func watchDrawsAScreenAndLeavesTheTerminalAsItWas() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let terminal = try Terminal(in: cluster.directory)
                let command = "\(try Daemon.binary()) watch --control-file \(node.controlFile)"
                try terminal.type(line: "echo before; \(command)")
                try terminal.wait("a screen") { $0.contains { $0.hasPrefix(" kernel       ") } }
                #expect(terminal.screen[0].contains(": MASTER, ALONE for "))
                // The node has a few of its own.
                func connections(_ screen: [String]) -> Int? {
                    screen.first { $0.hasPrefix(" connections ") }.flatMap {
                        Int($0.split(separator: " ")[1].replacingOccurrences(of: ",", with: ""))
                    }
                }
                #expect(try #require(connections(terminal.screen)) < 1_000)
                #expect(terminal.screen.contains { $0.hasPrefix(" 1     master  here") })
                #expect(terminal.screen.contains { $0.contains(" MASTER, promoted in ") })
                #expect(!terminal.screen.contains { $0.contains("before") })
                // Every second something is new: entries, and the clock in the corner.
                try MadeEntries.create(0..<1_234, in: node.host)
                try terminal.wait("the new entries") {
                    connections($0).map { $0 >= 1_234 } == true
                }
                try terminal.resize(60, 8)
                try terminal.wait("a small screen") {
                    Self.isSmall($0) && !$0[0].contains("before")
                }
                node.kill()
                try terminal.wait("no daemon") { $0[0].hasPrefix("ct_sync: NO DAEMON") }
                try terminal.resize(80, 24)
                try terminal.type(key: "q")
                try terminal.wait("the shell's screen") { $0.contains { $0.hasSuffix("before") } }
                try Self.expectItself(terminal)
                // It ends with its terminal, however that ends.
                let watchers = try Self.watchersUntilKilled(node, terminal, command) {
                    $0[0].hasPrefix("ct_sync: NO DAEMON")
                }
                #expect(watchers == 1)
                // Without a terminal it is refused in one sentence.
                let refused = try node.command(["watch"])
                #expect(refused.status == 64 && refused.output == "")
                #expect(refused.errors.hasPrefix("ct_sync: ct_sync watch needs a terminal"))
            }
        }

        /// Over ssh: the server's terminal is another one than the client's, which tells it of a new size.
        @Test func watchWorksOverSSH() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let home = cluster.directory + "/home"
                let script = """
                    mkdir -m 700 $0 $0/.ssh; mount --bind $0 /root
                    ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id
                    cp /root/.ssh/id.pub /root/.ssh/authorized_keys
                    dropbearkey -t ed25519 -f /root/host > /dev/null 2>&1
                    exec dropbear -F -E -r /root/host -P '' -s -p 127.0.0.1:2222
                    """
                let server = try ChildProcess(
                    node.host.words(["unshare", "--mount", "sh", "-e", "-c", script, home]),
                    logFile: cluster.directory + "/dropbear.log")
                defer { server.end() }
                try eventually("a server") {
                    try node.host.run(["ss", "-Hltn", "sport", "=", "2222"]).contains("2222")
                }
                let ssh = node.host.words([
                    "ssh", "-F", "/dev/null", "-i", home + "/.ssh/id", "-p", "2222", "-tt", "-o",
                    "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=\(home)/known", "-o",
                    "LogLevel=ERROR", "root@127.0.0.1",
                ]).joined(separator: " ")
                let terminal = try Terminal(in: cluster.directory)
                let command = "\(try Daemon.binary()) watch --control-file \(node.controlFile)"
                try terminal.type(line: "echo before; \(ssh) \(command)")
                try terminal.wait("a screen") { $0.contains { $0.hasPrefix(" kernel       ") } }
                #expect(terminal.screen[0].contains(": MASTER, ALONE for "))
                #expect(terminal.screen.contains { $0.hasPrefix(" 1     master  here") })
                #expect(terminal.screen.allSatisfy { $0.count <= 80 })
                try terminal.resize(60, 8)
                try terminal.wait("a small screen", Self.isSmall)
                try terminal.resize(80, 24)
                try terminal.type(key: "q")
                try terminal.wait("the shell's screen") { $0.contains { $0.hasSuffix("before") } }
                try Self.expectItself(terminal)
                // It ends with the connection, however that ends.
                let watchers = try Self.watchersUntilKilled(node, terminal, "\(ssh) \(command)") {
                    $0[0].contains(": MASTER, ALONE for ")
                }
                #expect(watchers >= 1)
            }
        }
    }
}
