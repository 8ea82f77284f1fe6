// SPDX-License-Identifier: GPL-2.0-or-later

import CNetfilterConntrack
import CTSync
import Glibc

/// An entry as libnetfilter_conntrack reads it: the yardstick of `EntryCodec`.
package struct LibraryEntry {
    private let object: OpaquePointer

    init(object: OpaquePointer) {
        self.object = object
    }

    /// Hands out what the library makes of a message; false where it refuses it.
    package static func read(_ message: [UInt8], _ body: (LibraryEntry) -> Void) -> Bool {
        guard let object = nfct_new() else { return false }
        defer { nfct_destroy(object) }
        // Where a string lacks its end the library reads on: into zeros.
        let isRead = (message + [UInt8](repeating: 0, count: 64)).withUnsafeBytes { bytes in
            guard let header = bytes.baseAddress?.assumingMemoryBound(to: nlmsghdr.self) else {
                return false
            }
            return nfct_nlmsg_parse(header, object) == 0
        }
        if isRead { body(LibraryEntry(object: object)) }
        return isRead
    }

    /// The reply tuple with its ICMP part, of which the library keeps the original tuple's only: read
    /// from the message with the two tuples exchanged.
    static func reply(in message: [UInt8]) -> Tuple? {
        var reply: Tuple?
        let exchanged = message.renamingAttributes([1: 2, 2: 1])
        _ = read(exchanged) { reply = $0.original }
        return reply
    }

    /// CTA_SECCTX, CTA_SECMARK: what the library reads and replication has no use for.
    package var securityContext: String {
        guard has(ATTR_SECCTX), let text = nfct_get_attr(object, ATTR_SECCTX) else { return "" }
        return String(cString: text.assumingMemoryBound(to: CChar.self))
    }

    private func has(_ attribute: nf_conntrack_attr) -> Bool {
        nfct_attr_is_set(object, attribute) > 0
    }

    private func byte(_ attribute: nf_conntrack_attr) -> UInt8 {
        has(attribute) ? nfct_get_attr_u8(object, attribute) : 0
    }

    private func short(_ attribute: nf_conntrack_attr) -> UInt16 {
        has(attribute) ? nfct_get_attr_u16(object, attribute) : 0
    }

    private func word(_ attribute: nf_conntrack_attr) -> UInt32 {
        has(attribute) ? nfct_get_attr_u32(object, attribute) : 0
    }

    private func address(_ v4: nf_conntrack_attr, _ v6: nf_conntrack_attr) -> Address {
        if has(v4) { return Address(ipv4: UInt32(bigEndian: word(v4))) }
        guard has(v6), let bytes = nfct_get_attr(object, v6) else { return .any }
        return Address(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// The original tuple; the library keeps the ICMP part once.
    var original: Tuple {
        var tuple = Tuple(
            family: Family(rawValue: byte(ATTR_ORIG_L3PROTO)) ?? .ipv4,
            protocolNumber: byte(ATTR_ORIG_L4PROTO),
            source: address(ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC),
            destination: address(ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST),
            sourcePort: UInt16(bigEndian: short(ATTR_ORIG_PORT_SRC)),
            destinationPort: UInt16(bigEndian: short(ATTR_ORIG_PORT_DST)))
        if tuple.isICMP {
            tuple.sourcePort = UInt16(bigEndian: short(ATTR_ICMP_ID))
            tuple.destinationPort = UInt16(byte(ATTR_ICMP_TYPE)) << 8 | UInt16(byte(ATTR_ICMP_CODE))
        }
        return tuple
    }

    var master: Tuple {
        Tuple(
            family: Family(rawValue: byte(ATTR_MASTER_L3PROTO)) ?? .ipv4,
            protocolNumber: byte(ATTR_MASTER_L4PROTO),
            source: address(ATTR_MASTER_IPV4_SRC, ATTR_MASTER_IPV6_SRC),
            destination: address(ATTR_MASTER_IPV4_DST, ATTR_MASTER_IPV6_DST),
            sourcePort: UInt16(bigEndian: short(ATTR_MASTER_PORT_SRC)),
            destinationPort: UInt16(bigEndian: short(ATTR_MASTER_PORT_DST)))
    }

    var zone: (UInt16, ZoneDirection) {
        if has(ATTR_ORIG_ZONE) { return (short(ATTR_ORIG_ZONE), .original) }
        if has(ATTR_REPL_ZONE) { return (short(ATTR_REPL_ZONE), .reply) }
        return (short(ATTR_ZONE), .both)
    }

    var protocolInfo: ProtocolInfo {
        var info = ProtocolInfo()
        info.state = has(ATTR_SCTP_STATE) ? byte(ATTR_SCTP_STATE) : byte(ATTR_TCP_STATE)
        info.originalFlags = byte(ATTR_TCP_FLAGS_ORIG)
        info.replyFlags = byte(ATTR_TCP_FLAGS_REPL)
        info.windowScales = byte(ATTR_TCP_WSCALE_ORIG) << 4 | byte(ATTR_TCP_WSCALE_REPL)
        // In host order, unlike the ports.
        info.originalTag = word(ATTR_SCTP_VTAG_ORIG)
        info.replyTag = word(ATTR_SCTP_VTAG_REPL)
        return info
    }

    var helper: String {
        guard has(ATTR_HELPER_NAME), let name = nfct_get_attr(object, ATTR_HELPER_NAME) else {
            return ""
        }
        return String(cString: name.assumingMemoryBound(to: CChar.self))
    }

    var labels: [UInt32] {
        guard has(ATTR_CONNLABELS), let mask = nfct_get_attr(object, ATTR_CONNLABELS) else {
            return []
        }
        return (UInt32(0)..<128).filter { nfct_bitmask_test_bit(OpaquePointer(mask), $0) != 0 }
    }

    static let wordNames = [
        "status", "timeout", "mark", "id", "original correction position",
        "original offset before", "original offset after", "reply correction position",
        "reply offset before", "reply offset after", "synproxy ISN", "synproxy ITS",
        "synproxy TSOFF",
    ]

    var words: [UInt32] {
        [
            word(ATTR_STATUS), word(ATTR_TIMEOUT), word(ATTR_MARK), word(ATTR_ID),
            word(ATTR_ORIG_NAT_SEQ_CORRECTION_POS), word(ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE),
            word(ATTR_ORIG_NAT_SEQ_OFFSET_AFTER), word(ATTR_REPL_NAT_SEQ_CORRECTION_POS),
            word(ATTR_REPL_NAT_SEQ_OFFSET_BEFORE), word(ATTR_REPL_NAT_SEQ_OFFSET_AFTER),
            word(ATTR_SYNPROXY_ISN), word(ATTR_SYNPROXY_ITS), word(ATTR_SYNPROXY_TSOFF),
        ]
    }

    var fields: Entry.Fields {
        var fields: Entry.Fields = []
        if has(ATTR_STATUS) { fields.insert(.status) }
        if has(ATTR_TIMEOUT) { fields.insert(.timeout) }
        if has(ATTR_MARK) { fields.insert(.mark) }
        if has(ATTR_ID) { fields.insert(.id) }
        if has(ATTR_TCP_STATE) || has(ATTR_SCTP_STATE) { fields.insert(.protocolInfo) }
        if has(ATTR_MASTER_L3PROTO) { fields.insert(.parent) }
        if has(ATTR_HELPER_NAME) { fields.insert(.helper) }
        if has(ATTR_CONNLABELS) { fields.insert(.labels) }
        if has(ATTR_ORIG_NAT_SEQ_CORRECTION_POS) { fields.insert(.sequenceAdjustment) }
        return fields
    }
}
