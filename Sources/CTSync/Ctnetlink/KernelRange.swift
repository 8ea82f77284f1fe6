// SPDX-License-Identifier: GPL-2.0-or-later

/// What a kernel takes of what another said: the only place where something is replaced because it
/// is out of the kernel's range.
///
/// Kernels of 2026 refuse the whole request for one value that is too high, older ones take some of
/// them and count with them (a window scale is a number of bits to shift by, a state an index). The
/// sender may be a newer kernel with a state that this one does not know. So such a value is replaced
/// by the nearest that keeps the connection alive, and the request counted; it is never refused.
///
/// | value                   | taken                                          | else        |
/// |-------------------------|------------------------------------------------|-------------|
/// | window scale            | up to TCP_MAX_WSCALE, 14                       | 14          |
/// | TCP state               | up to TCP_CONNTRACK_SYN_SENT2, 9               | ESTABLISHED |
/// | SCTP state              | up to SCTP_CONNTRACK_HEARTBEAT_SENT, 8         | ESTABLISHED |
/// | expectation's flags     | NF_CT_EXPECT_PERMANENT, _INACTIVE, _USERSPACE  | those of it |
/// | translation's direction | IP_CT_DIR_ORIGINAL 0, IP_CT_DIR_REPLY 1        | 1           |
///
/// Source: tcp_nla_policy (nf_conntrack_proto_tcp.c), sctp_nla_policy (nf_conntrack_proto_sctp.c),
/// exp_nla_policy and exp_nat_nla_policy (nf_conntrack_netlink.c).
enum KernelRange {
    private static let TCP_MAX_WSCALE: UInt8 = 14
    private static let SCTP_CONNTRACK_ESTABLISHED: UInt8 = 4
    private static let SCTP_CONNTRACK_HEARTBEAT_SENT: UInt8 = 8
    private static let IP_CT_DIR_REPLY: UInt8 = 1

    /// The state of a TCP entry.
    @inline(__always)
    static func tcp(_ info: ProtocolInfo) -> ProtocolInfo {
        var info = info
        if info.state > TCPState.synSent2 { info.state = TCPState.established }
        let original = min(info.windowScales >> 4, TCP_MAX_WSCALE)
        let reply = min(info.windowScales & 0x0F, TCP_MAX_WSCALE)
        info.windowScales = original << 4 | reply
        return info
    }

    /// The state of an SCTP entry.
    @inline(__always)
    static func sctp(_ info: ProtocolInfo) -> ProtocolInfo {
        var info = info
        if info.state > SCTP_CONNTRACK_HEARTBEAT_SENT { info.state = SCTP_CONNTRACK_ESTABLISHED }
        return info
    }

    /// An expectation's flags.
    static func expectationFlags(_ flags: UInt32) -> UInt32 {
        let mask =
            Expectation.NF_CT_EXPECT_PERMANENT | Expectation.NF_CT_EXPECT_INACTIVE
            | Expectation.NF_CT_EXPECT_USERSPACE
        return flags & mask
    }

    /// The direction of an expectation's translation.
    static func direction(_ direction: UInt8) -> UInt8 { min(direction, IP_CT_DIR_REPLY) }
}
