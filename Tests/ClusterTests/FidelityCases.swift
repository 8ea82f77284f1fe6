// SPDX-License-Identifier: GPL-2.0-or-later

import CNetfilterConntrack
import ClusterSupport
import Glibc

/// Entries of every kind, with every attribute, as other programs make them.
enum FidelityCases {
    /// Words behind `conntrack -I`.
    static var byProgram: [[String]] {
        var lines: [String] = []
        for (index, state) in [
            "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
            "TIME_WAIT", "CLOSE",
        ].enumerated() {
            lines.append("\(v4) -p tcp --sport \(1000 + index) --dport 80 --state \(state)")
            lines.append("\(v6) -p tcp --sport \(1000 + index) --dport 80 --state \(state)")
        }
        let tcp = "-p tcp --state ESTABLISHED --dport 443"
        lines += [
            "\(v4) \(tcp) --sport 1100 -u SEEN_REPLY,ASSURED --mark 4711",
            "\(v4) -p udp --sport 1200 --dport 53",
            "\(v4) -p udp --sport 1201 --dport 53 -u SEEN_REPLY",
            "\(v4) -p udp --sport 1202 --dport 53 -u SEEN_REPLY,ASSURED",
            "\(v6) -p udp --sport 1203 --dport 53 -u SEEN_REPLY,ASSURED --mark 4294967295",
            "\(v4) -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77",
            "\(v4) -p icmp --icmp-type 13 --icmp-code 0 --icmp-id 77",
            "\(v6) -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77",
            "\(v4) -p gre --srckey 1 --dstkey 2",
            "\(v4) -p gre --srckey 3 --dstkey 4",
            "\(v6) -p gre --srckey 3 --dstkey 4",
        ]
        for (index, state) in ["COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT"]
            .enumerated()
        {
            lines.append(
                "\(v4) -p sctp --sport \(1300 + index) --dport 9 --state \(state) "
                    + "--orig-vtag \(index + 1) --reply-vtag 305419896")
        }
        lines.append(
            "\(v6) -p sctp --sport 1310 --dport 9 --state ESTABLISHED --orig-vtag 7 --reply-vtag 8")
        // A zone, a zone per direction, the same tuple in several.
        for zone in 0..<3 {
            lines.append("\(v4) \(tcp) --sport 1400 --zone \(zone)")
            lines.append("\(v4) -p udp --sport 1401 --dport 53 --zone \(zone)")
        }
        lines.append("\(v4) \(tcp) --sport 1402 --orig-zone 4")
        lines.append("\(v4) \(tcp) --sport 1403 --reply-zone 5")
        return lines.map { $0.split(separator: " ").map(String.init) } + translated
    }

    private static let v4 = "-t 600 -s 10.1.0.77 -d 198.51.100.7"
    private static let v6 = "-t 600 -s fd00:1::77 -d 2001:db8::7"

    /// Source, destination, both, ports remapped, hairpin; IPv4 and IPv6, each protocol.
    private static var translated: [[String]] {
        var lines: [String] = []
        let kinds = [
            "--src-nat 10.2.0.1", "--src-nat 10.2.0.1:61000", "--dst-nat 10.2.0.99",
            "--dst-nat 10.2.0.99:8080", "--src-nat 10.2.0.1 --dst-nat 10.2.0.98",
        ]
        for (index, kind) in kinds.enumerated() {
            lines.append(
                "\(v4) -p tcp --state ESTABLISHED --sport \(1500 + index) --dport 80 "
                    + "-u SEEN_REPLY,ASSURED \(kind)")
            lines.append("\(v4) -p udp --sport \(1510 + index) --dport 53 \(kind)")
        }
        lines.append(
            "-t 600 -s 10.1.0.77 -d 203.0.113.1 -p tcp --state ESTABLISHED --sport 1520 "
                + "--dport 80 --dst-nat 10.1.0.50 --src-nat 10.1.0.1")
        lines.append("\(v4) -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 78 --src-nat 10.2.0.1")
        lines.append(
            "\(v6) -p tcp --state ESTABLISHED --sport 1530 --dport 80 --src-nat fd00:2::1")
        lines.append("\(v6) -p udp --sport 1531 --dport 80 --dst-nat fd00:2::99")
        return lines.map { $0.split(separator: " ").map(String.init) }
    }

    /// What the program cannot say.
    static func makeByLibrary(in host: Namespace) throws -> Int {
        try host.inside {
            guard let handle = nfct_open(UInt8(NFNL_SUBSYS_CTNETLINK), 0) else {
                throw CallFailed("nfct_open")
            }
            defer { nfct_close(handle) }
            for (index, change) in library.enumerated() {
                guard let entry = nfct_new() else { throw CallFailed("nfct_new") }
                defer { nfct_destroy(entry) }
                let number = try change(entry)
                base(entry, protocolNumber: number, port: UInt16(2000 + index))
                guard nfct_query(handle, NFCT_Q_CREATE, UnsafeRawPointer(entry)) == 0 else {
                    throw CallFailed("entry \(index) by the library")
                }
            }
            return library.count
        }
    }

