// SPDX-License-Identifier: GPL-2.0-or-later

import CNetfilterConntrack
import Glibc

/// A kernel entry as libnetfilter_conntrack reads it, without what differs between two nodes that
/// hold the same connection: timeout, id, counters.
package struct TableEntry: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Addresses and ports of both directions, and the zone.
    package let key: String
    package let protocolNumber: UInt8
    package let original: Side
    package let reply: Side
    /// SEEN_REPLY, ASSURED, SRC_NAT and DST_NAT of the status bits.
    package let status: UInt32
    package let mark: UInt32
    package let tcp: TCP?
    /// How a helper has shifted sequence numbers: original position, offsets before and after, then
    /// the reply direction's.
    package let sequenceAdjustment: [UInt32]
    /// Seconds the entry would live on without a packet; not compared.
    package let timeoutSeconds: UInt32

    /// One direction.
    package struct Side: Hashable, Sendable {
        package let source: String
        package let destination: String
        package let sourcePort: UInt16
        package let destinationPort: UInt16
    }

    /// What a node needs of a TCP connection to go on watching its windows.
    package struct TCP: Hashable, Sendable {
        package let state: UInt8
        /// Original and reply: WINDOW_SCALE and SACK_PERM of the flags.
        package let flags: [UInt8]
        package let scale: [UInt8]
        /// IP_CT_TCP_FLAG_MAXACK_SET in a direction: packets have passed since it was made.
        package let isAcknowledged: Bool
        /// IP_CT_TCP_FLAG_BE_LIBERAL in a direction: windows are not watched, as on a standby.
        package let isLiberal: Bool
        /// IP_CT_TCP_FLAG_WINDOW_SCALE in both directions.
        package var hasScale: Bool { flags.allSatisfy { $0 & 0x01 != 0 } }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.description == right.description
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(description) }

    package static func < (left: Self, right: Self) -> Bool {
        left.description < right.description
    }

    package var description: String {
        let tcp = tcp.map { " state \($0.state) flags \($0.flags) scale \($0.scale)" } ?? ""
        let shift = sequenceAdjustment.allSatisfy { $0 == 0 } ? "" : " shift \(sequenceAdjustment)"
        return "\(key) status \(status) mark \(mark)\(tcp)\(shift)"
    }

    /// Loopback, the sync link, or a multicast address: never replicated.
    package var isLocal: Bool {
        [original.source, original.destination].contains { address in
            ["127.", "172.31.255.", "fe80:", "fd00:ff:", "ff0", "224."]
                .contains { address.hasPrefix($0) } || address == "::1"
        }
    }

    // MARK: Reading

    private final class Collector {
        var entries: [TableEntry] = []
    }

    /// Dumps the table of the namespace of the calling thread.
    static func dump(ipv6: Bool) throws -> [TableEntry] {
        guard let handle = nfct_open(UInt8(NFNL_SUBSYS_CTNETLINK), 0) else {
            throw CallFailed("nfct_open")
        }
        defer { nfct_close(handle) }
        let collector = Collector()
        let context = Unmanaged.passUnretained(collector).toOpaque()
        nfct_callback_register(
            handle, NFCT_T_ALL,
            { _, entry, context in
                guard let entry, let context else { return CInt(NFCT_CB_CONTINUE) }
                let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
                collector.entries.append(TableEntry(entry))
                return CInt(NFCT_CB_CONTINUE)
            }, context)
        var family = UInt32(ipv6 ? AF_INET6 : AF_INET)
        guard nfct_query(handle, NFCT_Q_DUMP, &family) == 0 else { throw CallFailed("nfct_query") }
        return withExtendedLifetime(collector) { collector.entries }
    }

    private init(_ entry: OpaquePointer) {
        let ipv6 = nfct_get_attr_u8(entry, ATTR_L3PROTO) == UInt8(AF_INET6)
        func address(_ v4: nf_conntrack_attr, _ v6: nf_conntrack_attr) -> String {
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            let family = ipv6 ? AF_INET6 : AF_INET
            inet_ntop(
                family, nfct_get_attr(entry, ipv6 ? v6 : v4), &text, socklen_t(text.count))
            return String(
                decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        func number(_ attribute: nf_conntrack_attr) -> UInt16 {
            UInt16(bigEndian: nfct_get_attr_u16(entry, attribute))
        }
        protocolNumber = nfct_get_attr_u8(entry, ATTR_L4PROTO)
        let isICMP = [InternetProtocol.icmp, InternetProtocol.icmpv6].contains(CInt(protocolNumber))
        let icmp = isICMP ? number(ATTR_ICMP_ID) : 0
        original = Side(
            source: address(ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC),
            destination: address(ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST),
            sourcePort: isICMP ? icmp : number(ATTR_ORIG_PORT_SRC),
            destinationPort: isICMP ? 0 : number(ATTR_ORIG_PORT_DST))
        reply = Side(
            source: address(ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC),
            destination: address(ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST),
            sourcePort: isICMP ? 0 : number(ATTR_REPL_PORT_SRC),
            destinationPort: isICMP ? 0 : number(ATTR_REPL_PORT_DST))
        let zone = nfct_get_attr_u16(entry, ATTR_ZONE)
        key =
            "\(protocolNumber) \(original.source) \(original.sourcePort) > "
            + "\(original.destination) \(original.destinationPort) reply "
            + "\(reply.source) \(reply.sourcePort) > \(reply.destination) "
            + "\(reply.destinationPort) zone \(zone)"
        // IPS_SEEN_REPLY, IPS_ASSURED, IPS_SRC_NAT, IPS_DST_NAT
        status = nfct_get_attr_u32(entry, ATTR_STATUS) & (0x02 | 0x04 | 0x10 | 0x20)
        mark = nfct_get_attr_u32(entry, ATTR_MARK)
        sequenceAdjustment = [
            ATTR_ORIG_NAT_SEQ_CORRECTION_POS, ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE,
            ATTR_ORIG_NAT_SEQ_OFFSET_AFTER, ATTR_REPL_NAT_SEQ_CORRECTION_POS,
            ATTR_REPL_NAT_SEQ_OFFSET_BEFORE, ATTR_REPL_NAT_SEQ_OFFSET_AFTER,
        ].map { nfct_attr_is_set(entry, $0) > 0 ? nfct_get_attr_u32(entry, $0) : 0 }
        timeoutSeconds = nfct_get_attr_u32(entry, ATTR_TIMEOUT)
        tcp =
            protocolNumber != UInt8(InternetProtocol.tcp)
            ? nil
            : TCP(
                state: nfct_get_attr_u8(entry, ATTR_TCP_STATE),
                flags: [ATTR_TCP_FLAGS_ORIG, ATTR_TCP_FLAGS_REPL]
                    .map { nfct_get_attr_u8(entry, $0) & (0x01 | 0x02) },
                scale: [ATTR_TCP_WSCALE_ORIG, ATTR_TCP_WSCALE_REPL]
                    .map { nfct_get_attr_u8(entry, $0) },
                isAcknowledged: [ATTR_TCP_FLAGS_ORIG, ATTR_TCP_FLAGS_REPL]
                    .contains { nfct_get_attr_u8(entry, $0) & 0x20 != 0 },
                isLiberal: [ATTR_TCP_FLAGS_ORIG, ATTR_TCP_FLAGS_REPL]
                    .contains { nfct_get_attr_u8(entry, $0) & 0x08 != 0 })
    }
}

/// What two tables do not share.
package struct TableDifference: CustomStringConvertible {
    package let onlyFirst: [TableEntry]
    package let onlySecond: [TableEntry]

    package init(_ first: [TableEntry], _ second: [TableEntry]) {
        let (left, right) = (Set(first), Set(second))
        onlyFirst = left.subtracting(right).sorted()
        onlySecond = right.subtracting(left).sorted()
    }

    package var isEmpty: Bool { onlyFirst.isEmpty && onlySecond.isEmpty }

    package var description: String {
        let first = onlyFirst.prefix(10).map { "< \($0)" }
        let second = onlySecond.prefix(10).map { "> \($0)" }
        let counts = ["\(onlyFirst.count) only in the first, \(onlySecond.count) in the second"]
        return (counts + first + second).joined(separator: "\n")
    }
}
