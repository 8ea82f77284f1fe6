// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc
import Testing

@testable import CTSync

/// A network namespace of a test's own, which only the calling thread enters and which goes with it.
enum NetworkNamespace {
    /// Runs a body, which must not suspend, inside a new namespace with loopback up.
    ///
    /// - Parameter isTracking: whether a rule there uses ct, so that packets are tracked.
    static func run(isTracking: Bool = false, _ body: () throws -> Void) throws {
        let home = try Descriptor("open own namespace") {
            ctsync_open("/proc/thread-self/ns/net", O_RDONLY, 0)
        }
        try retrying("unshare") { ctsync_unshare_net() }
        defer {
            let result = ctsync_setns_net(home.raw)
            precondition(result == 0, "a thread cannot leave its test's namespace")
        }
        try shell("ip link set lo up")
        try shell("ip -6 addr add fd00::1/128 dev lo nodad")
        if isTracking {
            _ = try Nftables().run(
                """
                table inet filter {
                    chain output { type filter hook output priority 0; ct state new accept; }
                    chain labels { ct label set 1 accept; }
                }
                """)
        }
        try body()
    }

    /// Runs a command in the calling thread's namespace.
    static func shell(_ command: String) throws {
        let status = system(command)
        guard status == 0 else { throw SystemError(command, errno: status) }
    }

    /// The whole table of the calling thread's namespace.
    static func table() throws -> [Key: Entry] {
        let dump = try TableDump()
        var entries: [Key: Entry] = [:]
        try dump.start()
        while try dump.step({ (entry: borrowing Entry) in entries[entry.key] = copy entry }) {}
        #expect(dump.malformed == 0)
        return entries
    }

    /// Sends a datagram from one loopback address and port to another.
    static func sendUDP(from: UInt16, to address: UInt32 = 0x7F00_0001, port: UInt16) throws {
        let socket = try Descriptor("socket") { Glibc.socket(AF_INET, 2, 0) }
        var local = sockaddr_in()
        local.sin_family = UInt16(AF_INET)
        local.sin_port = from.bigEndian
        local.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var remote = local
        remote.sin_port = port.bigEndian
        remote.sin_addr.s_addr = address.bigEndian
        let raw = socket.raw
        try withUnsafePointer(to: local) { pointer in
            _ = try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bound in
                try retrying("bind") { bind(raw, bound, 16) }
            }
        }
        withUnsafePointer(to: remote) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bound in
                // A refusal by the receiver does not matter: the packet was tracked.
                sendto(raw, "x", 1, 0, bound, 16)
            }
        }
    }
}
