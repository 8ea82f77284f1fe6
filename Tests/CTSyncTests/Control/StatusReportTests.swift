// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct StatusReportTests {
    private static func sample() -> StatusReport {
        var report = StatusReport()
        report.add("role", "master")
        report.add("in_sync", true)
        report.add("epoch", UInt64.max)
        report.add("node_id", UInt8(7))
        report.add("reason", "quote \" backslash \\ line\nbreak \u{1} \u{1B}[0m é 日本 \u{1F600}")
        report.add(group: "bad_packets") { group in
            group.add("short", 3)
            group.add(group: "by version") { $0.add("9", 1) }
        }
        report.add(group: "injection_errors") { _ in }
        var peer = StatusReport()
        peer.add("address", "fe80::1")
        peer.add("id", 2)
        var other = StatusReport()
        other.add("address", "fe80::2")
        other.add("in_sync", false)
        report.add(list: "peers", [peer, other])
        report.add(list: "none", [])
        return report
    }

    @Test func itComesBackFromTheControlSocketAsItWas() throws {
        let report = Self.sample()
        var reply = TextBuffer()
        ControlReply(report).append(to: &reply)
        let lines = try #require(ControlLine.parse(reply.bytes[...]))
        #expect(lines.last == ControlLine("errno", "0"))
        #expect(StatusReport.parse(lines.dropLast()) == report)
        #expect(lines.contains(ControlLine("bad_packets.by_version._9", "1")))
        #expect(lines.contains(ControlLine("peers.1.address", "\"fe80::2\"")))
    }

    @Test func itsJSONIsWellFormed() throws {
        let data = Data(Self.sample().json.utf8)
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["role"] as? String == "master")
        #expect(object["in_sync"] as? Bool == true)
        #expect(object["epoch"] as? UInt64 == .max)
        #expect(
            object["reason"] as? String
                == "quote \" backslash \\ line\nbreak \u{1} \u{1B}[0m é 日本 \u{1F600}")
        let bad = try #require(object["bad_packets"] as? [String: Any])
        #expect(bad["short"] as? Int == 3)
        let peers = try #require(object["peers"] as? [[String: Any]])
        #expect(peers.count == 2 && peers[1]["in_sync"] as? Bool == false)
        #expect((object["none"] as? [Any])?.isEmpty == true)
        #expect((object["injection_errors"] as? [String: Any])?.isEmpty == true)
        #expect(StatusReport().json == "{}\n")
    }

    @Test func itsTextIsAlignedAndHarmless() {
        var report = StatusReport()
        report.add("role", "slave")
        report.add("in_sync", false)
        report.add("reason", "a\u{1B}b")
        report.add(group: "bad_packets") { $0.add("too_short", 3) }
        report.add(list: "peers", [report])
        #expect(
            report.text == """
                role:        slave
                in sync:     no
                reason:      a?b
                bad packets:
                  too short: 3
                peers 1:
                  role:        slave
                  in sync:     no
                  reason:      a?b
                  bad packets:
                    too short: 3

                """)
    }

    @Test(
        arguments: [
            ("a", ""), ("a", "x"), ("a", "\"x"), ("a", "\""), ("a", "\"\\q\""), ("a", "-1"),
            ("a", "\"\\u12\""), ("a", "01"), ("a.", "1"), (".a", "1"), ("a.1.b", "1"),
            ("a", "\"a\"b\""), ("a", "18446744073709551616"), ("a.b.c.d.e.f.g.h.i.j", "1"),
        ]) func aLineThatIsNoneIsRefused(_ key: String, _ value: String)
    {
        #expect(StatusReport.parse([ControlLine(key, value)]) == nil)
    }

    @Test func aKeyTwiceOrOfTwoKindsIsRefused() {
        let one = ControlLine("a", "1")
        #expect(StatusReport.parse([one, one]) == nil)
        #expect(StatusReport.parse([one, ControlLine("a.b", "1")]) == nil)
        #expect(StatusReport.parse([ControlLine("a.b", "1"), ControlLine("a.0.b", "1")]) == nil)
    }

    @Test func randomReportsComeBack() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var state = seed
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        func random(_ depth: Int) -> StatusReport {
            var report = StatusReport()
            for index in 0..<(1 + next(5)) {
                let key = "key_\(index)"
                switch next(depth > 2 ? 3 : 5) {
                case 0: report.add(key, next(1_000_000))
                case 1: report.add(key, next(2) == 0)
                case 2:
                    let scalars = (0..<next(20)).compactMap { _ in Unicode.Scalar(next(300)) }
                    report.add(key, String(String.UnicodeScalarView(scalars)))
                case 3: report.add(key, .group(random(depth + 1)))
                default: report.add(list: key, (0..<next(3)).map { _ in random(depth + 1) })
                }
            }
            return report
        }
        for _ in 0..<200 {
            let report = random(0)
            #expect(StatusReport.parse(report.lines) == report, "seed \(seed)")
        }
    }
}
