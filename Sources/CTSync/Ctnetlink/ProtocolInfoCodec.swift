// SPDX-License-Identifier: GPL-2.0-or-later

/// CTA_PROTOINFO: the protocol's own state.
///
/// ```
/// CTA_PROTOINFO
/// |- CTA_PROTOINFO_TCP
/// |  |- CTA_PROTOINFO_TCP_STATE 1
/// |  |- CTA_PROTOINFO_TCP_WSCALE_ORIGINAL 1, CTA_PROTOINFO_TCP_WSCALE_REPLY 1
/// |  `- CTA_PROTOINFO_TCP_FLAGS_ORIGINAL 2, CTA_PROTOINFO_TCP_FLAGS_REPLY 2: flags 1, mask 1
/// `- CTA_PROTOINFO_SCTP
///    |- CTA_PROTOINFO_SCTP_STATE 1
///    `- CTA_PROTOINFO_SCTP_VTAG_ORIGINAL 4, CTA_PROTOINFO_SCTP_VTAG_REPLY 4
/// ```
///
/// A DESTROY event has the state alone.
enum ProtocolInfoCodec {
    /// The most bytes: TCP.
    static let maximumByteCount =
        NLA_HDRLEN + NLA_HDRLEN  // CTA_PROTOINFO, CTA_PROTOINFO_TCP
        + 3 * Attribute.byteCount(1)  // state, scales
        + 2 * Attribute.byteCount(2)  // flags with their masks

    /// Reads the nest.
    @inline(__always)
    static func read(
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

    /// Writes the nest of an entry of TCP or SCTP; nothing for others.
    ///
    /// - Returns: whether it had something that the kernel does not take (`KernelRange`).
    @inline(__always)
    static func write(_ entry: borrowing Entry, to writer: inout NetlinkWriter) -> Bool {
        let given = entry.protocolInfo
        let info: ProtocolInfo
        switch entry.key.tuple.protocolNumber {
        case ProtocolNumber.tcp:
            info = KernelRange.tcp(given)
            let nest = writer.beginNest(CTA_PROTOINFO)
            writeTCP(info, to: &writer)
            writer.endNest(nest)
        case ProtocolNumber.sctp:
            info = KernelRange.sctp(given)
            let nest = writer.beginNest(CTA_PROTOINFO)
            writeSCTP(info, to: &writer)
            writer.endNest(nest)
        default: return false
        }
        return info.state != given.state || info.windowScales != given.windowScales
    }

    // MARK: CTA_PROTOINFO_TCP

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

    /// The kernel takes the window scales only if both directions' flags have WINDOW_SCALE. In
    /// SYN_SENT the other side has not spoken yet: it is given the flag and a scale of 0, and the
    /// kernel sets both again from its SYN/ACK (tcp_init_sender, nf_conntrack_proto_tcp.c).
    ///
    /// A kernel that is given an entry learns its windows from the first packets that it sees, and these
    /// may mislead it: a SYN/ACK acknowledges a SYN which it has not seen; and where an acknowledgement
    /// died with the old master, the first packet repeats old data, and what then acknowledges the newest
    /// would be invalid. So packets may be out of the windows (BE_LIBERAL) until the connection closes,
    /// or, after a promotion, until packets of both directions were seen (`WindowMender`).
    @inline(__always)
    private static func writeTCP(_ info: ProtocolInfo, to writer: inout NetlinkWriter) {
        let mask = TCPFlag.transferable
        let isOpen = (TCPState.synSent...TCPState.lastAck).contains(info.state)
        let added = isOpen ? TCPFlag.beLiberal : 0
        let originalFlags = info.originalFlags & mask | added
        var replyFlags = info.replyFlags & mask | added
        var replyScale = info.windowScales & 0x0F
        let isHalfScaled = originalFlags & ~replyFlags & TCPFlag.windowScale != 0
        if info.state == TCPState.synSent, isHalfScaled {
            replyFlags |= TCPFlag.windowScale
            replyScale = 0
        }
        let nest = writer.beginNest(CTA_PROTOINFO_TCP)
        writer.put(CTA_PROTOINFO_TCP_STATE, info.state)
        writer.put(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, info.windowScales >> 4)
        writer.put(CTA_PROTOINFO_TCP_WSCALE_REPLY, replyScale)
        writer.put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, UInt16(originalFlags) << 8 | UInt16(mask))
        writer.put(CTA_PROTOINFO_TCP_FLAGS_REPLY, UInt16(replyFlags) << 8 | UInt16(mask))
        writer.endNest(nest)
    }

    /// Writes the same flags for both directions of a TCP entry and nothing else; those out of the
    /// mask stay as they are.
    static func writeTCPFlags(_ flags: UInt8, mask: UInt8, to writer: inout NetlinkWriter) {
        let nest = writer.beginNest(CTA_PROTOINFO)
        let own = writer.beginNest(CTA_PROTOINFO_TCP)
        writer.put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, UInt16(flags) << 8 | UInt16(mask))
        writer.put(CTA_PROTOINFO_TCP_FLAGS_REPLY, UInt16(flags) << 8 | UInt16(mask))
        writer.endNest(own)
        writer.endNest(nest)
    }

    // MARK: CTA_PROTOINFO_SCTP

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

    private static func writeSCTP(_ info: ProtocolInfo, to writer: inout NetlinkWriter) {
        let nest = writer.beginNest(CTA_PROTOINFO_SCTP)
        writer.put(CTA_PROTOINFO_SCTP_STATE, info.state)
        writer.put(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, info.originalTag)
        writer.put(CTA_PROTOINFO_SCTP_VTAG_REPLY, info.replyTag)
        writer.endNest(nest)
    }
}
