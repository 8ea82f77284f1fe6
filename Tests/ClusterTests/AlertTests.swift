// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// A real Prometheus with the shipped alerts, at the exporters of two nodes.
    @Suite struct AlertTests {
        private static let server = Endpoint("127.0.0.1", 9090)

        private static let alerts = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("conf/prometheus/alerts.yml")

        /// The shipped rules with their patience taken out: that is tested by `promtool test rules`.
        private func configuration(_ directory: String) throws -> String {
            let rules = try String(contentsOf: Self.alerts, encoding: .utf8)
                .replacing(/for: [0-9]+[sm]/, with: "for: 0s")
            try rules.write(toFile: directory + "/alerts.yml", atomically: false, encoding: .utf8)
            let file = directory + "/prometheus.yml"
            let text = """
                global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
                rule_files: [\(directory)/alerts.yml]
                scrape_configs:
                  - job_name: ct_sync
                    static_configs: [{targets: ["127.0.0.1:9371", "127.0.0.1:9372"]}]
                """
            try text.write(toFile: file, atomically: false, encoding: .utf8)
            return file
        }

        @Test func alertsFireInATakeoverAndAreOverAfterIt() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons()
                // Control sockets are files: one host is enough for all that looks at them.
                let host = cluster.server
                var programs: [ChildProcess] = []
                defer {
                    for program in programs {
                        program.end()
                    }
                }
                for firewall in cluster.firewalls {
                    programs.append(
                        try ChildProcess(
                            host.words([
                                try Daemon.binary(), "exporter", "--listen",
                                "127.0.0.1:937\(firewall.id)", "--control-file",
                                firewall.controlFile,
                            ]), logFile: cluster.directory + "/exporter.log"))
                }
                let log = cluster.directory + "/prometheus.log"
                programs.append(
                    try ChildProcess(
                        host.words([
                            "prometheus", "--config.file", try configuration(cluster.directory),
                            "--storage.tsdb.path", cluster.directory + "/tsdb",
                            "--web.listen-address", "\(Self.server)",
                        ]), logFile: log))
                var firing: Set<String> = []
                /// Names and instances of the alerts that fire.
                func look() throws {
                    let answer = try HTTPAnswer("/api/v1/alerts", of: Self.server, from: host)
                    let data = try answer.object()["data"] as? [String: Any]
                    let alerts = try #require(data?["alerts"] as? [[String: Any]])
                    firing = Set(
                        alerts.filter { $0["state"] as? String == "firing" }.compactMap { alert in
                            guard let labels = alert["labels"] as? [String: String] else {
                                return nil
                            }
                            let name = labels["alertname"] ?? ""
                            return labels["instance"].map { "\(name) \($0.suffix(1))" } ?? name
                        })
                }
                func wait(_ what: String, _ condition: () -> Bool) throws {
                    try eventually(
                        what, within: 30, every: 0.1,
                        detail: {
                            let log = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
                            return "\(firing.sorted())\n\(log.suffix(1_000))"
                        }
                    ) {
                        try look()
                        return condition()
                    }
                }
                func scraped() throws -> Int {
                    let answer = try HTTPAnswer(
                        "/api/v1/query?query=sum(ct_sync_well)", of: Self.server, from: host)
                    return answer.body.contains("\"2\"]") ? 2 : 0
                }
                try wait("Prometheus") { true }
                try wait("both nodes scraped, nothing wrong") {
                    (try? scraped()) == 2 && firing.isEmpty
                }

                try cluster.crash(first)
                try wait("a dead master") {
                    firing == ["CtSyncDown 1", "CtSyncNoMaster", "CtSyncNotInSync 2"]
                }
                try cluster.promote(second)
                try wait("a new master, alone") {
                    firing == ["CtSyncDown 1", "CtSyncMasterAlone 2"]
                }
                try first.linksUp()
                try first.start(role: .slave)
                try wait("the end of all alerts") { firing.isEmpty }
            }
        }
    }
}
