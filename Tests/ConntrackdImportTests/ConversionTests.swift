// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import Foundation
import Testing

@testable import ConntrackdImport

/// Files of many shapes, each with the settings that come out of it.
@Suite struct ConversionTests {
    /// A file, the settings for it, and those that are proposed in comments.
    struct Case: Sendable, CustomTestStringConvertible {
        let file: String
        let settings: [String]
        var proposals: [String] = []
        var testDescription: String { file }
    }

    private static func link(
        _ devices: String..., to targets: String..., port: Int = 3781, id: Int
    ) -> [String] {
        devices.map { "syncdev=\($0)" } + targets + ["port=\(port)", "id=\(id)"]
    }
    private static let debian = link("eth2", to: "group=225.0.0.50", id: 100)
    private static func protocols(_ names: String...) -> [String] {
        names.map { "replicate=accept protocol \($0)" }
    }

    private static let cases: [Case] = [
        Case(
            file: "debian-ftfw",
            settings: debian + ["max-entries=131072"] + protocols("tcp", "sctp", "33")),
        Case(
            file: "debian-alarm",
            settings: link("eth2", to: "group=225.0.0.50", id: 200) + [
                "max-entries=131072", "replicate=ignore protocol udp",
                "replicate=ignore protocol icmp", "replicate=ignore protocol icmpv6",
            ]),
        Case(file: "debian-notrack", settings: debian + ["max-entries=131072"]),
        Case(
            file: "manual-two-links",
            settings: link("eth3", "eth2", to: "group=225.0.0.51", port: 3782, id: 100)
                + ["max-entries=131072", "replicate=ignore source 192.168.100.0/24"]
                + protocols("tcp", "sctp", "33"),
            proposals: ["replicate=\"ignore destination 192.168.100.0/24\""]),
        Case(
            file: "manual-tcp",
            settings: link("eth2", to: "peer=192.168.2.101", id: 100) + [
                "max-entries=131072", "replicate=ignore source 192.168.0.0/16",
                "replicate=accept state ESTABLISHED,CLOSE,TIME_WAIT,CLOSE_WAIT,FIN_WAIT,LAST_ACK",
            ] + protocols("sctp", "33"),
            proposals: ["replicate=\"ignore destination 192.168.0.0/16\""]),
        Case(
            file: "guide-udp-pair",
            settings: link("ens3", to: "peer=10.90.0.2", id: 1) + ["max-entries=131072"]
                + protocols("tcp", "udp", "icmp")),
        Case(
            file: "guide-realtime",
            settings: link("eth0.54", to: "group=225.0.0.50", id: 3) + ["max-entries=32768"]
                + protocols("tcp", "udp", "icmp", "icmpv6")),
        Case(
            file: "guide-three-nodes",
            settings: link("eth1", to: "peer=10.90.0.2", "peer=10.90.0.3", port: 3782, id: 1)
                + ["max-entries=131072"]),
        Case(file: "guide-ipv6-peer", settings: link("bond0", to: "peer=2001:db8:ffff::2", id: 1)),
        Case(file: "guide-ipv6-tcp", settings: link("eth2", to: "peer=2001:db8:ffff::6", id: 5)),
        Case(
            file: "guide-ipv6-group",
            settings: ["ring-slots=32768"] + link("sync-link_0", to: "group=ff02::db8:50", id: 1)),
        Case(
            file: "guide-states",
            settings: debian + ["replicate=accept state ESTABLISHED,FIN_WAIT,CLOSE_WAIT,LAST_ACK"]),
        Case(
            file: "guide-states-ignored",
            settings: debian + [
                "replicate=ignore state SYN_SENT,SYN_RECV,TIME_WAIT,CLOSE,SYN_SENT2"
            ]),
        Case(
            file: "guide-states-any-protocol",
            settings: link("tun0", to: "peer=10.8.2.1", id: 1) + [
                "replicate=ignore protocol gre", "replicate=ignore protocol 2",
                "replicate=accept state SYN_RECV,ESTABLISHED,FIN_WAIT,CLOSE_WAIT,LAST_ACK",
                "replicate=ignore protocol tcp",
            ]),
        Case(file: "guide-accepted-networks", settings: debian),
        Case(file: "guide-dense", settings: link("br-sync", to: "group=225.0.0.50", id: 7)),
        Case(
            file: "vyos-multicast",
            settings: link("eth1", to: "group=225.0.0.50", id: 11)
                + ["max-entries=524288", "replicate=ignore source 192.0.2.0/24"]
                + protocols("tcp", "udp", "icmp", "icmpv6"),
            proposals: ["replicate=\"ignore destination 192.0.2.0/24\""]),
        Case(
            file: "vyos-peers",
            settings: link("eth1", "eth2", to: "peer=192.0.2.12", "peer=198.51.100.12", id: 11)
                + ["max-entries=524288"]),
        Case(
            file: "neutron",
            settings: ["max-entries=131072"]
                + link("ha-4d2d7b6a-12", to: "group=225.0.0.50", port: 3782, id: 5)
                + protocols("tcp", "sctp", "33", "udp", "icmp", "icmpv6")),
        Case(
            file: "four-links",
            settings: link(
                "eth2", "eth3", "eth4", "eth5", to: "group=225.0.0.50", port: 3784, id: 1)),
        Case(
            file: "before-1.4.5",
            settings: debian + [
                "max-entries=65535", "replicate=ignore protocol udp",
                "replicate=ignore protocol icmp", "replicate=ignore protocol 2",
                "replicate=ignore protocol 112",
                "replicate=accept state ESTABLISHED,TIME_WAIT,FIN_WAIT,CLOSE_WAIT,LAST_ACK",
                "replicate=ignore protocol tcp",
            ]),
        Case(file: "before-1.4.5-alarm", settings: debian),
    ]

