// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

/// Debian's chromium or its part without a display; where neither is installed, the page is only fetched
/// (MetricsTests).
private let browser = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"]
    .first { (path: String) in access(path, X_OK) == 0 }
/// Where the last picture of the page is to be kept; it goes with the test otherwise.
private let keptPicture = ProcessInfo.processInfo.environment["CTSYNC_SCREENSHOT"]

extension ClusterTests {
    /// The exporter's page as a browser shows it.
    @Suite(.enabled(if: browser != nil, "chromium is not installed")) struct PageTests {
        /// What the browser prints after the page's script has run for some seconds.
        private func show(
            _ cluster: Cluster, from host: Namespace, _ words: [String]
        ) throws -> String {
            let flags = [
                "--headless", "--no-sandbox", "--disable-gpu",
                "--user-data-dir=\(cluster.directory)/chromium", "--virtual-time-budget=3000",
            ]
            let command = [try #require(browser)] + flags + words + ["http://127.0.0.1:9378/"]
            let result = try Command.result(of: host.words(command), deadline: 60)
            #expect(result.status == 0, "\(result.errors)")
            return result.output
        }

        private func document(_ cluster: Cluster, from host: Namespace) throws -> String {
            try show(cluster, from: host, ["--dump-dom"])
        }

        /// The bytes of a picture of the page, as PNG (RFC 2083).
        private func picture(_ cluster: Cluster, from host: Namespace) throws -> Data {
            let file = keptPicture ?? cluster.directory + "/page.png"
            _ = try show(
                cluster, from: host, ["--screenshot=\(file)", "--window-size=1000,1100"])
            return try Data(contentsOf: URL(fileURLWithPath: file))
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

        /// The colours that the browser asks for: what is behind the text, and the text against it.
        @Test(arguments: [true, false]) func itIsLightOrDark(_ isLight: Bool) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let exporter = try node.startExporter(logsIn: cluster.directory)
                defer { exporter.end() }
                try waitForHistory("MASTER, promoted in ", node.host)
                let file = cluster.directory + "/page.png"
                // In the order of blink's enumeration: dark, light.
                _ = try show(
                    cluster, from: node.host,
                    [
                        "--blink-settings=preferredColorScheme=\(isLight ? 1 : 0)",
                        "--screenshot=\(file)", "--window-size=400,500",
                    ])
                let picture = try Picture(png: file)
                #expect(picture.width == 400 && picture.height == 500)
                let ground = picture.brightness.count { isLight ? $0 > 220 : $0 < 40 }
                #expect(ground > picture.brightness.count / 2, "\(ground)")
                let letters = picture.brightness.count { isLight ? $0 < 80 : $0 > 180 }
                #expect(letters > 500, "\(letters)")
            }
        }

        @Test func itShowsATakeover() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<1_234, in: first.host)
                try cluster.startDaemons()
                let exporter = try second.startExporter(logsIn: cluster.directory)
                defer { exporter.end() }
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
                // One colour would be some 5,000 bytes.
                let picture = try picture(cluster, from: second.host)
                #expect(picture.starts(with: [0x89] + Array("PNG".utf8)) && picture.count > 20_000)
            }
        }
    }
}
