// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

/// What ct_sync-status(5) documents is what is printed.
@Suite struct StatusFieldsTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The terms of a section of the page.
    private static func terms(_ section: String) throws -> [String] {
        let page = try String(
            contentsOf: root.appendingPathComponent("man/ct_sync-status.5"), encoding: .utf8)
        let text = page.components(separatedBy: "\n.SH \(section)\n")[1]
            .components(separatedBy: "\n.SH ")[0]
        return text.split(separator: "\n").filter { $0.hasPrefix(".B ") }.map {
            $0.dropFirst(3).replacingOccurrences(of: "\\-", with: "-")
        }
    }

    private static func fields(_ report: StatusReport, _ prefix: String = "") -> [String] {
        report.entries.flatMap { entry -> [String] in
            let path = prefix + entry.key
            switch entry.value {
            case .group(let group): return fields(group, path + ".")
            case .list(let list): return list.flatMap { fields($0, path + "[].") }
            default: return [path]
            }
        }
    }

    /// Without the counters, which a daemon has to print: ClusterTests compare those.
    @Test func everyFieldIsDocumented() throws {
        var report = SampleReport.alone
        report.drops = [NodeReport.Drop(reason: "version", count: 1)]
        report.lacks = [NodeReport.Lack(what: "nat", count: 1)]
        report.injectionErrors = [("ENOSPC", 1)]
        report.seal.strangers = [SampleReport.stranger()]
        let printed = Self.fields(report.status)
        let documented = try Self.terms("FIELDS").filter { !$0.hasPrefix("counters.") }
        #expect(Set(printed) == Set(documented))
        #expect(Set(documented).count == documented.count)
        // A well slave has neither remarks nor peers with other keys.
        let slave = Set(Self.fields(SampleReport.slave.status))
        #expect(slave.isSubset(of: Set(documented)))
    }

    @Test func everyReasonIsDocumented() throws {
        #expect(
            try Self.terms("REASONS") == NodeReport.Reason.allCases.map(\.rawValue))
    }

    @Test func aFieldIsFoundByItsPath() {
        let status = SampleReport.alone.status
        #expect(status.value(at: "role") == .text("master"))
        #expect(status.value(at: "peers.0.id") == .number(2))
        #expect(status.value(at: "link.destinations.0.address") == .text("224.0.0.254"))
        for none in ["", "peers", "role.x", "peers.1.id", "peers.x", "nonsense", "link..port"] {
            #expect(none == "peers" || status.value(at: none) == nil, "\(none)")
        }
        #expect(StatusReport.plain(.absent) == "")
        #expect(StatusReport.plain(.seconds(microseconds: 46_000)) == "0.046")
        #expect(StatusReport.plain(.text("a\u{1B}b")) == "a?b")
    }

    @Test(
        arguments: [
            (Int64(0), "0.0"), (46_000, "0.046"), (-58, "-0.000058"), (12_000_000, "12.0"),
            (-1_500_000, "-1.5"), (1_795_644_168_958_210, "1795644168.95821"),
        ]) func secondsComeBack(_ microseconds: Int64, _ text: String)
    {
        let value = StatusValue.seconds(microseconds: microseconds)
        #expect(value.wireForm == text)
        #expect(StatusValue(wireForm: text) == value)
    }

    @Test(arguments: ["1.", ".5", "1.0000000", "1.50", "--1.5", "-0.0", "1.5.5", "01.5", "+1.5"])
    func secondsThatAreNoneAreRefused(_ text: String) {
        #expect(StatusValue(wireForm: text) == nil)
    }
}