    @Test(arguments: cases) func aFileBecomesSettingsThatTheDaemonTakes(_ one: Case) throws {
        let text = try ConntrackdConversion.configuration(
            from: ConntrackdFiles.text(one.file), path: "conntrackd.conf")
        let file = try ConfigurationFile(text: text, path: "ct_sync.conf")
        #expect(file.settings.map { "\($0.name)=\($0.value)" } == one.settings)
        _ = try Configuration(file.settings)
        let proposal = "#options ct_sync "
        let proposals = text.split(separator: "\n").filter { $0.hasPrefix(proposal) }
        #expect(proposals.map { String($0.dropFirst(proposal.count)) } == one.proposals)
    }

    @Test(arguments: cases) func aProposalIsTakenToo(_ one: Case) throws {
        let text = try ConntrackdConversion.configuration(
            from: ConntrackdFiles.text(one.file), path: "conntrackd.conf")
        let withProposals = text.split(separator: "\n").map {
            $0.hasPrefix("#options") ? $0.dropFirst() : $0
        }.joined(separator: "\n")
        _ = try Configuration(ConfigurationFile(text: withProposals, path: "c").settings)
    }

    /// Further links that cannot be sync devices of their own.
    @Test(
        arguments: [
            (
                "Multicast { Interface a IPv4_address 225.0.0.50 } "
                    + "Multicast { Interface a IPv4_address 225.0.0.51 }",
                ["syncdev=a", "group=225.0.0.50"], "a device has one group, 225.0.0.50"
            ),
            (
                "UDP { Interface a IPv4_Destination_Address 10.0.0.2 } "
                    + "UDP Default { Interface b IPv4_Destination_Address 10.0.0.2 }",
                ["syncdev=b", "peer=10.0.0.2"], "a peer is reached over one device"
            ),
            (
                "UDP { Interface a IPv4_Destination_Address 10.0.0.2 } "
                    + "UDP { Interface a IPv6_Destination_Address 2001:db8::2 }",
                ["syncdev=a", "peer=10.0.0.2"], "the peers of a device are of one family"
            ),
            (
                "UDP { Interface a IPv4_Destination_Address 10.0.0.2 } "
                    + "UDP { Interface b IPv6_Destination_Address 2001:db8::2 }",
                ["syncdev=a", "syncdev=b", "peer=10.0.0.2", "peer=2001:db8::2"],
                "b is one more sync device, beside a"
            ),
        ]) func aFurtherLink(_ links: String, _ settings: [String], _ words: String) throws
    {
        let text = try ConntrackdConversion.configuration(from: "Sync { \(links) }", path: "c")
        let file = try ConfigurationFile(text: text, path: "c")
        let named = file.settings.filter { !["port", "id"].contains($0.name) }
        #expect(named.map { "\($0.name)=\($0.value)" } == settings)
        let said = text.split(whereSeparator: \.isWhitespace).filter { $0 != "#" }
        #expect(said.joined(separator: " ").contains(words))
        _ = try Configuration(file.settings)
    }

