// SPDX-License-Identifier: GPL-2.0-or-later

extension Entry {
    /// The time in seconds that the kernel gives such an entry when a packet passes, by its defaults:
    /// for entries of which nobody knows what they had.
    ///
    /// Source: tcp_timeouts, udp_timeouts, sctp_timeouts, gre_timeouts and nf_ct_generic_timeout of
    /// net/netfilter/nf_conntrack_proto*.c.
    var defaultTimeoutSeconds: UInt32 {
        let isAnswered = status.contains(.IPS_SEEN_REPLY)
        switch key.tuple.protocolNumber {
        case ProtocolNumber.tcp:
            switch protocolInfo.state {
            case TCPState.established: return 432_000
            case TCPState.synSent, TCPState.finWait, TCPState.timeWait, TCPState.synSent2:
                return 120
            case TCPState.lastAck: return 30
            case TCPState.close: return 10
            default: return 60
            }
        case ProtocolNumber.udp: return status.contains(.IPS_ASSURED) ? 120 : 30
        case ProtocolNumber.sctp: return 210
        case ProtocolNumber.gre: return isAnswered ? 180 : 30
        case ProtocolNumber.icmp, ProtocolNumber.icmpv6: return 30
        default: return 600
        }
    }
}
