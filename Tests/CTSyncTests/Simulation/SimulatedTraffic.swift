// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// The connections that go through a firewall: few keys, so that they are used again and again.
struct SimulatedTraffic {
    private let keys: [Key]
    private let chance: Chance
    private static let natAddress = Address(ipv4: 0xCB00_7101)

    init(own: [Address], _ chance: Chance) {
        self.chance = chance
        keys = (0..<44).map { Self.key($0, own) }
    }

    private static func key(_ index: Int, _ own: [Address]) -> Key {
        let isIPv6 = index % 5 == 4
        let source =
            index >= 40
            ? own[index % own.count]
            : isIPv6
                ? Address(high: 0x2001_0DB8 << 32, low: UInt64(index))
                : Address(ipv4: 0x0A00_0001 + UInt32(index % 7))
        let destination =
            isIPv6 && index < 40
            ? Address(high: 0x2001_0DB8 << 32, low: 0xFFFF) : Address(ipv4: 0xC633_6402)
        let tuple = Tuple(
            family: isIPv6 && index < 40 ? .ipv6 : .ipv4,
            protocolNumber: index % 3 == 0 ? ProtocolNumber.udp : ProtocolNumber.tcp,
            source: source, destination: destination, sourcePort: UInt16(1_000 + index),
            destinationPort: 80)
        return Key(tuple, zone: index % 11 == 0 ? 5 : 0)
    }

    /// Something happens to a connection.
    func disturb(_ kernel: SimulatedKernel) {
        let key = chance.one(of: keys)
        guard let entry = kernel.entries[key] else {
            kernel.make(fresh(key, kernel))
            return
        }
        switch chance.below(10) {
        case 0, 1:
            kernel.end(key)
        case 2:
            // The port is used again at once.
            kernel.end(key)
            kernel.make(fresh(key, kernel))
        case 3, 4:
            let mark = UInt32(chance.below(3))
            kernel.change(key, saying: .mark) { $0.mark = mark }
        case 5:
            let labels = UInt64(1 + chance.below(100))
            kernel.change(key, saying: .labels) { $0.extras.labelsLow = labels }
        case 6:
            kernel.change(key, saying: []) { $0.status.formUnion([.IPS_SEEN_REPLY, .IPS_ASSURED]) }
        default:
            guard entry.key.tuple.protocolNumber == ProtocolNumber.tcp else { return }
            let state = UInt8(1 + chance.below(8))
            kernel.change(key, saying: .protocolInfo) {
                $0.protocolInfo.state = state
                $0.protocolInfo.originalFlags = TCPFlag.windowScale
                $0.status.insert(.IPS_SEEN_REPLY)
            }
        }
    }

    private func isOwn(_ key: Key) -> Bool {
        key.tuple.source.low >> 8 == 0xC0_0002
    }

    private func fresh(_ key: Key, _ kernel: SimulatedKernel) -> Entry {
        var entry = Entry(key)
        entry.status = [.IPS_CONFIRMED]
        entry.timeoutSeconds = 30
        entry.fields = [.status, .timeout]
        if key.tuple.protocolNumber == ProtocolNumber.tcp {
            entry.protocolInfo.state = TCPState.synSent
            entry.fields.insert(.protocolInfo)
        }
        if chance.happens(300) {
            entry.mark = UInt32(1 + chance.below(2))
            entry.fields.insert(.mark)
        }
        if key.tuple.family == .ipv4, !isOwn(key), chance.happens(400) {
            entry.reply.destination = Self.natAddress
            entry.reply.destinationPort = UInt16(2_000 + chance.below(80))
        }
        let master = chance.one(of: keys)
        let isRelation =
            master != key && master.zone == key.zone && master.tuple.family == key.tuple.family
        // Nothing is expected by what was itself expected.
        if chance.happens(250), isRelation, !isOwn(master), let found = kernel.entries[master],
            !found.fields.contains(.parent)
        {
            entry.extras.parent = master.tuple
            entry.fields.insert(.parent)
            entry.status.insert(.IPS_EXPECTED)
        }
        return entry
    }
}