    private static func base(_ entry: OpaquePointer, protocolNumber: UInt8, port: UInt16) {
        nfct_set_attr_u8(entry, ATTR_L3PROTO, UInt8(AF_INET))
        nfct_set_attr_u8(entry, ATTR_L4PROTO, protocolNumber)
        nfct_set_attr_u32(entry, ATTR_ORIG_IPV4_SRC, UInt32(0x0A01_004D).bigEndian)
        nfct_set_attr_u32(entry, ATTR_ORIG_IPV4_DST, UInt32(0xC633_6407).bigEndian)
        if protocolNumber == 6 || protocolNumber == 17 {
            nfct_set_attr_u16(entry, ATTR_ORIG_PORT_SRC, port.bigEndian)
            nfct_set_attr_u16(entry, ATTR_ORIG_PORT_DST, UInt16(21).bigEndian)
        }
        nfct_setobjopt(entry, UInt32(NFCT_SOPT_SETUP_REPLY))
        nfct_set_attr_u32(entry, ATTR_TIMEOUT, 600)
        if nfct_attr_is_set(entry, ATTR_STATUS) == 0 {
            nfct_set_attr_u32(entry, ATTR_STATUS, 0x02 | 0x04 | 0x08)
        }
        if protocolNumber == 6, nfct_attr_is_set(entry, ATTR_TCP_STATE) == 0 {
            nfct_set_attr_u8(entry, ATTR_TCP_STATE, 3)
        }
    }

    private static let library: [@Sendable (OpaquePointer) throws -> UInt8] = [
        { _ in 89 },
        { entry in
            nfct_set_attr_u8(entry, ATTR_TCP_STATE, 9)
            return 6
        },
        { entry in
            for attribute in [ATTR_TCP_FLAGS_ORIG, ATTR_TCP_FLAGS_REPL] {
                nfct_set_attr_u8(entry, attribute, 0x03)
            }
            for attribute in [ATTR_TCP_MASK_ORIG, ATTR_TCP_MASK_REPL] {
                nfct_set_attr_u8(entry, attribute, 0x0F)
            }
            nfct_set_attr_u8(entry, ATTR_TCP_WSCALE_ORIG, 14)
            nfct_set_attr_u8(entry, ATTR_TCP_WSCALE_REPL, 0)
            return 6
        },
        { entry in
            nfct_set_attr_u8(entry, ATTR_TCP_FLAGS_ORIG, 0x08)
            nfct_set_attr_u8(entry, ATTR_TCP_FLAGS_REPL, 0x08)
            nfct_set_attr_u8(entry, ATTR_TCP_MASK_ORIG, 0x0F)
            nfct_set_attr_u8(entry, ATTR_TCP_MASK_REPL, 0x0F)
            return 6
        },
        { entry in
            helper(entry, "ftp")
            return 6
        },
        { entry in
            helper(entry, "sip")
            return 17
        },
        { entry in
            helper(entry, "tftp")
            return 17
        },
        { entry in
            guard let labels = nfct_bitmask_new(127) else { throw CallFailed("bitmask") }
            for bit: UInt32 in [0, 1, 63, 64, 127] { nfct_bitmask_set_bit(labels, bit) }
            nfct_set_attr(entry, ATTR_CONNLABELS, UnsafeRawPointer(labels))
            return 17
        },
        { entry in
            let attributes = [
                ATTR_ORIG_NAT_SEQ_CORRECTION_POS, ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE,
                ATTR_ORIG_NAT_SEQ_OFFSET_AFTER, ATTR_REPL_NAT_SEQ_CORRECTION_POS,
                ATTR_REPL_NAT_SEQ_OFFSET_BEFORE, ATTR_REPL_NAT_SEQ_OFFSET_AFTER,
            ]
            for (index, attribute) in attributes.enumerated() {
                nfct_set_attr_u32(entry, attribute, UInt32(100 + index))
            }
            nfct_set_attr_u32(entry, ATTR_STATUS, 0x02 | 0x04 | 0x08 | 0x40)
            return 6
        },
        { entry in
            nfct_set_attr_u32(entry, ATTR_SYNPROXY_ISN, 1)
            nfct_set_attr_u32(entry, ATTR_SYNPROXY_ITS, 0x8000_0002)
            nfct_set_attr_u32(entry, ATTR_SYNPROXY_TSOFF, 3)
            return 6
        },
        // Related to the first with a helper, which has port 2004.
        { entry in
            nfct_set_attr_u8(entry, ATTR_MASTER_L3PROTO, UInt8(AF_INET))
            nfct_set_attr_u8(entry, ATTR_MASTER_L4PROTO, 6)
            nfct_set_attr_u32(entry, ATTR_MASTER_IPV4_SRC, UInt32(0x0A01_004D).bigEndian)
            nfct_set_attr_u32(entry, ATTR_MASTER_IPV4_DST, UInt32(0xC633_6407).bigEndian)
            nfct_set_attr_u16(entry, ATTR_MASTER_PORT_SRC, UInt16(2004).bigEndian)
            nfct_set_attr_u16(entry, ATTR_MASTER_PORT_DST, UInt16(21).bigEndian)
            return 6
        },
    ]

    private static func helper(_ entry: OpaquePointer, _ name: String) {
        name.withCString { nfct_set_attr(entry, ATTR_HELPER_NAME, UnsafeRawPointer($0)) }
    }
}
