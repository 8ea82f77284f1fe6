// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// The connections that go through the cluster: few keys, so that they are used again and again. It
/// knows which of them live, whatever the firewalls have of them.
final class SimulatedTraffic {
    private let keys: [Key]
    private let chance: Chance
    /// Connections whose ends are there, with what their entry's reply must be.
    private(set) var live: [Key: Tuple] = [:]
    /// When those began, and others of their ends that are over.
    private var beganAt: [Key: Instant] = [:]
    /// Whether some of them are expected by others.
    var hasFamilies = true
    /// How long nothing need come of an expectation.
    var expectationSeconds: UInt32 = 300
    /// What connections are translated to.
    static let natAddress = Address(ipv4: 0xCB00_7101)
    /// How long a node that has lost its outside address has it not.
    private static let absence = 1 * Duration.second
    /// How long an entry stays without packets.
    private static let timeoutSeconds: UInt32 = 30

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

    /// Something happens to a connection, at the node that forwards.
    func disturb(_ table: SimulatedTable) {
        let key = chance.one(of: keys)
        guard let entry = table.entry(key) else {
            // A connection whose state is lost is dead; its ends give up some day.
            live[key] = nil
            make(fresh(key, table), table)
            return
        }
        // Its packets pass by the entry of an older connection.
        if let reply = live[key], reply != entry.reply { live[key] = nil }
        supplant(entry)
        // Marks, labels and states change with packets, and each of those gives the entry its time.
        table.refresh(key, seconds: Self.timeoutSeconds)
        switch chance.below(12) {
        case 0, 1: end(key, table)
        case 2:
            // The port is used again at once.
            end(key, table)
            make(fresh(key, table), table)
        case 3, 4:
            let mark = UInt32(chance.below(3))
            table.change(key, saying: .mark, .traffic) { $0.mark = mark }
        case 5:
            let labels = UInt64(1 + chance.below(100))
            table.change(key, saying: .labels, .traffic) { $0.extras.labelsLow = labels }
        case 6:
            table.change(key, saying: [], .traffic) {
                $0.status.formUnion([.IPS_SEEN_REPLY, .IPS_ASSURED])
            }
        case 7: expect(entry, table)
        default: packet(entry, table)
        }
    }

    /// A connection begins at a node where the traffic is no more, of ends that no node knows of.
    ///
    /// - Parameter chance: which one it is; what else happens does not hang on it.
    func begin(at node: SimulatedNode, of nodes: [SimulatedNode], _ chance: Chance) -> Entry? {
        let key = chance.one(of: keys)
        var entry = Self.bare(key)
        if key.tuple.family == .ipv4, chance.happens(400) {
            translate(&entry, chance, node.kernel.table)
        }
        let reply = Key(entry.reply, zone: key.zone)
        let isFree = nodes.allSatisfy {
            $0.kernel.table.entry(key) == nil && $0.kernel.table.key(replying: reply) == nil
        }
        guard isFree, !isOwn(key) else { return nil }
        make(entry, node.kernel.table)
        return live[key] == nil ? nil : entry
    }

    /// Every live connection sends a packet: what the forwarding node has lasts.
    func refresh(_ table: SimulatedTable) {
        for (key, reply) in live where table.entry(key)?.reply == reply {
            table.refresh(key, seconds: Self.timeoutSeconds)
        }
    }

    private func packet(_ entry: Entry, _ table: SimulatedTable) {
        let key = entry.key
        guard key.tuple.protocolNumber == ProtocolNumber.tcp else { return }
        let state = UInt8(1 + chance.below(8))
        table.change(key, saying: .protocolInfo, .traffic) {
            $0.protocolInfo.state = state
            $0.protocolInfo.originalFlags = TCPFlag.windowScale
            $0.status.insert(.IPS_SEEN_REPLY)
        }
    }

    private func make(_ entry: Entry, _ table: SimulatedTable) {
        guard table.insert(entry, seconds: Self.timeoutSeconds, .traffic) == 0 else { return }
        supplant(entry)
        guard !isOwn(entry.key) else { return }
        live[entry.key] = entry.reply
        beganAt[entry.key] = table.now
    }

