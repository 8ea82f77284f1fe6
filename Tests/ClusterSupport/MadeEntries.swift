// SPDX-License-Identifier: GPL-2.0-or-later

import CNetfilterConntrack
import Glibc

/// Connections that exist in a table only, made without traffic: many of them, quickly.
///
/// They are told apart by a number, which becomes an address and a port of the client's side.
package enum MadeEntries {
    /// What to do with one of them.
    package enum Step: Sendable {
        /// An established TCP connection, or an assured UDP stream where the number is odd.
        case create(Int)
        case mark(Int, UInt32)
        case delete(Int)
    }

    /// Takes steps in order in a namespace, a pause of some microseconds after each.
    package static func apply(
        _ steps: [Step], in host: Namespace, pauseMicroseconds: UInt32 = 0
    ) throws {
        try host.inside {
            guard let handle = nfct_open(UInt8(NFNL_SUBSYS_CTNETLINK), 0) else {
                throw CallFailed("nfct_open")
            }
            defer { nfct_close(handle) }
            for step in steps {
                try apply(step, handle)
                if pauseMicroseconds > 0 { usleep(pauseMicroseconds) }
            }
        }
    }

    /// Creates a range of them.
    package static func create(_ numbers: Range<Int>, in host: Namespace) throws {
        try apply(numbers.map { .create($0) }, in: host)
    }

    /// Deletes a range of them.
    package static func delete(_ numbers: Range<Int>, in host: Namespace) throws {
        try apply(numbers.map { .delete($0) }, in: host)
    }

    private static func apply(_ step: Step, _ handle: OpaquePointer) throws {
        guard let entry = nfct_new() else { throw CallFailed("nfct_new") }
        defer { nfct_destroy(entry) }
        let query: nf_conntrack_query
        switch step {
        case .create(let number):
            setTuple(entry, number)
            setState(entry, number)
            query = NFCT_Q_CREATE
        case .mark(let number, let mark):
            setTuple(entry, number)
            nfct_set_attr_u32(entry, ATTR_MARK, mark)
            query = NFCT_Q_UPDATE
        case .delete(let number):
            setTuple(entry, number)
            query = NFCT_Q_DESTROY
        }
        guard nfct_query(handle, query, UnsafeRawPointer(entry)) == 0 else {
            throw CallFailed("\(step)")
        }
    }

    private static func setTuple(_ entry: OpaquePointer, _ number: Int) {
        let source = UInt32(0x0a01_0100 + number / 50_000)
        let port = UInt16(10_000 + number % 50_000)
        nfct_set_attr_u8(entry, ATTR_L3PROTO, UInt8(AF_INET))
        nfct_set_attr_u8(
            entry, ATTR_L4PROTO,
            UInt8(number % 2 == 0 ? InternetProtocol.tcp : InternetProtocol.udp))
        nfct_set_attr_u32(entry, ATTR_ORIG_IPV4_SRC, source.bigEndian)
        nfct_set_attr_u32(entry, ATTR_ORIG_IPV4_DST, UInt32(0x0a02_0002).bigEndian)
        nfct_set_attr_u16(entry, ATTR_ORIG_PORT_SRC, port.bigEndian)
        nfct_set_attr_u16(entry, ATTR_ORIG_PORT_DST, UInt16(443).bigEndian)
        nfct_setobjopt(entry, UInt32(NFCT_SOPT_SETUP_REPLY))
    }

    private static func setState(_ entry: OpaquePointer, _ number: Int) {
        nfct_set_attr_u32(entry, ATTR_TIMEOUT, 3600)
        // IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED
        nfct_set_attr_u32(entry, ATTR_STATUS, 0x02 | 0x04 | 0x08)
        guard number % 2 == 0 else { return }
        nfct_set_attr_u8(entry, ATTR_TCP_STATE, 3)
        for attribute in [
            ATTR_TCP_FLAGS_ORIG, ATTR_TCP_FLAGS_REPL, ATTR_TCP_MASK_ORIG, ATTR_TCP_MASK_REPL,
        ] {
            nfct_set_attr_u8(entry, attribute, 0x03)
        }
        nfct_set_attr_u8(entry, ATTR_TCP_WSCALE_ORIG, 7)
        nfct_set_attr_u8(entry, ATTR_TCP_WSCALE_REPL, 7)
    }
}
