// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
import Synchronization

/// The UDP socket of the sync link, shared by the receiver thread, which reads, and the sender
/// thread, which writes; each brings its own `DatagramBuffers`.
///
/// It is tied to the sync device, sends with hop limit 1 and never hears itself. Packets for all
/// slaves go to one multicast group, or to each peer in turn.
final class SyncSocket: Sendable {
    /// The group used where none is given: link-local, so no querier is needed (RFC 4727).
    static let defaultGroup4 = HostAddress(.ipv4, Address(ipv4: 0xE000_00FE))
    /// The same for IPv6 (RFC 4727).
    static let defaultGroup6 = HostAddress(
        .ipv6, Address(high: 0xFF02 << 48, low: 0x114))
    /// The least MTU: an IPv6 header, a packet header and the longest message.
    static let smallestMTU = 48 + PacketHeader.byteCount + Message.maximumByteCount
    /// Receive and send buffer asked of the kernel, in bytes.
    static let bufferBytes: CInt = 8 * 1024 * 1024

    /// Where packets for all slaves go.
    let destinations: [PeerAddress]
    /// The sync device.
    let device: SyncDevice
    /// The bytes that the kernel gave the receive buffer.
    let receiveBufferBytes: Int
    private let descriptor: Descriptor
    private let isMulticast: Bool
    /// The number of the device that it is tied to: another where that was made anew.
    private let tiedIndex: Atomic<UInt32>

    /// Opens the socket of a node.
    ///
    /// - Parameters:
    ///   - device: the sync device.
    ///   - group: the multicast group where `peers` is empty.
    ///   - peers: the other nodes.
    /// - Throws: `SystemError` of the socket calls.
    init(
        device: SyncDevice, group: HostAddress, peers: [HostAddress], port: UInt16
    ) throws(SystemError) {
        self.device = device
        let family = peers.first?.family ?? group.family
        let hosts = peers.isEmpty ? [group] : peers
        destinations = hosts.map { PeerAddress(address: $0.address, family: family, port: port) }
        let descriptor = try Descriptor("sync socket") {
            let kind = CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            return socket(CInt(family.rawValue), kind, 0)
        }
        let raw = descriptor.raw
        try retrying("hop limit") { ctsync_link_only(raw, CInt(family.rawValue)) }
        isMulticast = peers.isEmpty
        try Self.tie(raw, device.name, device.index, isMulticast ? destinations[0] : nil)
        tiedIndex = Atomic(device.index)
        var storage = sockaddr_storage()
        let length = PeerAddress(address: .any, family: family, port: port)
            .write(scope: 0, to: &storage)
        try retrying("bind to port \(port)") {
            withUnsafePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(raw, $0, length) }
            }
        }
        let settled = try retrying("receive buffer") {
            ctsync_set_receive_buffer(raw, Self.bufferBytes)
        }
        try retrying("send buffer") { ctsync_set_send_buffer(raw, Self.bufferBytes) }
        receiveBufferBytes = Int(settled)
        self.descriptor = descriptor
    }

    /// Whether the device of the name is another than the one that the socket is tied to.
    enum DeviceChange {
        case none
        /// There is none of the name.
        case gone
        /// There is a new one, and the socket is tied to it now.
        case followed
    }

    /// Ties the socket to the device that has the name now; to be called now and then.
    ///
    /// - Throws: `SystemError` where that cannot be done yet.
    func followDevice() throws(SystemError) -> DeviceChange {
        let index = if_nametoindex(device.name)
        guard index != 0 else { return .gone }
        guard index != tiedIndex.load(ordering: .relaxed) else { return .none }
        try Self.tie(descriptor.raw, device.name, index, isMulticast ? destinations[0] : nil)
        tiedIndex.store(index, ordering: .relaxed)
        return .followed
    }

    /// Ties a socket to a device and, with a group, joins that on it.
    private static func tie(
        _ raw: CInt, _ name: String, _ index: UInt32, _ group: PeerAddress?
    ) throws(SystemError) {
        try retrying("SO_BINDTODEVICE \(name)") { ctsync_bind_to_device(raw, name) }
        guard let group else { return }
        var bytes = sockaddr_storage()
        group.write(scope: index, to: &bytes)
        let offset = group.family == .ipv4 ? 4 : 8
        try retrying("multicast group \(group) on \(name)") {
            withUnsafeBytes(of: &bytes) {
                ctsync_join_group(
                    raw, CInt(group.family.rawValue), $0.baseAddress.map { $0 + offset }, index)
            }
        }
    }

    /// Bytes of the largest packet that is received, whatever the other nodes' MTU.
    static let largestPacket = 9_216

    /// Bytes of the largest packet that is sent: the MTU less the IP and UDP headers, if that can be
    /// received.
    var packetByteCount: Int {
        min(device.mtu - (destinations[0].family == .ipv4 ? 28 : 48), Self.largestPacket)
    }

    /// What to poll for POLLIN.
    var raw: CInt { descriptor.raw }

    /// Reads what has come, without waiting.
    ///
    /// - Returns: how many datagrams the buffers hold now.
    /// - Throws: `SystemError` of recvmmsg(2).
    func receive(_ buffers: DatagramBuffers) throws(SystemError) -> Int {
        buffers.prepareToReceive()
        do throws(SystemError) {
            return Int(
                try retryingNonBlocking("recvmmsg") {
                    ctsync_recvmmsg(raw, buffers.headers, UInt32(buffers.count))
                } ?? 0)
        } catch {
            // What an earlier datagram came to (an ICMP error, the device down) says nothing of
            // those to come.
            if [ECONNREFUSED, ENETDOWN, EHOSTUNREACH, ENETUNREACH].contains(error.errno) {
                return 0
            }
            throw error
        }
    }

    /// Sends the first `count` datagrams of the buffers, waiting while the socket is full.
    ///
    /// What the network refuses (device down, no route, a firewall rule) counts as sent: it is lost,
    /// and the slaves ask for it again.
    ///
    /// - Parameters:
    ///   - peer: where to; nil for all slaves.
    /// - Returns: how many were refused.
    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
        var refused: UInt64 = 0
        if let peer {
            refused += send(buffers, count, peer)
        } else {
            for destination in destinations { refused += send(buffers, count, destination) }
        }
        return refused
    }

    private func send(_ buffers: DatagramBuffers, _ count: Int, _ peer: PeerAddress) -> UInt64 {
        var refused: UInt64 = 0
        buffers.address(to: peer, scope: tiedIndex.load(ordering: .relaxed), count: count)
        var done = 0
        while done < count {
            let sent = ctsync_sendmmsg(raw, buffers.headers + done, UInt32(count - done))
            if sent > 0 {
                done += Int(sent)
            } else if errno == EAGAIN {
                var polled = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
                poll(&polled, 1, 100)
            } else if errno != EINTR {
                refused += 1
                done += 1
            }
        }
        return refused
    }
}
