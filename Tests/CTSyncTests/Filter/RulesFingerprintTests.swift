// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct RulesFingerprintTests {
    private static func value(_ texts: [String], own: Bool = false) throws -> UInt32 {
        RulesFingerprint(try texts.map { try ReplicationRule(text: $0) }, ownConnections: own).value
    }

    /// Nodes of different versions compare it: it must not change.
    @Test func itIsTheSameEverywhere() throws {
        #expect(try Self.value([]) == 0x9BE1_7165)
    }

    @Test func everyDifferenceCounts() throws {
        let lists: [[String]] = [
            [], ["accept"], ["ignore"], ["accept protocol tcp"], ["accept protocol udp"],
            ["accept source 10.0.0.0/8"], ["accept destination 10.0.0.0/8"],
            ["accept source 10.0.0.0/9"], ["accept source fd00::/8"], ["accept zone 0"],
            ["accept zone 1"], ["accept state ESTABLISHED"], ["accept assured"],
            ["accept mark 1"], ["accept mark 1/1"], ["accept mark 0/1"],
            ["accept protocol tcp", "ignore"], ["ignore", "accept protocol tcp"],
        ]
        let values = try lists.map { try Self.value($0) } + [try Self.value([], own: true)]
        #expect(Set(values).count == values.count)
        #expect(!values.contains(0))
        #expect(
            try Self.value(["accept  protocol  6"]) == Self.value(["accept protocol tcp"]))
    }
}
