// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

/// docs/monitoring.md, the alerts and the dashboard name the metrics that there are.
@Suite struct MonitoringDocumentTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let names = Set(["ct_sync_up"] + Metrics.all.map(\.name))

    private static func read(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    @Test func everyMetricIsInTheTableWithItsHelp() throws {
        let rows = try Self.read("docs/monitoring.md").split(separator: "\n")
            .filter { $0.hasPrefix("| `ct_sync_") }
            .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        let documented = rows.map { $0[0].trimmingCharacters(in: ["`"]) }
        #expect(documented == ["ct_sync_up"] + Metrics.all.map(\.name))
        for (row, metric) in zip(rows.dropFirst(), Metrics.all) {
            #expect(row.last == metric.help, "\(metric.name)")
        }
    }

    /// With every counter that ct_sync-status(5) has, each metric has a sample on a node of some role: it
    /// reads a field that there is.
    @Test func everyMetricIsOfADocumentedField() throws {
        let counters = try Self.read("man/ct_sync-status.5").split(separator: "\n")
            .filter { $0.hasPrefix(".B counters.") }
            .map { $0.dropFirst(".B counters.".count).split(separator: ".").map { String($0) } }
        #expect(counters.count > 40)
        var named: Set<String> = []
        for var report in [SampleReport.slave, SampleReport.alone] {
            for path in counters where path.count == 1 { report.counters.add(path[0], 1) }
            for group in Set(counters.filter { $0.count == 2 }.map { $0[0] }) {
                report.counters.add(group: group) { fields in
                    for path in counters where path.count == 2 && path[0] == group {
                        fields.add(path[1], 1)
                    }
                }
            }
            report.injectionErrors = [("ENOSPC", 9)]
            report.drops = [NodeReport.Drop(reason: "version", count: 1)]
            report.verified = NodeReport.Verified(age: 1, entries: 10, differed: 2)
            let status = try #require(StatusReport.parse(report.status.lines))
            named.formUnion(Metrics.all.filter { !$0.samples(status).isEmpty }.map(\.name))
        }
        #expect(Metrics.all.map(\.name).filter { !named.contains($0) } == [])
    }

    @Test(arguments: ["conf/prometheus/alerts.yml", "conf/grafana/ct_sync.json"])
    func whatIsAskedForIsThere(_ path: String) throws {
        let text = try Self.read(path)
        let used = Set(text.matches(of: /ct_sync_[a-z0-9_]+/).map { String($0.output) })
        #expect(used.count > 8)
        #expect(used.subtracting(Self.names) == [])
    }

    @Test func theDashboardIsJSONWithPanelsOfTheirOwn() throws {
        let text = try Self.read("conf/grafana/ct_sync.json")
        let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let dashboard = try #require(parsed as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        let ids = panels.compactMap { $0["id"] as? Int }
        #expect(ids.count == panels.count && Set(ids).count == ids.count && ids.count > 10)
        #expect(panels.allSatisfy { ($0["title"] as? String)?.isEmpty == false })
    }
}