    /// Whether a node has an entry of what lives, and not of an earlier connection of the same ends: that
    /// one has ended, and the node is told so. One that nobody has used since this one began is the
    /// earlier's.
    func isHeld(_ key: Key, _ reply: Tuple, by table: SimulatedTable) -> Bool {
        guard let slot = table.slots[key], slot.entry.reply == reply else { return false }
        return slot.usedAt >= beganAt[key, default: 0]
    }

    /// A slave is in sync: what its master has, and began longer ago than such a slave may be behind, it has
    /// been told. Where that is the same as what it had of an earlier connection, nothing was changed.
    func wasTold(by master: SimulatedTable, to slave: SimulatedTable) {
        for (key, reply) in live
        where beganAt[key, default: 0] + SlaveProtocol.silence < slave.now
            && isHeld(key, reply, by: master) && slave.entry(key)?.reply == reply
        {
            slave.use(key)
        }
    }

    /// Of two connections with one reply tuple, made by two nodes, the answers reach the one whose
    /// packets pass: the other is dead, whoever has an entry of it.
    private func supplant(_ entry: Entry) {
        for (key, reply) in live
        where reply == entry.reply && key.zone == entry.key.zone && key != entry.key {
            live[key] = nil
        }
    }

    private func end(_ key: Key, _ table: SimulatedTable) {
        live[key] = nil
        _ = table.remove(key, .traffic)
    }

    /// Entries that ran out where the traffic is were of idle connections.
    func forget(_ key: Key) {
        live[key] = nil
    }

    private func expect(_ parent: Entry, _ table: SimulatedTable) {
        guard parent.fields.contains(.helper) else { return }
        if let old = table.expectations.first(where: { $0.parent == parent.key.tuple }) {
            _ = table.remove(old)
            return
        }
        var tuple = parent.key.tuple.inverse
        tuple.destinationPort = UInt16(30_000 + chance.below(50))
        var expectation = Expectation(Key(tuple, zone: parent.key.zone))
        expectation.mask = tuple
        expectation.parent = parent.key.tuple
        expectation.timeoutSeconds = expectationSeconds
        expectation.helper = parent.extras.helper
        _ = table.insert(expectation)
    }

    private func isOwn(_ key: Key) -> Bool {
        key.tuple.source.low >> 8 == 0xC0_0002
    }

    private static func bare(_ key: Key) -> Entry {
        var entry = Entry(key)
        entry.status = [.IPS_CONFIRMED]
        entry.fields = [.status, .timeout]
        if key.tuple.protocolNumber == ProtocolNumber.tcp {
            entry.protocolInfo.state = TCPState.synSent
            entry.fields.insert(.protocolInfo)
        }
        return entry
    }

    private func translate(_ entry: inout Entry, _ chance: Chance, _ table: SimulatedTable) {
        let port = UInt16(2_000 + chance.below(80))
        guard table.flushedAt == 0 || table.now >= table.flushedAt + Self.absence else { return }
        entry.reply.destination = Self.natAddress
        entry.reply.destinationPort = port
    }

    private func fresh(_ key: Key, _ table: SimulatedTable) -> Entry {
        var entry = Self.bare(key)
        if key.tuple.protocolNumber == ProtocolNumber.tcp {
            if key.tuple.sourcePort % 7 == 0, let ftp = HelperName(Self.ftp.span.bytes) {
                entry.extras.helper = ftp
                entry.fields.insert(.helper)
            }
        }
        if chance.happens(300) {
            entry.mark = UInt32(1 + chance.below(2))
            entry.fields.insert(.mark)
        }
        if key.tuple.family == .ipv4, !isOwn(key), chance.happens(400) {
            translate(&entry, chance, table)
        }
        relate(&entry, table)
        return entry
    }

    private static let ftp: [UInt8] = Array("ftp".utf8)

    private func relate(_ entry: inout Entry, _ table: SimulatedTable) {
        let key = entry.key
        let parent = chance.one(of: keys)
        let isRelation =
            hasFamilies && parent != key && parent.zone == key.zone
            && parent.tuple.family == key.tuple.family
        // Nothing is expected by what was itself expected.
        guard chance.happens(250), isRelation, !isOwn(parent), let found = table.entry(parent),
            !found.fields.contains(.parent), !entry.fields.contains(.helper)
        else { return }
        entry.extras.parent = parent.tuple
        entry.fields.insert(.parent)
        entry.status.insert(.IPS_EXPECTED)
    }
}
