// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Reads the datagrams of a netlink socket: the notifications of its groups, or the answers to a
/// request. One thread uses it.
final class NetlinkReader {
    static let route: CInt = 0  // NETLINK_ROUTE
    static let netfilter: CInt = 12  // NETLINK_NETFILTER
    /// Groups of rtnetlink: RTMGRP_LINK, IPV4_IFADDR, IPV6_IFADDR.
    static let linksAndAddresses: UInt32 = 0x1 | 0x10 | 0x100

    /// More than the kernel puts into one datagram.
    private static let datagramBytes = 1 << 16

    private let socket: Descriptor
    private let memory: MappedMemory

    /// Opens the socket in the network namespace of the calling thread.
    ///
    /// - Parameter groups: a bit for each group from the first on (RTMGRP_LINK); 0 hears none.
    /// - Throws: `SystemError` of socket(2), bind(2) or mmap(2).
    init(_ name: String, protocol: CInt, groups: UInt32) throws(SystemError) {
        socket = try Descriptor(name) { ctsync_netlink_open(`protocol`, groups) }
        memory = try MappedMemory(byteCount: Self.datagramBytes)
    }

    /// What to poll for POLLIN.
    var raw: CInt { socket.raw }

    /// Hands the next datagram that waits to `read`.
    ///
    /// - Returns: whether there was one.
    /// - Throws: `SystemError` of recv(2): ENOBUFS if notifications were lost; what `read` throws.
    func next(_ read: (RawSpan) throws(SystemError) -> Void) throws(SystemError) -> Bool {
        let count = try retryingNonBlocking("recv") {
            recv(socket.raw, memory.base, Self.datagramBytes, 0)
        }
        guard let count else { return false }
        try read(UnsafeRawBufferPointer(start: memory.base, count: count).bytes)
        return true
    }

    /// Hands each datagram that waits to `read`, and calls `lost` each time that some were lost
    /// before the next.
    ///
    /// - Throws: `SystemError` of recv(2); what `lost` throws.
    func drain(
        _ read: (RawSpan) -> Void, lost: () throws(SystemError) -> Void
    ) throws(SystemError) {
        while true {
            do throws(SystemError) {
                guard try next(read) else { return }
            } catch {
                guard error.errno == ENOBUFS else { throw error }
                try lost()
            }
        }
    }
}
