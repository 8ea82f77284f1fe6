// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import Testing

@testable import ConntrackdImport

/// Words as conntrackd's scanner cuts them, and values as it takes them.
@Suite struct GrammarTests {
    private func words(_ text: String) -> [String] { Lexer.tokens(of: text).map(\.text) }

    @Test(
        arguments: [
            ("a b\tc\r\nd", ["a", "b", "c", "d", ""]),
            ("a{b}c", ["a", "{", "b", "}", "c", ""]),
            ("a#b\nc # d", ["a", "c", ""]),
            ("/a#b{c d", ["/a#b{c", "d", ""]),
            ("/a\"b", ["/a", "\"", "b", ""]),
            ("# no line end", [""]),
            ("", [""]),
        ]) func aTextIsCutIntoWords(_ text: String, _ wanted: [String])
    {
        #expect(words(text) == wanted)
    }

    @Test func linesAreCounted() {
        let tokens = Lexer.tokens(of: "a # b\n\n{\n}\n")
        #expect(tokens.map(\.line) == [1, 3, 4, 5])
    }

    @Test(
        arguments: [
            ("yes", "on"), ("YES", "on"), ("On", "on"), ("no", "off"), ("oFF", "off"),
            ("true", nil), ("1", nil),
        ]) func switchesAreReadInAnyCase(_ word: String, _ wanted: String?)
    {
        #expect(Form.Value.flag.read(word) == wanted)
    }

    @Test(
        arguments: [
            ("FTFW", "FTFW"), ("nack", "FTFW"), ("Alarm", "ALARM"), ("persistent", "ALARM"),
            ("NoTrack", "NOTRACK"), ("ftp", nil),
        ]) func modesAreReadInAnyCase(_ word: String, _ wanted: String?)
    {
        #expect(Form.Value.mode.read(word) == wanted)
    }

    @Test(
        arguments: [
            ("TCP", 6), ("IPv6-ICMP", 58), ("DCCP", 33), ("udplite", 136), ("6", nil),
            ("nonsense", nil),
        ]) func protocolsHaveTheirNumbers(_ name: String, _ number: UInt8?)
    {
        #expect(ProtocolName.number(name) == number)
    }

    @Test(
        arguments: [
            ("127.0.0.1", true), ("127.0.0.0/8", true), ("127.0.0.0/7", false),
            ("169.254.1.0/24", true), ("10.0.0.1", false), ("0.0.0.0/0", false),
        ]) func whatIsNeverReplicatedNeedsNoRule(_ text: String, _ wanted: Bool)
    {
        #expect(IPNetwork(text, .ipv4)?.isNeverReplicated == wanted)
    }

    @Test(
        arguments: [
            ("::1", true), ("fe80::/10", true), ("fe80::1", true), ("::/0", false),
            ("2001:db8::1", false),
        ]) func whatIsNeverReplicatedOfIPv6NeedsNoRule(_ text: String, _ wanted: Bool)
    {
        #expect(IPNetwork(text, .ipv6)?.isNeverReplicated == wanted)
    }

    /// Rules beyond what ct_sync takes are left out and said.
    @Test func manyNetworksAreCutAtTheLimit() throws {
        let networks = (0..<80).map { "IPv4_address 10.\($0).0.0/16" }.joined(separator: "\n")
        let text = try ConntrackdConversion.configuration(
            from: """
                Sync { UDP { Interface eth2 IPv4_Destination_Address 10.0.0.2 } }
                General { Filter { Address Ignore { \(networks) } } }
                """, path: "c")
        let settings = try ConfigurationFile(text: text, path: "c").settings
        #expect(settings.count { $0.name == "replicate" } == 64)
        #expect(text.contains("#options ct_sync replicate=\"ignore source 10.79.0.0/16\"\n"))
        _ = try Configuration(settings)
    }

    @Test func twoNodesWithTheSameLastByteGetOneAndTwo() throws {
        func id(_ own: String, _ other: String) throws -> UInt8? {
            let clauses = try Parser.clauses(
                of:
                    "Sync { UDP { Interface e IPv4_address \(own) IPv4_Destination_Address \(other) } }",
                path: "c")
            return try Link(try #require(clauses.first?.clauses.first), path: "c").nodeID
        }
        #expect(try id("10.0.1.9", "10.0.2.9") == 1)
        #expect(try id("10.0.2.9", "10.0.1.9") == 2)
        #expect(try id("10.0.2.7", "10.0.1.9") == 7)
    }

    /// A path that would go on in the next line of ct_sync.conf, or end a comment, does neither.
    @Test func foreignTextStaysWithinItsComment() throws {
        let text = try ConntrackdConversion.configuration(
            from: "Sync { UDP { Interface e IPv4_Destination_Address 10.0.0.2 } }\n"
                + "General { LockFile /a\\\nLogFile /b\u{7}\u{C3}\u{A9}\n}", path: "c\\")
        #expect(!text.contains("\\"))
        #expect(text.utf8.allSatisfy { $0 == 0x0A || ($0 >= 0x20 && $0 < 0x7F) })
        _ = try Configuration(ConfigurationFile(text: text, path: "c").settings)
    }
}