    @Test func whereAFilterDecidesIsSaid() throws {
        let text = try ConntrackdConversion.configuration(
            from: "Sync { UDP { Interface a IPv4_Destination_Address 10.0.0.2 } }\n"
                + "General { Filter From Kernelspace { Protocol Accept { TCP } } }", path: "c")
        #expect(text.contains("2: Filter From Kernelspace -> rules at the end; nothing else"))
    }

    @Test func everyFileIsAmongTheCases() throws {
        #expect(try ConntrackdFiles.names == Self.cases.map(\.file).sorted())
    }

    @Test(arguments: cases) func everyClauseIsNamedWithItsLine(_ one: Case) throws {
        let source = try ConntrackdFiles.text(one.file)
        let text = try ConntrackdConversion.configuration(from: source, path: "c")
        let lines = text.split(separator: "\n")
        func look(_ clauses: [Clause]) {
            for clause in clauses {
                let begin = "\(clause.line): \(clause.title)"
                let isNamed = lines.contains {
                    $0.drop { $0 == "#" || $0 == " " }.hasPrefix(begin)
                }
                #expect(isNamed, "\(begin)")
                look(clause.clauses)
            }
        }
        look(try Parser.clauses(of: source, path: "c"))
        #expect(lines.allSatisfy { $0.utf8.count <= 100 })
    }

    @Test func everyClauseOfTheGrammarStandsInAFile() throws {
        var seen: Set<String> = []
        func look(_ clauses: [Clause], _ section: String) {
            for clause in clauses {
                seen.insert("\(section) \(clause.name)")
                let isMode = clause.name == "Mode"
                let isAddress = ["Address", "IgnoreTrafficFor"].contains(clause.name)
                look(
                    clause.clauses,
                    isMode ? "Mode \(clause.value)" : isAddress ? "Address" : clause.name)
            }
        }
        for name in try ConntrackdFiles.names + ["broken/stats-only"] {
            look(
                try Parser.clauses(of: ConntrackdFiles.text(name), path: name),
                Section.file.rawValue)
        }
        // Two clauses of Stats that no version takes together with the file's other half.
        let exceptions: Set = ["Stats NetlinkEventsReliable", "Stats LogFileBufferSize"]
        for section in Section.allCases {
            for name in section.forms.map(\.key) {
                let clause = "\(section.rawValue) \(name)"
                #expect(seen.contains(clause) || exceptions.contains(clause), "\(clause)")
            }
        }
    }

    @Test func everyClauseHasARemarkOrBecomesASetting() {
        let converted: Set = [
            "Multicast", "UDP", "TCP", "HashLimit", "ResendQueueSize", "Protocol", "Address",
            "State", "IgnoreProtocol", "IgnoreTrafficFor", "Replicate", "Interface",
            "IPv4_address", "IPv6_address", "IPv4_Destination_Address",
            "IPv6_Destination_Address", "IPv4_interface", "IPv6_interface", "Group", "Port",
            "Stats", "LogFileBufferSize",
        ]
        for section in Section.allCases {
            for name in section.forms.map(\.key) where !converted.contains(name) {
                #expect(Remarks.always[name] != nil, "\(section.rawValue) \(name)")
            }
        }
    }
}
