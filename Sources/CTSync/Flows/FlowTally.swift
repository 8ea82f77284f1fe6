// SPDX-License-Identifier: GPL-2.0-or-later

/// What has happened between two summaries, and the table at the second.
struct FlowTally {
    /// Of one protocol.
    struct ByProtocol: Equatable {
        /// Entries in the table.
        var connections: UInt64 = 0
        /// Events.
        var begun: UInt64 = 0
        /// Events.
        var changed: UInt64 = 0
        /// Events.
        var ended: UInt64 = 0
        /// Of those that have ended, both directions.
        var packets: UInt64 = 0
        /// Of those that have ended, both directions.
        var bytes: UInt64 = 0
    }

    /// Which of its addresses are translated.
    struct Translation: Equatable {
        /// Neither.
        var none: UInt64 = 0
        /// The source only: SNAT, masquerade.
        var source: UInt64 = 0
        /// The destination only: DNAT, redirect.
        var destination: UInt64 = 0
        /// Both.
        var both: UInt64 = 0
    }

    /// A service: where connections go, before translation.
    struct Service: Hashable {
        let address: HostAddress
        let protocolNumber: UInt8
        /// nil for a protocol without ports.
        let port: UInt16?
    }

    /// By IPPROTO_*.
    private(set) var protocols: [UInt8: ByProtocol] = [:]
    /// TCP connections by `enum tcp_conntrack`.
    private(set) var states: [UInt8: UInt64] = [:]
    private(set) var translation = Translation()
    private(set) var sources: [HostAddress: UInt64] = [:]
    private(set) var services: [Service: UInt64] = [:]
    /// Whether any count of packets and bytes was there.
    private(set) var hasAccounting = false

    /// Counts an event.
    mutating func add(_ event: FlowEvent) {
        let number = event.entry.key.tuple.protocolNumber
        switch event.kind {
        case .begin: protocols[number, default: ByProtocol()].begun += 1
        case .change: protocols[number, default: ByProtocol()].changed += 1
        case .end: protocols[number, default: ByProtocol()].ended += 1
        }
        for count in [event.accounting.original, event.accounting.reply] {
            guard let count else { continue }
            hasAccounting = true
            protocols[number]?.packets += count.packets
            protocols[number]?.bytes += count.bytes
        }
    }

    /// Counts an entry of the table.
    mutating func add(_ entry: Entry) {
        let tuple = entry.key.tuple
        protocols[tuple.protocolNumber, default: ByProtocol()].connections += 1
        if tuple.protocolNumber == ProtocolNumber.tcp, entry.fields.contains(.protocolInfo) {
            states[entry.protocolInfo.state, default: 0] += 1
        }
        let isSource = entry.status.contains(.IPS_SRC_NAT)
        switch (isSource, entry.status.contains(.IPS_DST_NAT)) {
        case (false, false): translation.none += 1
        case (true, false): translation.source += 1
        case (false, true): translation.destination += 1
        case (true, true): translation.both += 1
        }
        sources[HostAddress(tuple.family, tuple.source), default: 0] += 1
        let ports = [ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.sctp]
        let service = Service(
            address: HostAddress(tuple.family, tuple.destination),
            protocolNumber: tuple.protocolNumber,
            port: ports.contains(tuple.protocolNumber) ? tuple.destinationPort : nil)
        services[service, default: 0] += 1
    }

    /// The sum over all protocols.
    var total: ByProtocol {
        protocols.values.reduce(into: ByProtocol()) { sum, one in
            sum.connections += one.connections
            sum.begun += one.begun
            sum.changed += one.changed
            sum.ended += one.ended
            sum.packets += one.packets
            sum.bytes += one.bytes
        }
    }

    /// The largest first, equal ones by their text.
    static func top<Name>(
        _ counts: [Name: UInt64], _ limit: Int, _ text: (Name) -> String
    ) -> [(String, UInt64)] {
        // Only what can be among them is given its text.
        let largest = counts.values.sorted(by: >).prefix(limit)
        guard let least = largest.last else { return [] }
        return counts.filter { $0.value >= least }.map { (text($0.key), $0.value) }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }.prefix(limit).map { $0 }
    }
}
