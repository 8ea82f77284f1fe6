// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

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

    /// Makes entries in the table of the calling thread's namespace, in as many batches as they need.
    static func create(_ entries: [Entry], timeoutSeconds: UInt32) throws {
        let batch = try RequestBatch()
        for entry in entries where !batch.create(entry, timeoutSeconds: timeoutSeconds, tag: 0) {
            try batch.send { Issue.record("\($0) \($1)") }
            #expect(batch.create(entry, timeoutSeconds: timeoutSeconds, tag: 0))
        }
        try batch.send { Issue.record("\($0) \($1)") }
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

    /// All that the calling thread's namespace expects, by port.
    static func expectations() throws -> [Expected] {
        let dump = try TableDump()
        var found: [Expected] = []
        try dump.startExpectations()
        while try dump.step(
            { _ in }, expectation: { (each: borrowing Expected) in found.append(copy each) })
        {}
        #expect(dump.malformed == 0)
        return found.sorted { $0.key.tuple.destinationPort < $1.key.tuple.destinationPort }
    }

    /// Sends a datagram from one loopback address and port to another.
    static func sendUDP(from: UInt16, to address: UInt32 = 0x7F00_0001, port: UInt16) throws {
        let socket = try Descriptor("socket") { Glibc.socket(AF_INET, 2, 0) }
        try send([0x78], socket.raw, from: (0x7F00_0001, from), to: (address, port))
    }

    /// Sends a packet's layer 4 as it is given.
    static func sendRaw(
        _ protocolNumber: UInt8, _ bytes: [UInt8], from: UInt32 = 0x7F00_0001, to: UInt32
    ) throws {
        let socket = try Descriptor("socket") {
            Glibc.socket(AF_INET, 3, CInt(protocolNumber))
        }
        try send(bytes, socket.raw, from: (from, 0), to: (to, 0))
    }

    private static func send(
        _ bytes: [UInt8], _ socket: CInt, from: (UInt32, UInt16), to: (UInt32, UInt16)
    ) throws {
        try withAddress(from) { address in
            _ = try retrying("bind") { bind(socket, address, 16) }
        }
        withAddress(to) { address in
            // A refusal by the receiver or by a rule does not matter: the packet was tracked.
            _ = sendto(socket, bytes, bytes.count, 0, address, 16)
        }
    }

    private static func withAddress<Failure: Error>(
        _ given: (UInt32, UInt16), _ body: (UnsafePointer<sockaddr>) throws(Failure) -> Void
    ) throws(Failure) {
        var address = sockaddr_in()
        address.sin_family = UInt16(AF_INET)
        address.sin_addr.s_addr = given.0.bigEndian
        address.sin_port = given.1.bigEndian
        try withUnsafePointer(to: address) {
            (pointer: UnsafePointer<sockaddr_in>) throws(Failure) in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                (bound: UnsafePointer<sockaddr>) throws(Failure) in try body(bound)
            }
        }
    }
}
