// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Numbers that a seed decides (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &self) < percent
    }
}

/// Random rules and entries that often meet each other.
enum SampleRules {
    private static let protocols = [
        ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.icmp, ProtocolNumber.icmpv6, 89,
    ]

    static func random(using random: inout SeededRandom, isPlain: Bool = false)
        -> [ReplicationRule]
    {
        (0..<Int.random(in: 0...5, using: &random)).map { _ in
            var rule = ReplicationRule(isAccept: random.chance(50))
            if random.chance(40) { rule.protocolNumber = protocols.randomElement(using: &random) }
            let family: Family = random.chance(50) ? .ipv4 : .ipv6
            if random.chance(30) { rule.source = network(family, using: &random) }
            if random.chance(30) { rule.destination = network(family, using: &random) }
            guard !isPlain else { return rule }
            if random.chance(15) { rule.zone = UInt16.random(in: 0...1, using: &random) }
            if random.chance(25) { rule.needsAssured = true }
            if random.chance(25) { (rule.markValue, rule.markMask) = (1, 1) }
            if random.chance(25) {
                rule.protocolNumber = ProtocolNumber.tcp
                rule.tcpStates = UInt16.random(in: 1...0x3FF, using: &random) & 0x3FE | 8
            }
            return rule
        }
    }

    private static func network(
        _ family: Family, using random: inout SeededRandom
    ) -> ReplicationFilter.Network {
        let bits = family == .ipv4 ? 32 : 128
        let edges = [0, 8, bits - 2, bits - 1, bits, bits == 128 ? 63 : 24, bits == 128 ? 64 : 31]
        return ReplicationFilter.Network(
            address: address(family, using: &random),
            prefixLength: edges[Int.random(in: 0..<edges.count, using: &random)], family: family)
    }

    private static func address(_ family: Family, using random: inout SeededRandom) -> Address {
        let low = UInt64.random(in: 0...3, using: &random)
        return family == .ipv4
            ? Address(ipv4: 0x0A00_0000 | UInt32(low))
            : Address(
                high: 0xFD00_0000_0000_0000 | UInt64.random(in: 0...1, using: &random),
                low: low)
    }

    /// An entry as an event says it, with or without the TCP state.
    static func entry(using random: inout SeededRandom) -> Entry {
        let family: Family = random.chance(50) ? .ipv4 : .ipv6
        var number = protocols[Int.random(in: 0..<protocols.count, using: &random)]
        // The kernel knows each of the two by its own family only.
        if number == ProtocolNumber.icmp, family == .ipv6 { number = ProtocolNumber.icmpv6 }
        if number == ProtocolNumber.icmpv6, family == .ipv4 { number = ProtocolNumber.icmp }
        let isICMP = number == ProtocolNumber.icmp || number == ProtocolNumber.icmpv6
        let hasPorts = number != 89
        let destinationPort: UInt16 =
            isICMP ? (family == .ipv4 ? 8 << 8 : 128 << 8) : hasPorts ? 443 : 0
        let tuple = Tuple(
            family: family, protocolNumber: number, source: address(family, using: &random),
            destination: address(family, using: &random),
            sourcePort: hasPorts ? UInt16.random(in: 1...3, using: &random) : 0,
            destinationPort: destinationPort)
        var entry = Entry(Key(tuple, zone: random.chance(20) ? 1 : 0))
        entry.status = random.chance(50) ? [] : [.IPS_SEEN_REPLY, .IPS_ASSURED]
        entry.mark = UInt32.random(in: 0...2, using: &random)
        entry.timeoutSeconds = 600
        entry.fields = [.status, .timeout, .mark]
        if number == ProtocolNumber.tcp {
            entry.protocolInfo.state = UInt8.random(in: 1...8, using: &random)
            entry.fields.insert(.protocolInfo)
        }
        return entry
    }
}
