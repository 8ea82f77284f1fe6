// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc

/// ctnetlink's messages of entries and expectations, byte for byte: events as they come, and dumps.
package final class RawMessages: Sendable {
    private let events: CInt
    private let dumps: CInt
    private static let request: UInt16 = 0x301  // NLM_F_REQUEST | NLM_F_DUMP
    private static let done: UInt16 = 3  // NLMSG_DONE

    /// Listens in a namespace.
    package init(in host: Namespace) throws {
        // NF_NETLINK_CONNTRACK_* and _EXP_*: new, update and destroy of both.
        (events, dumps) = try host.inside {
            (try Self.open(groups: 0x3F), try Self.open(groups: 0))
        }
        guard ctsync_set_receive_buffer(events, 32 << 20) > 0 else {
            throw CallFailed("receive buffer")
        }
    }

    deinit {
        close(events)
        close(dumps)
    }

    private static func open(groups: UInt32) throws -> CInt {
        let raw = ctsync_netlink_open(12, groups)  // NETLINK_NETFILTER
        guard raw >= 0 else { throw CallFailed("netlink socket") }
        return raw
    }

    /// The events since the last call.
    package func newEvents() throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        while let datagram = try Self.receive(events) { found += Self.split(datagram) }
        return found
    }

    /// All entries, then all expectations, as a dump gives them.
    package func dump() throws -> [[UInt8]] {
        // IPCTNL_MSG_CT_GET, IPCTNL_MSG_EXP_GET
        try [0x101, 0x201].flatMap { try dump(type: $0) }
    }

    private func dump(type: UInt16) throws -> [[UInt8]] {
        let bytes: [UInt8] =
            [20, 0, 0, 0] + [type, Self.request].flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
            + [UInt8](repeating: 0, count: 12)
        guard send(dumps, bytes, bytes.count, 0) == bytes.count else { throw CallFailed("send") }
        var found: [[UInt8]] = []
        while true {
            guard let datagram = try Self.receive(dumps) else { throw CallFailed("dump") }
            let messages = Self.split(datagram)
            found += messages.filter { Self.type($0) != Self.done }
            if messages.contains(where: { Self.type($0) == Self.done }) { return found }
        }
    }

    private static func type(_ message: [UInt8]) -> UInt16 {
        UInt16(message[4]) | UInt16(message[5]) << 8
    }

    private static func receive(_ raw: CInt) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let length = recv(raw, &buffer, buffer.count, 0)
        if length < 0, errno == EAGAIN { return nil }
        guard length >= 0 else { throw CallFailed("recv") }
        return Array(buffer[..<length])
    }

    private static func split(_ datagram: [UInt8]) -> [[UInt8]] {
        var messages: [[UInt8]] = []
        var offset = 0
        while offset + 16 <= datagram.count {
            let length = (0..<4).reduce(0) { $0 | Int(datagram[offset + $1]) << (8 * $1) }
            guard length >= 16, offset + length <= datagram.count else { break }
            messages.append(Array(datagram[offset..<offset + length]))
            offset += (length + 3) & ~3
        }
        return messages
    }
}
