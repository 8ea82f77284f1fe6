// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import ClusterSupport
import Glibc

@testable import CTSync

/// What somebody without a place in the cluster sends to make the nodes lose their entries or their
/// master; every packet is well formed.
struct ForgedPackets {
    /// The id that the forger claims; no node of the tests has it.
    static let nodeID: UInt8 = 77
    private static let checksum = PacketChecksum()

    /// An epoch above the one that the true master has.
    let epoch: UInt64
    /// The true master's claim.
    let victim: (epoch: UInt64, nodeID: UInt8)

    /// Packets for a cluster whose master has this epoch and this id.
    init(against epoch: UInt64, nodeID: UInt8) {
        victim = (epoch, nodeID)
        self.epoch = epoch + 1_000_000
    }

    /// A higher claim, an empty table under it, an end of the stream under the true master's name,
    /// and a request that makes the master walk its table.
    var all: [[UInt8]] {
        let (from, id) = (victim.epoch, victim.nodeID)
        return [
            Self.packet(.SYNC, id, from, 1_000_000, [bracket(.UPDATE), bracket(.DELETE)]),
            Self.packet(.SLAVE_INITSYNC, Self.nodeID, from, 1, []),
            announcement,
            Self.packet(.SYNC, Self.nodeID, epoch, 1, [bracket(.UPDATE)]),
            Self.packet(.SYNC, Self.nodeID, epoch, 2, [bracket(.DELETE)]),
        ]
    }

    /// The higher claim alone.
    var announcement: [UInt8] { Self.packet(.MASTER_ANNOUNCE, Self.nodeID, epoch, 0, []) }

    private func bracket(_ type: MessageKind.MessageType) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Bracket.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            let basis = Basis(epoch: .max, sequence: .max)
            _ = Bracket(number: 1, basis: basis).write(type, &span, at: 0)
        }
        return bytes
    }

    /// A NACK that names these numbers in each of its ranges.
    static func request(
        for numbers: ClosedRange<UInt64>, times: Int, from nodeID: UInt8, epoch: UInt64
    ) -> [UInt8] {
        let range = big(numbers.lowerBound, 8) + big(UInt64(numbers.count), 4)
        var header = PacketHeader(type: .NACK, nodeID: nodeID, epoch: epoch, sequence: 1 << 40)
        header.messageCount = UInt16(times)
        let ranges = (0..<times).flatMap { _ in range }
        return sealed(&header, ranges + [UInt8](repeating: 0, count: SlaveReport.byteCount))
    }

    private static func big(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }

    static func packet(
        _ type: PacketHeader.PacketType, _ nodeID: UInt8, _ epoch: UInt64, _ sequence: UInt64,
        _ messages: [[UInt8]], oldest: UInt64 = 1
    ) -> [UInt8] {
        var header = PacketHeader(type: type, nodeID: nodeID, epoch: epoch, sequence: sequence)
        header.oldest = type == .SYNC || type == .MASTER_ANNOUNCE ? oldest : 0
        header.messageCount = UInt16(messages.count)
        // What a node says of itself: that it holds nothing.
        let said = type == .SYNC ? 0 : SlaveReport.byteCount
        return sealed(&header, messages.flatMap { $0 } + [UInt8](repeating: 0, count: said))
    }

    private static func sealed(_ header: inout PacketHeader, _ content: [UInt8]) -> [UInt8] {
        var packet = [UInt8](repeating: 0, count: PacketHeader.byteCount) + content
        header.length = UInt16(packet.count)
        packet.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            header.seal(&span, checksum)
        }
        return packet
    }
}

/// A socket that sends with any hop limit, to hosts, broadcast addresses and groups.
final class ForgingSocket {
    private let socket: Socket
    private let isIPv6: Bool

    /// Opens one in a namespace; what goes to groups leaves through this device.
    init(in host: Namespace, ipv6: Bool, device: String) throws {
        isIPv6 = ipv6
        let local = Endpoint(ipv6 ? "::" : "0.0.0.0", 0)
        socket = try Socket.datagrams(from: local, in: host)
        let index = try host.inside { CInt(if_nametoindex(device)) }
        if ipv6 {
            try set(41, 17, index)  // IPPROTO_IPV6, IPV6_MULTICAST_IF
        } else {
            try set(SOL_SOCKET, SO_BROADCAST, 1)
            var request = ip_mreqn()
            request.imr_ifindex = index
            let size = socklen_t(MemoryLayout<ip_mreqn>.size)
            guard setsockopt(socket.raw, 0, IP_MULTICAST_IF, &request, size) == 0 else {
                throw CallFailed("IP_MULTICAST_IF")
            }
        }
    }

    /// Sends packets in their order; what the network refuses does not matter.
    func send(_ packets: [[UInt8]], to address: String, hopLimit: CInt) throws {
        if isIPv6 {
            try set(41, 16, hopLimit)  // IPV6_UNICAST_HOPS
            try set(41, 18, hopLimit)  // IPV6_MULTICAST_HOPS
        } else {
            try set(0, IP_TTL, hopLimit)
            try set(0, IP_MULTICAST_TTL, hopLimit)
        }
        for packet in packets {
            do {
                try socket.send(packet, to: Endpoint(address, 3781))
            } catch let refusal as CallFailed {
                guard [ENETUNREACH, EHOSTUNREACH, EACCES, EPERM].contains(refusal.number) else {
                    throw refusal
                }
            }
        }
    }

    private func set(_ level: CInt, _ option: CInt, _ value: CInt) throws {
        var value = value
        let size = socklen_t(MemoryLayout<CInt>.size)
        guard setsockopt(socket.raw, level, option, &value, size) == 0 else {
            throw CallFailed("setsockopt \(level) \(option)")
        }
    }
}

/// A socket that sends UDP datagrams in the name of any IPv4 address, as a host on the wire can.
final class SpoofingSocket {
    private let socket: Socket
    private let receiver: String

    /// Opens one in a namespace, for datagrams to a node's sync port.
    init(in host: Namespace, to receiver: String) throws {
        self.receiver = receiver
        // IPPROTO_RAW: the IP header is the sender's.
        socket = try .raw(255, to: Endpoint(receiver, 0), in: host)
    }

    /// Sends one from a node's sync port.
    func send(_ content: [UInt8], from source: String) throws {
        let length = content.count + 8
        let addresses = [source, receiver].flatMap { address in
            address.split(separator: ".").compactMap { UInt8($0) }
        }
        let ports: [UInt8] = [0x0E, 0xC5, 0x0E, 0xC5]  // 3781
        // Lengths and checksum of the IP header are the kernel's; that of UDP may be 0.
        let headers: [UInt8] =
            [0x45, 0, 0, 0, 0, 0, 0x40, 0, 255, 17, 0, 0] + addresses
            + ports + [UInt8(length >> 8), UInt8(length & 0xFF), 0, 0]
        try socket.send(headers + content)
    }
}
