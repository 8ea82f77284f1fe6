// SPDX-License-Identifier: GPL-2.0-or-later

extension NetlinkWriter {
    /// The attributes that a create and an update share, but for the tuples.
    @inline(__always)
    mutating func putCommon(_ entry: borrowing Entry, timeoutSeconds: UInt32, status: Status) {
        put(CTA_TIMEOUT, timeoutSeconds)
        put(CTA_STATUS, status.rawValue)
        put(CTA_MARK, entry.mark)
        let fields = entry.fields
        if fields.contains(.protocolInfo) { putProtocolInfo(entry) }
        guard !fields.isDisjoint(with: .extras) else { return }
        let extras = entry.extras
        if fields.contains(.labels) {
            putHostOrder(CTA_LABELS, extras.labelsLow, extras.labelsHigh)
            putHostOrder(CTA_LABELS_MASK, .max, .max)
        }
        if fields.contains(.sequenceAdjustment) {
            put(CTA_SEQ_ADJ_ORIG, extras.originalAdjustment)
            put(CTA_SEQ_ADJ_REPLY, extras.replyAdjustment)
        }
        if fields.contains(.synproxy) {
            let nest = beginNest(CTA_SYNPROXY)
            put(CTA_SYNPROXY_ISN, extras.synproxyISN)
            put(CTA_SYNPROXY_ITS, extras.synproxyITS)
            put(CTA_SYNPROXY_TSOFF, extras.synproxyTSOffset)
            endNest(nest)
        }
    }

    /// Helper and parent: at creation only.
    @inline(__always)
    mutating func putCreationOnly(_ entry: borrowing Entry) {
        let fields = entry.fields
        if fields.contains(.helper), entry.extras.helper.count > 0 {
            let nest = beginNest(CTA_HELP)
            put(CTA_HELP_NAME, entry.extras.helper)
            endNest(nest)
        }
        if fields.contains(.parent) { put(CTA_TUPLE_MASTER, entry.extras.parent) }
    }

    private mutating func put(_ type: UInt16, _ adjustment: SequenceAdjustment) {
        let nest = beginNest(type)
        put(CTA_SEQADJ_CORRECTION_POS, adjustment.correctionPosition)
        put(CTA_SEQADJ_OFFSET_BEFORE, adjustment.offsetBefore)
        put(CTA_SEQADJ_OFFSET_AFTER, adjustment.offsetAfter)
        endNest(nest)
    }

    @inline(__always)
    private mutating func putProtocolInfo(_ entry: borrowing Entry) {
        switch entry.key.tuple.protocolNumber {
        case ProtocolNumber.tcp:
            let nest = beginNest(CTA_PROTOINFO)
            putTCP(entry.protocolInfo)
            endNest(nest)
        case ProtocolNumber.sctp:
            let nest = beginNest(CTA_PROTOINFO)
            let own = beginNest(CTA_PROTOINFO_SCTP)
            put(CTA_PROTOINFO_SCTP_STATE, entry.protocolInfo.state)
            put(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, entry.protocolInfo.originalTag)
            put(CTA_PROTOINFO_SCTP_VTAG_REPLY, entry.protocolInfo.replyTag)
            endNest(own)
            endNest(nest)
        default: break
        }
    }

    /// The same flags for both directions of a TCP entry; those out of the mask stay.
    mutating func putTCPFlags(_ flags: UInt8, mask: UInt8) {
        let nest = beginNest(CTA_PROTOINFO)
        let own = beginNest(CTA_PROTOINFO_TCP)
        put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, UInt16(flags) << 8 | UInt16(mask))
        put(CTA_PROTOINFO_TCP_FLAGS_REPLY, UInt16(flags) << 8 | UInt16(mask))
        endNest(own)
        endNest(nest)
    }

    /// The kernel takes the window scales only where both directions' flags have WINDOW_SCALE. In
    /// SYN_SENT the other side has not spoken yet: it is given the flag and a scale of 0, and the
    /// kernel sets both anew from its SYN/ACK (tcp_init_sender, nf_conntrack_proto_tcp.c).
    @inline(__always)
    private mutating func putTCP(_ info: ProtocolInfo) {
        let mask = TCPFlag.transferable
        let originalFlags = info.originalFlags & mask
        var replyFlags = info.replyFlags & mask
        var replyScale = info.windowScales & 0x0F
        let isHalfScaled = originalFlags & ~replyFlags & TCPFlag.windowScale != 0
        if info.state == TCPState.synSent, isHalfScaled {
            replyFlags |= TCPFlag.windowScale
            replyScale = 0
        }
        let nest = beginNest(CTA_PROTOINFO_TCP)
        put(CTA_PROTOINFO_TCP_STATE, info.state)
        put(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, info.windowScales >> 4)
        put(CTA_PROTOINFO_TCP_WSCALE_REPLY, replyScale)
        put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, UInt16(originalFlags) << 8 | UInt16(mask))
        put(CTA_PROTOINFO_TCP_FLAGS_REPLY, UInt16(replyFlags) << 8 | UInt16(mask))
        endNest(nest)
    }
}
