// SPDX-License-Identifier: GPL-2.0-or-later

extension NetlinkWriter {
    /// A tuple's nest.
    ///
    /// - Parameter zone: CTA_TUPLE_ZONE, where the zone is this direction's only; else 0.
    @inline(__always)
    mutating func put(_ type: UInt16, _ tuple: Tuple, zone: UInt16 = 0) {
        let nest = beginNest(type)
        let addresses = beginNest(CTA_TUPLE_IP)
        switch tuple.family {
        case .ipv4:
            put(CTA_IP_V4_SRC, UInt32(truncatingIfNeeded: tuple.source.low))
            put(CTA_IP_V4_DST, UInt32(truncatingIfNeeded: tuple.destination.low))
        case .ipv6:
            put(CTA_IP_V6_SRC, tuple.source)
            put(CTA_IP_V6_DST, tuple.destination)
        }
        endNest(addresses)
        let own = beginNest(CTA_TUPLE_PROTO)
        putProtocol(tuple)
        endNest(own)
        if zone != 0 { put(CTA_TUPLE_ZONE, zone) }
        endNest(nest)
    }

    @inline(__always)
    private mutating func putProtocol(_ tuple: Tuple) {
        put(CTA_PROTO_NUM, tuple.protocolNumber)
        let type = UInt8(tuple.destinationPort >> 8)
        let code = UInt8(truncatingIfNeeded: tuple.destinationPort)
        switch tuple.protocolNumber {
        case ProtocolNumber.icmp:
            put(CTA_PROTO_ICMP_ID, tuple.sourcePort)
            put(CTA_PROTO_ICMP_TYPE, type)
            put(CTA_PROTO_ICMP_CODE, code)
        case ProtocolNumber.icmpv6:
            put(CTA_PROTO_ICMPV6_ID, tuple.sourcePort)
            put(CTA_PROTO_ICMPV6_TYPE, type)
            put(CTA_PROTO_ICMPV6_CODE, code)
        default:
            // Protocols without ports ignore them (nf_conntrack_proto_generic.c).
            put(CTA_PROTO_SRC_PORT, tuple.sourcePort)
            put(CTA_PROTO_DST_PORT, tuple.destinationPort)
        }
    }

    /// The zone of both directions.
    @inline(__always)
    mutating func putZone(_ key: Key) {
        if key.zone != 0, key.zoneDirection == .both { put(CTA_ZONE, key.zone) }
    }

    /// What finds an entry: original tuple and zone.
    ///
    /// A zone of the reply direction only is no part of how an original tuple is looked up
    /// (nf_ct_zone_id with IP_CT_DIR_ORIGINAL).
    @inline(__always)
    mutating func put(_ key: Key) {
        putZone(key)
        put(CTA_TUPLE_ORIG, key.tuple, zone: key.zoneDirection == .original ? key.zone : 0)
    }

    /// The reply tuple and the translation of a new entry.
    ///
    /// The kernel inverts the reply tuple, maps that to the given addresses and ports and, where
    /// that changed anything, sets IPS_SRC_NAT or IPS_DST_NAT (nf_nat_setup_info). So the reply
    /// tuple goes as the plain inversion. Both mappings are given, the one that changes nothing as
    /// well: otherwise the kernel would choose another port when the reply tuple is taken, instead
    /// of answering EEXIST. GRE keys are the exception, as the kernel maps them only for an entry
    /// whose parent is set already, which is never so here: the reply tuple has them translated.
    @inline(__always)
    mutating func putReply(_ entry: borrowing Entry) {
        let key = entry.key
        let zone = key.zoneDirection == .reply ? key.zone : 0
        var reply = key.tuple.inverse
        if reply.protocolNumber == ProtocolNumber.gre {
            reply.sourcePort = entry.reply.sourcePort
            reply.destinationPort = entry.reply.destinationPort
        }
        put(CTA_TUPLE_REPLY, reply, zone: zone)
        guard entry.isTranslated else { return }
        let translated = entry.reply.inverse
        let destinationPort =
            translated.isICMP ? key.tuple.sourcePort : translated.destinationPort
        putMapping(CTA_NAT_DST, translated, translated.destination, destinationPort)
        putMapping(CTA_NAT_SRC, translated, translated.source, translated.sourcePort)
    }

    /// A range of one address and, where the protocol has them, of one port, ICMP id or GRE key.
    private mutating func putMapping(
        _ type: UInt16, _ tuple: Tuple, _ address: Address, _ port: UInt16
    ) {
        let nest = beginNest(type)
        switch tuple.family {
        case .ipv4:
            put(CTA_NAT_V4_MINIP, UInt32(truncatingIfNeeded: address.low))
            put(CTA_NAT_V4_MAXIP, UInt32(truncatingIfNeeded: address.low))
        case .ipv6:
            put(CTA_NAT_V6_MINIP, address)
            put(CTA_NAT_V6_MAXIP, address)
        }
        switch tuple.protocolNumber {
        case ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.sctp, ProtocolNumber.icmp,
            ProtocolNumber.icmpv6, ProtocolNumber.gre:
            let ports = beginNest(CTA_NAT_PROTO)
            put(CTA_PROTONAT_PORT_MIN, port)
            put(CTA_PROTONAT_PORT_MAX, port)
            endNest(ports)
        default: break
        }
        endNest(nest)
    }
}
