// SPDX-License-Identifier: GPL-2.0-or-later

/// A number that two nodes share if they choose what they replicate by the same settings: FNV-1a, 32
/// bits, over the rules in their order. Never 0.
struct RulesFingerprint {
    /// The number.
    private(set) var value: UInt32 = 0x811C_9DC5

    /// That of a node's settings.
    init(_ rules: [ReplicationRule], ownConnections: Bool) {
        add(ownConnections ? 1 : 0)
        for rule in rules { add(rule) }
        if value == 0 { value = 1 }
    }

    private mutating func add(_ rule: ReplicationRule) {
        add(rule.isAccept ? 1 : 0)
        add(rule.protocolNumber.map { UInt64($0) + 1 } ?? 0)
        add(rule.source)
        add(rule.destination)
        add(rule.zone.map { UInt64($0) + 1 } ?? 0)
        add(UInt64(rule.tcpStates))
        add(rule.needsAssured ? 1 : 0)
        add(UInt64(rule.markMask) << 32 | UInt64(rule.markValue))
    }

    private mutating func add(_ network: ReplicationFilter.Network?) {
        guard let network else { return add(0) }
        add(UInt64(network.family.rawValue) << 8 | UInt64(network.prefixLength) + 1)
        add(network.address.high)
        add(network.address.low)
    }

    private mutating func add(_ number: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            value = (value ^ UInt32(number >> shift & 0xFF)) &* 0x0100_0193
        }
    }
}
