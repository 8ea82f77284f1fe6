// SPDX-License-Identifier: GPL-2.0-or-later

extension EntryReader {
    /// Reads CTA_PROTOINFO. A DESTROY event has the state alone.
    @inline(__always)
    static func readProtocolInfo(
        _ message: RawSpan, _ nest: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_PROTOINFO_TCP: try readTCP(message, attribute, into: &entry)
            case CTA_PROTOINFO_SCTP: try readSCTP(message, attribute, into: &entry)
            default: break
            }
        }
    }

    @inline(__always)
    private static func readTCP(
        _ message: RawSpan, _ nest: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_PROTOINFO_TCP_STATE:
                entry.protocolInfo.state = try message.uint8(attribute)
                entry.fields.insert(.protocolInfo)
            case CTA_PROTOINFO_TCP_WSCALE_ORIGINAL:
                entry.protocolInfo.windowScales |= try message.uint8(attribute) << 4
            case CTA_PROTOINFO_TCP_WSCALE_REPLY:
                entry.protocolInfo.windowScales |= try message.uint8(attribute) & 0x0F
            case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL:
                // struct nf_ct_tcp_flags: flags, then a mask that means nothing when read.
                entry.protocolInfo.originalFlags = UInt8(try message.uint16(attribute) >> 8)
            case CTA_PROTOINFO_TCP_FLAGS_REPLY:
                entry.protocolInfo.replyFlags = UInt8(try message.uint16(attribute) >> 8)
            default: break
            }
        }
    }

    private static func readSCTP(
        _ message: RawSpan, _ nest: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_PROTOINFO_SCTP_STATE:
                entry.protocolInfo.state = try message.uint8(attribute)
                entry.fields.insert(.protocolInfo)
            case CTA_PROTOINFO_SCTP_VTAG_ORIGINAL:
                entry.protocolInfo.originalTag = try message.uint32(attribute)
            case CTA_PROTOINFO_SCTP_VTAG_REPLY:
                entry.protocolInfo.replyTag = try message.uint32(attribute)
            default: break
            }
        }
    }
}
