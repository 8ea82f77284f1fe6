// SPDX-License-Identifier: GPL-2.0-or-later

/// A packet of another node that arrives on a device, and why this node does not hear it.
struct Sighting: Sendable, Equatable {
    /// Why it is not heard.
    enum Kind: Sendable, Equatable {
        case anotherPort(UInt16)
        case anotherGroup(String)
        /// It arrives on a device of this name, which is no sync device.
        case anotherDevice(String)
        case notAPeer
        case routed(hopLimit: UInt8)
        /// It is as it should be: a rule of this node drops it.
        case blocked
    }

    var kind: Kind
    var nodeID: UInt8
    var address: String
    /// Whether a master sent it.
    var isMaster: Bool
    /// Whether it came over IPv4.
    var isIPv4: Bool { !address.contains(":") }

    /// Whether it came by a device that is no sync device.
    var isElsewhere: Bool { if case .anotherDevice = kind { true } else { false } }

    /// What a node listens to.
    struct Expectation {
        var port: UInt16
        /// The group or groups, or the peers.
        var hosts: [HostAddress]
        var isMulticast: Bool
    }

    /// Reads a frame as it came from the device, with an Ethernet header or without one.
    ///
    /// - Returns: nil for what is no packet of ct_sync.
    init?(_ frame: RawSpan, expected: Expectation) {
        guard let packet = Datagram(frame), let (nodeID, isMaster) = packet.sender(in: frame) else {
            return nil
        }
        self.nodeID = nodeID
        self.isMaster = isMaster
        address = packet.source.description
        let target = packet.destination
        if packet.port != expected.port {
            kind = .anotherPort(packet.port)
        } else if packet.hopLimit != 255 {
            kind = .routed(hopLimit: packet.hopLimit)
        } else if target.isMulticast, !(expected.isMulticast && expected.hosts.contains(target)) {
            kind = .anotherGroup(target.description)
        } else if !expected.isMulticast, !expected.hosts.contains(packet.source) {
            kind = .notAPeer
        } else {
            kind = .blocked
        }
    }

    /// One of these parts, for tests.
    init(kind: Kind, nodeID: UInt8, address: String, isMaster: Bool) {
        (self.kind, self.nodeID, self.address) = (kind, nodeID, address)
        self.isMaster = isMaster
    }
}

/// A UDP datagram in a frame.
private struct Datagram {
    var source: HostAddress
    var destination: HostAddress
    var hopLimit: UInt8
    /// The port that it goes to.
    var port: UInt16 = 0
    /// Where its payload is.
    var payload = 0..<0

    private static let udp: UInt8 = 17
    private static let ethernet = 14

    /// Nil for anything else, or a fragment.
    init?(_ frame: RawSpan) {
        guard frame.byteCount >= Self.ethernet else { return nil }
        let isEthernet = [0x0800, 0x86DD].contains(frame.big(12, as: UInt16.self))
        let start = isEthernet ? Self.ethernet : 0
        guard frame.byteCount > start else { return nil }
        let header: Int
        switch frame.byte(start) >> 4 {
        case 4:
            guard frame.byteCount >= start + 20, frame.byte(start + 9) == Self.udp,
                frame.big(start + 6, as: UInt16.self) & 0x3FFF == 0
            else { return nil }
            header = Int(frame.byte(start) & 0xF) * 4
            hopLimit = frame.byte(start + 8)
            source = HostAddress(.ipv4, Address(ipv4: frame.big(start + 12)))
            destination = HostAddress(.ipv4, Address(ipv4: frame.big(start + 16)))
        case 6:
            guard frame.byteCount >= start + 40, frame.byte(start + 6) == Self.udp else {
                return nil
            }
            header = 40
            hopLimit = frame.byte(start + 7)
            source = HostAddress(
                .ipv6, Address(high: frame.big(start + 8), low: frame.big(start + 16)))
            destination = HostAddress(
                .ipv6, Address(high: frame.big(start + 24), low: frame.big(start + 32)))
        default: return nil
        }
        let place = start + header
        guard header >= 20, frame.byteCount >= place + 8 else { return nil }
        port = frame.big(place + 2)
        let length = Int(frame.big(place + 4, as: UInt16.self))
        guard length >= 8, frame.byteCount >= place + length else { return nil }
        payload = place + 8..<place + length
    }

    /// The node that sent it, and whether it is master, if it is a packet of ct_sync: of its version,
    /// a known type and with its own length in it.
    func sender(in frame: RawSpan) -> (nodeID: UInt8, isMaster: Bool)? {
        let packet = frame.extracting(payload)
        guard packet.byteCount >= SealEnvelope.byteCount,
            packet.byte(0) >> 4 == PacketHeader.version >> 4,
            Int(packet.big(4, as: UInt16.self)) == packet.byteCount
        else { return nil }
        let type = packet.byte(1)
        if SealEnvelope.Kind(rawValue: type) != nil { return (packet.byte(2), true) }
        guard packet.byteCount >= PacketHeader.byteCount,
            let kind = PacketHeader.PacketType(rawValue: type)
        else { return nil }
        return (packet.byte(2), kind == .SYNC || kind == .MASTER_ANNOUNCE)
    }
}
