// SPDX-License-Identifier: GPL-2.0-or-later

/// One direction of a connection: addresses, protocol and the protocol's own part.
///
/// Source: `struct nf_conntrack_tuple`, net/netfilter/nf_conntrack_tuple.h.
public struct Tuple: Hashable, Sendable, BitwiseCopyable {
    /// Layer-3 source address.
    public var source: Address
    /// Layer-3 destination address.
    public var destination: Address
    /// Source port (TCP, UDP, SCTP), id (ICMP, ICMPv6), source key (GRE), else 0.
    public var sourcePort: UInt16
    /// Destination port, `type << 8 | code` (ICMP, ICMPv6), destination key (GRE), else 0.
    public var destinationPort: UInt16
    /// IPPROTO_*
    public var protocolNumber: UInt8
    /// AF_INET or AF_INET6
    public var family: Family

    /// A tuple from its parts.
    @inline(__always)
    public init(
        family: Family, protocolNumber: UInt8, source: Address, destination: Address,
        sourcePort: UInt16, destinationPort: UInt16
    ) {
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.protocolNumber = protocolNumber
        self.family = family
    }

    /// The tuple of no connection.
    public static let none = Tuple(
        family: .ipv4, protocolNumber: 0, source: .any, destination: .any, sourcePort: 0,
        destinationPort: 0)

    /// Whether ports are an id, a type and a code.
    @inline(__always)
    public var isICMP: Bool {
        family == .ipv4
            ? protocolNumber == ProtocolNumber.icmp : protocolNumber == ProtocolNumber.icmpv6
    }

    /// The reply tuple this one would have without address translation.
    ///
    /// Source: `nf_ct_invert_tuple`, `invmap` of nf_conntrack_proto_icmp.c and _icmpv6.c.
    @inline(__always)
    public var inverse: Tuple {
        if isICMP {
            return Tuple(
                family: family, protocolNumber: protocolNumber, source: destination,
                destination: source, sourcePort: sourcePort, destinationPort: inverseICMPType)
        }
        return Tuple(
            family: family, protocolNumber: protocolNumber, source: destination,
            destination: source, sourcePort: destinationPort, destinationPort: sourcePort)
    }

    private var inverseICMPType: UInt16 {
        let type = destinationPort >> 8
        let code = destinationPort & 0xFF
        let inverse: UInt16
        switch (family, type) {
        case (.ipv4, 8): inverse = 0
        case (.ipv4, 0): inverse = 8
        case (.ipv4, 13), (.ipv4, 15), (.ipv4, 17): inverse = type + 1
        case (.ipv4, 14), (.ipv4, 16), (.ipv4, 18): inverse = type - 1
        case (.ipv6, 128), (.ipv6, 139): inverse = type + 1
        case (.ipv6, 129), (.ipv6, 140): inverse = type - 1
        default: inverse = type
        }
        return inverse << 8 | code
    }
}

/// The protocols that have a part of their own in a tuple or an entry; IPPROTO_*.
public enum ProtocolNumber {
    /// IPPROTO_ICMP
    public static let icmp: UInt8 = 1
    /// IPPROTO_TCP
    public static let tcp: UInt8 = 6
    /// IPPROTO_UDP
    public static let udp: UInt8 = 17
    /// IPPROTO_GRE
    public static let gre: UInt8 = 47
    /// IPPROTO_ICMPV6
    public static let icmpv6: UInt8 = 58
    /// IPPROTO_SCTP
    public static let sctp: UInt8 = 132
}

/// Where a zone applies; `enum` of NF_CT_ZONE_DIR_* (net/netfilter/nf_conntrack_zones_common.h).
public enum ZoneDirection: UInt8, Sendable, Hashable, BitwiseCopyable {
    /// NF_CT_DEFAULT_ZONE_DIR, or CTA_ZONE: both tuples
    case both = 0
    /// CTA_TUPLE_ZONE in CTA_TUPLE_ORIG only
    case original = 1
    /// CTA_TUPLE_ZONE in CTA_TUPLE_REPLY only
    case reply = 2
}

/// What tells a connection from all others on one node: original tuple and zone.
public struct Key: Hashable, Sendable, BitwiseCopyable {
    /// The original tuple.
    public var tuple: Tuple
    /// The conntrack zone, 0 by default.
    public var zone: UInt16
    /// Where the zone applies; `both` with zone 0.
    public var zoneDirection: ZoneDirection

    /// A key, in the default zone unless said otherwise.
    @inline(__always)
    public init(_ tuple: Tuple, zone: UInt16 = 0, zoneDirection: ZoneDirection = .both) {
        self.tuple = tuple
        self.zone = zone
        self.zoneDirection = zoneDirection
    }
}
