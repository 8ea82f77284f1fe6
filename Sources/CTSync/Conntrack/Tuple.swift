// SPDX-License-Identifier: GPL-2.0-or-later

/// One direction of a connection: addresses, protocol and the protocol's own part.
///
/// Source: `struct nf_conntrack_tuple`, net/netfilter/nf_conntrack_tuple.h.
package struct Tuple: Hashable, Sendable, BitwiseCopyable {
    /// Layer-3 source address.
    package var source: Address
    /// Layer-3 destination address.
    package var destination: Address
    /// Source port (TCP, UDP, SCTP), id (ICMP, ICMPv6), source key (GRE), else 0.
    package var sourcePort: UInt16
    /// Destination port, `type << 8 | code` (ICMP, ICMPv6), destination key (GRE), else 0.
    package var destinationPort: UInt16
    /// IPPROTO_*
    package var protocolNumber: UInt8
    /// AF_INET or AF_INET6
    package var family: Family

    /// A tuple from its parts.
    @inline(__always)
    package init(
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
    package static let none = Tuple(
        family: .ipv4, protocolNumber: 0, source: .any, destination: .any, sourcePort: 0,
        destinationPort: 0)

    /// Whether ports are an id, a type and a code.
    @inline(__always)
    package var isICMP: Bool {
        family == .ipv4
            ? protocolNumber == ProtocolNumber.icmp : protocolNumber == ProtocolNumber.icmpv6
    }

    /// The reply tuple this one would have without address translation.
    ///
    /// Source: `nf_ct_invert_tuple`, `invmap` of nf_conntrack_proto_icmp.c and _icmpv6.c.
    @inline(__always)
    var inverse: Tuple {
        if isICMP {
            return Tuple(
                family: family, protocolNumber: protocolNumber, source: destination,
                destination: source, sourcePort: sourcePort, destinationPort: inverseICMPType)
        }
        return Tuple(
            family: family, protocolNumber: protocolNumber, source: destination,
            destination: source, sourcePort: destinationPort, destinationPort: sourcePort)
    }

    /// Whether it is the reply tuple that another would have without address translation.
    ///
    /// The same as comparing it with the inverse, which on the data path costs three times as much:
    /// that tuple is stored, and read again before it is in the cache.
    @inline(__always)
    func isInverse(of other: Tuple) -> Bool {
        let ports =
            other.isICMP
            ? (other.sourcePort, other.inverseICMPType)
            : (other.destinationPort, other.sourcePort)
        return source.low == other.destination.low && source.high == other.destination.high
            && destination.low == other.source.low && destination.high == other.source.high
            && sourcePort == ports.0 && destinationPort == ports.1
            && protocolNumber == other.protocolNumber && family == other.family
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
package enum ProtocolNumber {
    /// IPPROTO_ICMP
    package static let icmp: UInt8 = 1
    /// IPPROTO_TCP
    package static let tcp: UInt8 = 6
    /// IPPROTO_UDP
    package static let udp: UInt8 = 17
    /// IPPROTO_GRE
    package static let gre: UInt8 = 47
    /// IPPROTO_ICMPV6
    package static let icmpv6: UInt8 = 58
    /// IPPROTO_SCTP
    package static let sctp: UInt8 = 132
}

/// Where a zone applies; `enum` of NF_CT_ZONE_DIR_* (net/netfilter/nf_conntrack_zones_common.h).
package enum ZoneDirection: UInt8, Sendable, Hashable, BitwiseCopyable {
    /// NF_CT_DEFAULT_ZONE_DIR, or CTA_ZONE: both tuples
    case both = 0
    /// CTA_TUPLE_ZONE in CTA_TUPLE_ORIG only
    case original = 1
    /// CTA_TUPLE_ZONE in CTA_TUPLE_REPLY only
    case reply = 2
}

/// What tells a connection from all others on one node: original tuple and zone.
package struct Key: Hashable, Sendable, BitwiseCopyable {
    /// The original tuple.
    package var tuple: Tuple
    /// The conntrack zone, 0 by default.
    package var zone: UInt16
    /// Where the zone applies; `both` with zone 0.
    package var zoneDirection: ZoneDirection

    /// A key, in the default zone unless said otherwise.
    @inline(__always)
    package init(_ tuple: Tuple, zone: UInt16 = 0, zoneDirection: ZoneDirection = .both) {
        self.tuple = tuple
        self.zone = zone
        self.zoneDirection = zoneDirection
    }
}
