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
                defer {
                    exporter.kill(SIGKILL)
                    _ = try? exporter.waitForEnd(within: 5)
                }
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
                let exporter = try ChildProcess(
                    second.host.words([
                        try Daemon.binary(), "exporter", "--control-file", second.controlFile,
                    ]), logFile: cluster.directory + "/exporter.log")
                defer {
                    exporter.kill(SIGKILL)
                    _ = try? exporter.waitForEnd(within: 5)
                }
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
                defer {
                    monitor.kill(SIGKILL)
                    _ = try? monitor.waitForEnd(within: 5)
                }
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

        /// The screen in a real terminal: tmux keeps what a person would see.
        @Test func watchDrawsAScreenAndLeavesTheTerminalAsItWas() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let socket = cluster.directory + "/tmux"
                func tmux(_ words: String...) throws -> String {
                    try Command.run(["tmux", "-S", socket, "-f", "/dev/null"] + words)
                }
                defer { _ = try? tmux("kill-server") }
                let command = "\(try Daemon.binary()) watch --control-file \(node.controlFile)"
                _ = try tmux(
                    "-u", "new-session", "-d", "-x", "80", "-y", "24", "-e", "LC_ALL=C.UTF-8",
                    "-e", "NO_COLOR=1", "sh")
                _ = try tmux("send-keys", "echo before; \(command)", "Enter")
                var screen: [String] = []
                func look() throws {
                    screen = try tmux("capture-pane", "-p").split(
                        separator: "\n", omittingEmptySubsequences: false
                    ).map { String($0) }
                }
                func wait(_ what: String, _ condition: () -> Bool) throws {
                    try eventually(what, detail: { screen.joined(separator: "\n") }) {
                        try look()
                        return condition()
                    }
                }
                try wait("a screen") { screen.contains { $0.hasPrefix(" kernel       ") } }
                #expect(screen[0].contains(": MASTER, ALONE for "))
                // The node has a few of its own.
                func connections() -> Int? {
                    screen.first { $0.hasPrefix(" connections ") }.flatMap {
                        Int($0.split(separator: " ")[1].replacingOccurrences(of: ",", with: ""))
                    }
                }
                #expect(try #require(connections()) < 1_000)
                #expect(screen.contains { $0.hasPrefix(" 1     master  here") })
                #expect(screen.contains { $0.contains(" MASTER, promoted in ") })
                #expect(!screen.contains { $0.contains("before") })
                // Every second something is new: entries, and the clock in the corner.
                try MadeEntries.create(0..<1_234, in: node.host)
                try wait("the new entries") {
                    connections().map { $0 >= 1_234 } == true
                }
                // Another size.
                _ = try tmux("resize-window", "-x", "60", "-y", "8")
                try wait("a small screen") {
                    screen.prefix(8).allSatisfy { $0.count <= 60 }
                        && screen[0].contains("ALONE") && !screen[0].contains("before")
                }
                node.kill()
                try wait("no daemon") { screen[0].hasPrefix("ct_sync: NO DAEMON") }
                _ = try tmux("resize-window", "-x", "80", "-y", "24")
                _ = try tmux("send-keys", "q")
                try wait("the shell's screen") { screen.contains { $0.hasSuffix("before") } }
                _ = try tmux("send-keys", "echo af; stty -a", "Enter")
                try wait("an echo") {
                    screen.contains("af") && screen.contains { $0.contains("icanon") }
                }
                #expect(screen.contains { $0.contains("icanon") && !$0.contains("-icanon") })
                // It ends with its terminal, however that ends.
                _ = try tmux("send-keys", "clear; \(command)", "Enter")
                try wait("the screen again") { screen[0].hasPrefix("ct_sync: NO DAEMON") }
                #expect(try Self.watchers(node.controlFile) == 1)
                let server = try tmux("display-message", "-p", "#{pid}")
                kill(try #require(pid_t(server.trimmingCharacters(in: .newlines))), SIGKILL)
                try eventually("nobody watches") { try Self.watchers(node.controlFile) == 0 }
                // Without a terminal it is refused in one sentence.
                let refused = try node.command(["watch"])
                #expect(refused.status == 64 && refused.output == "")
                #expect(refused.errors.hasPrefix("ct_sync: ct_sync watch needs a terminal"))
            }
        }
    }
}
