// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

/// Debian's chromium; where it is not installed, the page is only fetched (MetricsTests).
private let browser = "/usr/bin/chromium"

extension ClusterTests {
    /// The exporter's page as a browser shows it.
    @Suite(.enabled(if: access(browser, X_OK) == 0)) struct PageTests {
        /// The document after the page's script has run for some seconds.
        private func document(_ cluster: Cluster, from host: Namespace) throws -> String {
            let result = try Command.result(
                of: host.words([
                    browser, "--headless", "--no-sandbox", "--disable-gpu",
                    "--user-data-dir=\(cluster.directory)/chromium", "--virtual-time-budget=3000",
                    "--dump-dom", "http://127.0.0.1:9378/",
                ]), deadline: 60)
            #expect(result.status == 0, "\(result.errors)")
            return result.output
        }

        /// The text of the element with an id, tags left out.
        private func text(_ id: String, _ document: String) -> String {
            let rest = document.components(separatedBy: "id=\"\(id)\"").dropFirst().first ?? ""
            let end = rest.firstRange(of: /<\/(p|h1|h2|div|ul|ol|dl|span|section)>\n/)
            let inner = end.map { rest[..<$0.lowerBound] } ?? rest[...]
            return inner.drop { $0 != ">" }.dropFirst().replacing(/<[^>]*>/, with: " ")
                .split(separator: " ").joined(separator: " ")
        }

        /// Waits until the exporter, which asks once a second, has heard of an event.
        private func waitForHistory(_ words: String, _ host: Namespace) throws {
            try eventually("an exporter that has heard: \(words)") {
                try HTTPAnswer("/live.json", of: Endpoint("127.0.0.1", 9378), from: host).body
                    .contains(words)
            }
        }

        @Test func itShowsATakeover() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<1_234, in: first.host)
                try cluster.startDaemons()
                let exporter = try ChildProcess(
                    second.host.words([
                        try Daemon.binary(), "exporter", "--control-file", second.controlFile,
                    ]), logFile: cluster.directory + "/exporter.log")
                defer {
                    exporter.kill(SIGKILL)
                    _ = try? exporter.waitForEnd(within: 5)
                }
                try waitForHistory("SLAVE of node 1, in sync ", second.host)
                let slave = try document(cluster, from: second.host)
                #expect(text("verdict", slave).hasPrefix("SLAVE, in sync for "))
                #expect(slave.contains("id=\"verdict\" role=\"status\" class=\"good\""))
                #expect(text("connections", slave) == "1,234")
                let nodes = text("nodes", slave)
                #expect(nodes.contains("slave node 2 (this one)"), "\(nodes)")
                #expect(nodes.contains("master node 1"), "\(nodes)")
                #expect(text("history", slave).contains("SLAVE of node 1, in sync "))
                #expect(slave.contains("<path d=\"M"))

                try cluster.crash(first)
                try cluster.promote(second)
                try waitForHistory("MASTER, promoted in ", second.host)
                let master = try document(cluster, from: second.host)
                #expect(text("verdict", master).hasPrefix("MASTER, ALONE for "))
                #expect(master.contains("id=\"verdict\" role=\"status\" class=\"bad\""))
                #expect(text("history", master).contains("MASTER, promoted in "))
                #expect(text("remarks", master).contains("ct_sync status"), "\(master)")
            }
        }
    }
}
