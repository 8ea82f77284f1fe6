// SPDX-License-Identifier: GPL-2.0-or-later

/// The reply tuple of an entry and its address translation.
///
/// ```
/// CTA_TUPLE_REPLY: see TupleCodec
/// CTA_NAT_DST, CTA_NAT_SRC: written only, the kernel tells them by the reply tuple
/// |- CTA_NAT_V4_MINIP 4, CTA_NAT_V4_MAXIP 4, or
/// |- CTA_NAT_V6_MINIP 16, CTA_NAT_V6_MAXIP 16
/// `- CTA_NAT_PROTO, for protocols with ports, ICMP ids or GRE keys
///    `- CTA_PROTONAT_PORT_MIN 2, CTA_PROTONAT_PORT_MAX 2
/// ```
enum TranslationCodec {
    /// The most bytes, without a zone.
    static let maximumByteCount =
        TupleCodec.maximumByteCount  // CTA_TUPLE_REPLY
        + 2 * mappingByteCount  // CTA_NAT_DST, CTA_NAT_SRC

    private static let mappingByteCount =
        NLA_HDRLEN + 2 * Attribute.byteCount(16)  // addresses
        + NLA_HDRLEN + 2 * Attribute.byteCount(2)  // CTA_NAT_PROTO

    /// Reads CTA_TUPLE_REPLY.
    ///
    /// - Returns: CTA_TUPLE_ZONE, or -1 if there is none.
    @inline(__always)
    static func read(
        _ message: RawSpan, _ nest: Attribute, _ family: Family, into entry: inout Entry
    ) throws(NetlinkError) -> Int32 {
        try TupleCodec.read(message, nest, family, into: &entry.reply)
    }

    /// Writes the reply tuple and the translation of a new entry.
    ///
    /// The kernel inverts the reply tuple, maps that to the given addresses and ports and, where
    /// that changed anything, sets IPS_SRC_NAT or IPS_DST_NAT (nf_nat_setup_info). So the reply
    /// tuple goes as the plain inversion. Both mappings are given, the one that changes nothing as
    /// well: otherwise the kernel would choose another port when the reply tuple is taken, instead
    /// of answering EEXIST. GRE keys are the exception, as the kernel maps them only for an entry
    /// whose parent is set already, which is never so here: the reply tuple has them translated.
    @inline(__always)
    static func write(_ entry: borrowing Entry, to writer: inout NetlinkWriter) {
        let key = entry.key
        let zone = key.zoneDirection == .reply ? key.zone : 0
        var reply = key.tuple.inverse
        if reply.protocolNumber == ProtocolNumber.gre {
            reply.sourcePort = entry.reply.sourcePort
            reply.destinationPort = entry.reply.destinationPort
        }
        TupleCodec.write(CTA_TUPLE_REPLY, reply, zone: zone, to: &writer)
        guard entry.isTranslated else { return }
        let translated = entry.reply.inverse
        let destinationPort =
            translated.isICMP ? key.tuple.sourcePort : translated.destinationPort
        writeMapping(
            CTA_NAT_DST, translated, translated.destination, destinationPort, to: &writer)
        writeMapping(
            CTA_NAT_SRC, translated, translated.source, translated.sourcePort, to: &writer)
    }

    /// A range of one address and, where the protocol has them, of one port, ICMP id or GRE key.
    private static func writeMapping(
        _ type: UInt16, _ tuple: Tuple, _ address: Address, _ port: UInt16,
        to writer: inout NetlinkWriter
    ) {
        let nest = writer.beginNest(type)
        switch tuple.family {
        case .ipv4:
            writer.put(CTA_NAT_V4_MINIP, UInt32(truncatingIfNeeded: address.low))
            writer.put(CTA_NAT_V4_MAXIP, UInt32(truncatingIfNeeded: address.low))
        case .ipv6:
            writer.put(CTA_NAT_V6_MINIP, address)
            writer.put(CTA_NAT_V6_MAXIP, address)
        }
        switch tuple.protocolNumber {
        case ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.sctp, ProtocolNumber.icmp,
            ProtocolNumber.icmpv6, ProtocolNumber.gre:
            let ports = writer.beginNest(CTA_NAT_PROTO)
            writer.put(CTA_PROTONAT_PORT_MIN, port)
            writer.put(CTA_PROTONAT_PORT_MAX, port)
            writer.endNest(ports)
        default: break
        }
        writer.endNest(nest)
    }
}
