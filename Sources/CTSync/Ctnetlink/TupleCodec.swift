// SPDX-License-Identifier: GPL-2.0-or-later

/// The nest of a tuple: CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TUPLE_MASTER and those of expectations.
///
/// ```
/// CTA_TUPLE_*
/// |- CTA_TUPLE_IP
/// |  |- CTA_IP_V4_SRC 4, CTA_IP_V4_DST 4, or
/// |  `- CTA_IP_V6_SRC 16, CTA_IP_V6_DST 16
/// |- CTA_TUPLE_PROTO
/// |  |- CTA_PROTO_NUM 1
/// |  |- CTA_PROTO_SRC_PORT 2, CTA_PROTO_DST_PORT 2: ports, GRE's keys, or
/// |  |- CTA_PROTO_ICMP_ID 2, CTA_PROTO_ICMP_TYPE 1, CTA_PROTO_ICMP_CODE 1, or
/// |  `- CTA_PROTO_ICMPV6_ID 2, CTA_PROTO_ICMPV6_TYPE 1, CTA_PROTO_ICMPV6_CODE 1
/// `- CTA_TUPLE_ZONE 2, where the zone is this direction's only
/// ```
enum TupleCodec {
    /// The most bytes, without a zone: ICMPv6.
    static let maximumByteCount =
        NLA_HDRLEN  // CTA_TUPLE_*
        + NLA_HDRLEN + 2 * Attribute.byteCount(16)  // CTA_TUPLE_IP
        + NLA_HDRLEN + Attribute.byteCount(1)  // CTA_TUPLE_PROTO, number
        + Attribute.byteCount(2) + 2 * Attribute.byteCount(1)  // id, type, code

    /// Reads a tuple's nest.
    ///
    /// - Returns: CTA_TUPLE_ZONE, or -1 if there is none.
    @inline(__always)
    static func read(
        _ message: RawSpan, _ nest: Attribute, _ family: Family, into tuple: inout Tuple
    ) throws(NetlinkError) -> Int32 {
        var zone: Int32 = -1
        var parts = 0
        tuple = .none
        tuple.family = family
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_TUPLE_IP: parts |= try readAddresses(message, attribute, into: &tuple)
            case CTA_TUPLE_PROTO: parts |= try readProtocol(message, attribute, into: &tuple)
            case CTA_TUPLE_ZONE: zone = Int32(try message.uint16(attribute))
            default: break
            }
        }
        guard parts == 7 else { throw .incompleteTuple }
        return zone
    }

    /// Writes a tuple's nest.
    ///
    /// - Parameter zone: CTA_TUPLE_ZONE; 0 for none.
    @inline(__always)
    static func write(
        _ type: UInt16, _ tuple: Tuple, zone: UInt16 = 0, to writer: inout NetlinkWriter
    ) {
        let nest = writer.beginNest(type)
        writeAddresses(tuple, to: &writer)
        writeProtocol(tuple, to: &writer)
        if zone != 0 { writer.put(CTA_TUPLE_ZONE, zone) }
        writer.endNest(nest)
    }

    // MARK: CTA_TUPLE_IP

    /// Which of source (1) and destination (2) of the tuple's family it had.
    @inline(__always)
    private static func readAddresses(
        _ message: RawSpan, _ nest: Attribute, into tuple: inout Tuple
    ) throws(NetlinkError) -> Int {
        let isIPv4 = tuple.family == .ipv4
        var parts = 0
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_IP_V4_SRC where isIPv4:
                tuple.source = Address(ipv4: try message.uint32(attribute))
                parts |= 1
            case CTA_IP_V4_DST where isIPv4:
                tuple.destination = Address(ipv4: try message.uint32(attribute))
                parts |= 2
            case CTA_IP_V6_SRC where !isIPv4:
                tuple.source = try message.address(attribute)
                parts |= 1
            case CTA_IP_V6_DST where !isIPv4:
                tuple.destination = try message.address(attribute)
                parts |= 2
            default: break
            }
        }
        return parts
    }

    @inline(__always)
    private static func writeAddresses(_ tuple: Tuple, to writer: inout NetlinkWriter) {
        let nest = writer.beginNest(CTA_TUPLE_IP)
        switch tuple.family {
        case .ipv4:
            writer.put(CTA_IP_V4_SRC, UInt32(truncatingIfNeeded: tuple.source.low))
            writer.put(CTA_IP_V4_DST, UInt32(truncatingIfNeeded: tuple.destination.low))
        case .ipv6:
            writer.put(CTA_IP_V6_SRC, tuple.source)
            writer.put(CTA_IP_V6_DST, tuple.destination)
        }
        writer.endNest(nest)
    }

    // MARK: CTA_TUPLE_PROTO

    /// 4 where it had a protocol number. GRE keys come as ports.
    @inline(__always)
    private static func readProtocol(
        _ message: RawSpan, _ nest: Attribute, into tuple: inout Tuple
    ) throws(NetlinkError) -> Int {
        var parts = 0
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_PROTO_NUM:
                tuple.protocolNumber = try message.uint8(attribute)
                parts |= 4
            case CTA_PROTO_SRC_PORT, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID:
                tuple.sourcePort = try message.uint16(attribute)
            case CTA_PROTO_DST_PORT:
                tuple.destinationPort = try message.uint16(attribute)
            case CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE:
                tuple.destinationPort |= UInt16(try message.uint8(attribute)) << 8
            case CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMPV6_CODE:
                tuple.destinationPort |= UInt16(try message.uint8(attribute))
            default: break
            }
        }
        return parts
    }

    @inline(__always)
    private static func writeProtocol(_ tuple: Tuple, to writer: inout NetlinkWriter) {
        let nest = writer.beginNest(CTA_TUPLE_PROTO)
        writer.put(CTA_PROTO_NUM, tuple.protocolNumber)
        let type = UInt8(tuple.destinationPort >> 8)
        let code = UInt8(truncatingIfNeeded: tuple.destinationPort)
        switch tuple.protocolNumber {
        case ProtocolNumber.icmp:
            writer.put(CTA_PROTO_ICMP_ID, tuple.sourcePort)
            writer.put(CTA_PROTO_ICMP_TYPE, type)
            writer.put(CTA_PROTO_ICMP_CODE, code)
        case ProtocolNumber.icmpv6:
            writer.put(CTA_PROTO_ICMPV6_ID, tuple.sourcePort)
            writer.put(CTA_PROTO_ICMPV6_TYPE, type)
            writer.put(CTA_PROTO_ICMPV6_CODE, code)
        default:
            // Protocols without ports ignore them (nf_conntrack_proto_generic.c).
            writer.put(CTA_PROTO_SRC_PORT, tuple.sourcePort)
            writer.put(CTA_PROTO_DST_PORT, tuple.destinationPort)
        }
        writer.endNest(nest)
    }
}
