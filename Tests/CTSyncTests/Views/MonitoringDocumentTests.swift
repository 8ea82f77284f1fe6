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
