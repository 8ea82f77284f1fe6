// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct ReplicationRuleTextTests {
    private static let tcpOnly = ReplicationRule(isAccept: true)
    private static let protocols =
        "tcp, udp, sctp, gre, icmp, icmpv6 or a number from 0 to 255"
    private static let criteria =
        "protocol, source, destination, state, assured, mark or zone, each once"
    private static let states =
        "SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, "
        + "SYN_SENT2, joined by commas"
    private static let mark =
        "VALUE or VALUE/MASK, up to 0xffffffff, the mask not 0 and no bit outside it"

    @Test func everyCriterionIsRead() throws {
        let rule = try ReplicationRule(
            text: "accept  protocol tcp source 192.0.2.0/24 destination 198.51.100.7\tzone 5 "
                + "state ESTABLISHED,TIME_WAIT assured mark 0x10/0xF0")
        #expect(rule.isAccept && rule.isChangeable)
        #expect(rule.protocolNumber == ProtocolNumber.tcp && rule.zone == 5)
        #expect(
            rule.source
                == ReplicationFilter.Network(
                    address: Address(ipv4: 0xC000_0200), prefixLength: 24, family: .ipv4))
        #expect(rule.destination?.prefixLength == 32)
        #expect(rule.tcpStates == 1 << 3 | 1 << 7 && rule.needsAssured)
        #expect(rule.markValue == 0x10 && rule.markMask == 0xF0)
        let plain = try ReplicationRule(text: "ignore")
        #expect(plain == ReplicationRule(isAccept: false))
        #expect(try ReplicationRule(text: "accept mark 7").markMask == .max)
        #expect(try ReplicationRule(text: "ignore protocol 89").protocolNumber == 89)
        #expect(try ReplicationRule(text: "ignore source ::/0").source?.family == .ipv6)
        #expect(
            try ReplicationRule(text: "accept state CLOSE").protocolNumber == ProtocolNumber.tcp)
    }

    @Test(
        arguments: [
            ("", "\"\" must be accept or ignore"),
            ("permit protocol tcp", "\"permit\" must be accept or ignore"),
            ("accept proto tcp", "\"proto\" must be \(criteria)"),
            ("accept protocol", "\"\" must be \(protocols)"),
            ("accept protocol foo", "\"foo\" must be \(protocols)"),
            ("accept protocol 256", "\"256\" must be \(protocols)"),
            ("accept protocol -1", "\"-1\" must be \(protocols)"),
            ("accept protocol tcp protocol udp", "\"protocol\" must be given only once"),
            (
                "ignore source 192.0.2",
                "\"192.0.2\" must be an IPv4 or IPv6 network, as 192.0.2.0/24"
            ),
            (
                "ignore source 192.0.2.0/33",
                "\"192.0.2.0/33\" must be an IPv4 network with a prefix from 0 to 32"
            ),
            (
                "ignore source fd00::/129",
                "\"fd00::/129\" must be an IPv6 network with a prefix from 0 to 128"
            ),
            (
                "ignore source 10.0.0.0/",
                "\"10.0.0.0/\" must be an IPv4 network with a prefix from 0 to 32"
            ),
            (
                "ignore source 10.0.0.0/8 destination fd00::/8",
                "\"destination\" must be an IPv4 network like the source"
            ),
            ("accept state established", "\"established\" must be \(states)"),
            ("accept state ESTABLISHED,", "\"\" must be \(states)"),
            ("accept state NONE", "\"NONE\" must be \(states)"),
            (
                "accept protocol udp state CLOSE",
                "\"state\" must be left out or go with protocol tcp: only TCP has one"
            ),
            ("accept mark 0x100000000", "\"0x100000000\" must be \(mark)"),
            ("accept mark 3/2", "\"3/2\" must be \(mark)"),
            ("accept mark 0/0", "\"0/0\" must be \(mark)"),
            ("accept mark 1/", "\"1/\" must be \(mark)"),
            ("accept zone 65536", "\"65536\" must be a number from 0 to 65535"),
        ]) func whatIsNotUnderstoodIsNamedWithWhatIsAllowed(_ text: String, _ sentence: String)
    {
        let mistake = #expect(throws: RuleMistake.self) { try ReplicationRule(text: text) }
        #expect(mistake?.sentence == sentence)
    }

    @Test func aMistakeIsASentenceWithItsPlace() {
        let flag = #expect(throws: ConfigurationError.self) {
            try Configuration([
                Setting("syncdev", "s", .flag), Setting("replicate", "accept all", .flag),
            ])
        }
        #expect(
            flag?.sentence
                == "--replicate is \"accept all\", in which \"all\" must be \(Self.criteria)")
        #expect(flag?.exitStatus == 64)
        let line = #expect(throws: ConfigurationError.self) {
            let file = try ConfigurationFile(
                text: "\noptions ct_sync syncdev=s replicate=\"ignore zone x\"", path: "/etc/c")
            return try Configuration(file: file.settings, commandLine: [])
        }
        #expect(
            line?.sentence
                == "/etc/c:2: replicate is \"ignore zone x\", in which \"x\" must be a number "
                + "from 0 to 65535")
        #expect(line?.exitStatus == 78)
    }

    @Test func rulesAddUpAndTheCommandLineReplacesThoseOfTheFile() throws {
        let file = try ConfigurationFile(
            text: """
                options ct_sync syncdev=s replicate="accept protocol tcp" own_connections=1
                options ct_sync "replicate=ignore zone 7" # the rest
                """, path: "c")
        let settings = try Configuration(file: file.settings, commandLine: [])
        #expect(settings.replicationRules.map(\.isAccept) == [true, false])
        #expect(settings.replicationRules[1].zone == 7 && settings.ownConnections)
        let replaced = try Configuration(
            file: file.settings, commandLine: [Setting("replicate", "accept assured", .flag)])
        #expect(replaced.replicationRules.map(\.needsAssured) == [true])
        let many = (0..<65).map { _ in Setting("replicate", "accept", .flag) }
        let tooMany = #expect(throws: ConfigurationError.self) {
            try Configuration([Setting("syncdev", "s", .flag)] + many)
        }
        #expect(
            tooMany?.sentence
                == "--replicate is \"accept\", one more than the 64 rules there may be")
        let open = #expect(throws: ConfigurationError.self) {
            try ConfigurationFile(text: "options ct_sync replicate=\"accept", path: "c")
        }
        #expect(
            open?.sentence
                == "c:1: a double quote is open at the end of the line, but must be closed")
    }
}
