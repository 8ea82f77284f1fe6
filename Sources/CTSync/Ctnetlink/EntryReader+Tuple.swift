// SPDX-License-Identifier: GPL-2.0-or-later

extension EntryReader {
    /// Reads a tuple's nest.
    ///
    /// - Returns: CTA_TUPLE_ZONE, or -1 where there is none.
    @inline(__always)
    static func readTuple(
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

    /// Reads CTA_TUPLE_IP; which of source (1) and destination (2) of the tuple's family it had.
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

    /// Reads CTA_TUPLE_PROTO; 4 where it had a protocol number. GRE keys come as ports.
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
}
