// SPDX-License-Identifier: GPL-2.0-or-later

/// The status bits of an entry, in the kernel's spelling.
///
/// Source: `enum ip_conntrack_status`, uapi/linux/netfilter/nf_conntrack_common.h.
package struct Status: OptionSet, Hashable, Sendable, BitwiseCopyable {
    /// The bits as CTA_STATUS has them.
    package let rawValue: UInt32

    /// A set of status bits.
    @inline(__always)
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// It is an expected connection.
    package static let IPS_EXPECTED = Status(rawValue: 1 << 0)
    /// Packets have been seen both ways.
    package static let IPS_SEEN_REPLY = Status(rawValue: 1 << 1)
    /// Not to be dropped early when the table is full.
    package static let IPS_ASSURED = Status(rawValue: 1 << 2)
    /// It is in the hash table.
    package static let IPS_CONFIRMED = Status(rawValue: 1 << 3)
    /// Its source is translated in the original direction.
    package static let IPS_SRC_NAT = Status(rawValue: 1 << 4)
    /// Its destination is translated in the original direction.
    package static let IPS_DST_NAT = Status(rawValue: 1 << 5)
    /// TCP sequence numbers need adjustment.
    package static let IPS_SEQ_ADJUST = Status(rawValue: 1 << 6)
    /// Source translation has been decided.
    package static let IPS_SRC_NAT_DONE = Status(rawValue: 1 << 7)
    /// Destination translation has been decided.
    package static let IPS_DST_NAT_DONE = Status(rawValue: 1 << 8)
    /// It is being removed from the lists.
    package static let IPS_DYING = Status(rawValue: 1 << 9)
    /// Packets do not refresh its timeout.
    package static let IPS_FIXED_TIMEOUT = Status(rawValue: 1 << 10)
    /// A template, of no connection.
    package static let IPS_TEMPLATE = Status(rawValue: 1 << 11)
    /// Its NAT lost its mapping (nat clash).
    package static let IPS_NAT_CLASH = Status(rawValue: 1 << 12)
    /// Its helper came from a rule.
    package static let IPS_HELPER = Status(rawValue: 1 << 13)
    /// It is in a flowtable.
    package static let IPS_OFFLOAD = Status(rawValue: 1 << 14)
    /// It is in a network card's flowtable.
    package static let IPS_HW_OFFLOAD = Status(rawValue: 1 << 15)

    /// The bits whose change the kernel refuses when they are cleared.
    static let onlyEverSet: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]
}
