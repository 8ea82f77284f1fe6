// SPDX-License-Identifier: GPL-2.0-or-later

/// The nftables text of a drop, and of its end.
///
/// The frames of a known device are dropped at its ingress and egress hooks: before a bridge, a VLAN
/// or an address sees them, and after everything that makes them. Three tables more of the same name
/// (families inet, arp and bridge) drop by interface name, so that they hold for a device that
/// appears later from its first packet on, until the list of devices is renewed, and for what a
/// carrier sends or receives by itself. nft 1.0.6 cannot write a hook for every device (kernel 6.16
/// and later would take one).
///
/// Not seen by any of them: what a program sends past the queues (PACKET_QDISC_BYPASS, AF_XDP).
struct NetdevRuleset {
    /// Devices in one chain: the kernel takes 256 at most (NFT_NETDEVICE_MAX).
    static let devicesPerChain = 128
    /// The families in which the drop has a table.
    static let families = ["netdev", "inet", "arp", "bridge"]

    /// The name of its tables.
    let table: String
    /// The families without the ones this kernel lacks.
    var families = NetdevRuleset.families

    /// How many chains and rules a text has, ours or what nftables lists of it.
    struct Shape: Equatable {
        /// Every chain of ours has a hook, and the policy to drop.
        private(set) var chainCount = 0
        /// Every rule of ours accepts. nftables may break it into lines, but not behind that.
        private(set) var ruleCount = 0

        /// Counts them.
        init(_ text: String) {
            for line in text.split(separator: "\n") {
                if line.hasSuffix("policy drop;") || line.hasSuffix("policy drop; }") {
                    chainCount += 1
                }
                if line.hasSuffix(" accept") { ruleCount += 1 }
            }
        }
    }

    /// Takes the tables away, whether they are there or not.
    var removal: String {
        families.map { "add table \($0) \(table)\ndelete table \($0) \(table)\n" }.joined()
    }

    /// Puts the tables in the place of what is there.
    func replacement(_ plan: DarkPlan) -> String {
        removal + families.map { "add table \($0) \(table)\n" }.joined() + filling(plan)
    }

    /// Puts chains and rules in the place of those that are there, and leaves the tables alone: one
    /// that is to outlive its owner cannot be made again by nft 1.0.6.
    func refilling(_ plan: DarkPlan, without old: [(family: String, chain: String)]) -> String {
        let removals = old.map { family, chain in
            "flush chain \(family) \(table) \(chain)\ndelete chain \(family) \(table) \(chain)\n"
        }
        return removals.joined() + filling(plan)
    }

    /// The chains of a table, as nftables lists it.
    static func chains(of listing: String) -> [String] {
        listing.split(separator: "\n").compactMap { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count == 3, words[0] == "chain", words[2] == "{" else { return nil }
            return String(words[1])
        }
    }

    private func filling(_ plan: DarkPlan) -> String {
        let names = plan.open.map(Self.quoted).joined(separator: ", ")
        let ports = (plan.open + plan.carriers.map(\.name)).map(Self.quoted)
        var text = netdev(plan)
        if families.contains("inet") {
            text += guarding(
                "inet",
                [
                    ("prerouting", "iifname", names), ("output", "oifname", names),
                    ("postrouting", "oifname", names),
                ])
        }
        if families.contains("arp") {
            text += guarding("arp", [("input", "iifname", names), ("output", "oifname", names)])
        }
        if families.contains("bridge") {
            let all = ports.joined(separator: ", ")
            text += guarding(
                "bridge", [("prerouting", "iifname", all), ("postrouting", "oifname", all)])
        }
        return text
    }

    /// The netdev table: one pair of chains per 128 dark devices, one per carrier.
    private func netdev(_ plan: DarkPlan) -> String {
        var text = ""
        var number = 0
        for start in stride(from: 0, to: plan.dark.count, by: Self.devicesPerChain) {
            let end = min(start + Self.devicesPerChain, plan.dark.count)
            let devices = plan.dark[start..<end].map(Self.quoted).joined(separator: ", ")
            for hook in ["ingress", "egress"] {
                text += chain("netdev", "\(hook)\(number)", hook, devices, [])
            }
            number += 1
        }
        for (number, carrier) in plan.carriers.enumerated()
        where !carrier.carried.contains(.everything) {
            let device = Self.quoted(carrier.name)
            text += chain(
                "netdev", "carry_ingress\(number)", "ingress", device,
                carrier.carried.flatMap(Self.accepted(inbound:)).map { $0 + " counter" })
            text += chain(
                "netdev", "carry_egress\(number)", "egress", device,
                carrier.carried.flatMap(Self.accepted(outbound:)).map { $0 + " counter" })
        }
        return text
    }

    private func chain(
        _ family: String, _ name: String, _ hook: String, _ devices: String?, _ accepted: [String]
    ) -> String {
        let place = devices.map { " devices = { \($0) }" } ?? ""
        let rules = accepted.map { "add rule \(family) \(table) \(name) \($0) accept\n" }
        return "add chain \(family) \(table) \(name) "
            + "{ type filter hook \(hook)\(place) priority -500; policy drop; }\n" + rules.joined()
    }

    private func guarding(
        _ family: String, _ chains: [(hook: String, key: String, names: String)]
    ) -> String {
        chains.map { chain($0, in: family) }.joined()
    }

    private func chain(
        _ wanted: (hook: String, key: String, names: String), in family: String
    ) -> String {
        chain(family, wanted.hook, wanted.hook, nil, ["\(wanted.key) { \(wanted.names) }"])
    }

    private static func accepted(inbound carried: DarkPlan.Carried) -> [String] {
        guard case .station(let address) = carried else { return accepted(outbound: carried) }
        return [
            "ether daddr \(station(address))",
            "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00",
        ]
    }

    private static func accepted(outbound carried: DarkPlan.Carried) -> [String] {
        switch carried {
        case .everything: []
        case .tagged(let tag):
            [
                "ether type 0x\(String(tag.etherType, radix: 16)) vlan id \(tag.identifier)"
            ]
        case .station(let address): ["ether saddr \(station(address))"]
        case .etherType(let type): ["ether type 0x\(String(type, radix: 16))"]
        }
    }

    private static func station(_ address: [UInt8]) -> String {
        address.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    private static func quoted(_ name: String) -> String { "\"\(name)\"" }

    /// Whether nftables can have this name between quotes and take it for itself alone.
    static func canWrite(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count < 16 && !name.hasSuffix("*")
            && !name.utf8.contains { $0 <= 0x20 || $0 == 0x22 || $0 == 0x5C || $0 == 0x7F }
    }
}
