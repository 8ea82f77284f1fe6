// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc

@testable import CTSync
@testable import CTSyncTests

/// The bytes of events, as they came, each a datagram.
final class RawEvents {
    private let socket: Descriptor

    /// Listens in the calling thread's namespace.
    init() throws {
        let groups =
            NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY
        socket = try Descriptor("netlink socket") {
            ctsync_netlink_open(NETLINK_NETFILTER, groups)
        }
        let raw = socket.raw
        try retrying("receive buffer") { ctsync_set_receive_buffer(raw, 8 << 20) }
    }

    /// What has come since the last call.
    func drain() throws -> [[UInt8]] {
        var events: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 8_192)
        while let length = try retryingNonBlocking(
            "recv", { recv(socket.raw, &buffer, buffer.count, 0) })
        {
            events.append(Array(buffer[0..<length]))
        }
        return events
    }

    /// Sends a request; whether all of it went.
    static func send(_ request: [UInt8]) throws -> Bool {
        let socket = try Descriptor("netlink socket") {
            ctsync_netlink_open(NETLINK_NETFILTER, 0)
        }
        return Glibc.send(socket.raw, request, request.count, 0) == request.count
    }

    /// The datagrams of a dump of the expectations, each with one or more of them.
    static func expectations() throws -> [[UInt8]] {
        let socket = try Descriptor("netlink socket") {
            ctsync_netlink_open(NETLINK_NETFILTER, 0)
        }
        // IPCTNL_MSG_EXP_GET with NLM_F_REQUEST | NLM_F_DUMP.
        let request: [UInt8] = [20, 0, 0, 0, 1, 2, 1, 3] + [UInt8](repeating: 0, count: 12)
        _ = Glibc.send(socket.raw, request, request.count, 0)
        var buffer = [UInt8](repeating: 0, count: 32_768)
        let length = try retrying("recv") { recv(socket.raw, &buffer, buffer.count, 0) }
        return [Array(buffer[0..<length])]
    }

    /// Events of every kind of entry: made, changed and removed.
    static func sample() throws -> [[UInt8]] {
        let events = try RawEvents()
        let batch = try RequestBatch()
        let entries = SampleEntries.plain + SampleEntries.translated
        for entry in entries {
            _ = batch.create(entry, timeoutSeconds: 600, tag: 0)
        }
        try batch.send { _, _ in }
        for var entry in entries {
            entry.mark += 1
            entry.protocolInfo.state = 2
            entry.extras.labelsLow += 1
            _ = batch.update(entry, timeoutSeconds: 700, tag: 0)
        }
        var related = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 5_001, 20))
        related.extras.parent = entries[0].key.tuple
        related.fields.insert(.parent)
        _ = batch.create(related, timeoutSeconds: 600, tag: 0)
        try batch.send { _, _ in }
        for entry in entries + [related] {
            _ = batch.delete(entry.key, tag: 0)
        }
        try batch.send { _, _ in }
        return try events.drain()
    }
}
