// SPDX-License-Identifier: GPL-2.0-or-later

/// The protocol state of a TCP or SCTP entry; all zero for other protocols.
package struct ProtocolInfo: Hashable, Sendable, BitwiseCopyable {
    /// `enum tcp_conntrack` (CTA_PROTOINFO_TCP_STATE) or `enum sctp_conntrack`.
    package var state: UInt8 = 0
    /// IP_CT_TCP_FLAG_* of the original direction (CTA_PROTOINFO_TCP_FLAGS_ORIGINAL).
    package var originalFlags: UInt8 = 0
    /// The same of the reply direction.
    package var replyFlags: UInt8 = 0
    /// Window scale, 0 to 14: the original direction's in the high nibble, the reply's in the low.
    package var windowScales: UInt8 = 0
    /// SCTP verification tag of the original direction, as a number.
    package var originalTag: UInt32 = 0
    /// SCTP verification tag of the reply direction, as a number.
    package var replyTag: UInt32 = 0

    /// No state.
    @inline(__always)
    package init() {}
}

/// TCP states; `enum tcp_conntrack`, uapi/linux/netfilter/nf_conntrack_tcp.h.
package enum TCPState {
    /// TCP_CONNTRACK_SYN_SENT
    static let synSent: UInt8 = 1
    /// TCP_CONNTRACK_SYN_RECV
    package static let synRecv: UInt8 = 2
    /// TCP_CONNTRACK_ESTABLISHED
    package static let established: UInt8 = 3
    /// TCP_CONNTRACK_FIN_WAIT
    static let finWait: UInt8 = 4
    /// TCP_CONNTRACK_CLOSE_WAIT
    static let closeWait: UInt8 = 5
    /// TCP_CONNTRACK_LAST_ACK
    static let lastAck: UInt8 = 6
    /// TCP_CONNTRACK_TIME_WAIT
    static let timeWait: UInt8 = 7
    /// TCP_CONNTRACK_CLOSE
    package static let close: UInt8 = 8
    /// TCP_CONNTRACK_SYN_SENT2
    static let synSent2: UInt8 = 9
}

/// Flags of one direction of a TCP entry; uapi/linux/netfilter/nf_conntrack_tcp.h.
package enum TCPFlag {
    /// IP_CT_TCP_FLAG_WINDOW_SCALE
    package static let windowScale: UInt8 = 0x01
    /// IP_CT_TCP_FLAG_SACK_PERM
    package static let sackPermitted: UInt8 = 0x02
    /// IP_CT_TCP_FLAG_CLOSE_INIT
    static let closeInit: UInt8 = 0x04
    /// IP_CT_TCP_FLAG_BE_LIBERAL
    package static let beLiberal: UInt8 = 0x08
    /// IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED: data has passed in this direction, and no answer to it.
    static let dataUnacknowledged: UInt8 = 0x10
    /// IP_CT_TCP_FLAG_MAXACK_SET: an acknowledgement has passed in this direction.
    static let maxAckSet: UInt8 = 0x20
    /// The flags that mean something on another node; the rest describe sequence numbers, which the
    /// new master learns from the first packet.
    package static let transferable = windowScale | sackPermitted | closeInit | beLiberal
}
