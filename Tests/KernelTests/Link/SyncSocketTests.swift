// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc
import Testing

@testable import CTSync

@Suite struct SyncSocketTests {
    private static let port: UInt16 = 4_000

    /// A host that sends to itself.
    private struct Sender: ~Copyable {
        let socket: Descriptor
        let target: PeerAddress

        init(from source: HostAddress, to target: HostAddress) throws {
            let family = source.family
            let socket = try Descriptor("socket") {
                Glibc.socket(CInt(family.rawValue), CInt(SOCK_DGRAM.rawValue), 0)
            }
            let raw = socket.raw
            var storage = sockaddr_storage()
            let length = PeerAddress(address: source.address, family: family, port: 0)
                .write(scope: 1, as: family, to: &storage)
            try retrying("bind") {
                withUnsafePointer(to: &storage) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(raw, $0, length) }
                }
            }
            self.socket = socket
            self.target = PeerAddress(
                address: target.address, family: family, port: SyncSocketTests.port)
        }

        func send(_ byte: UInt8, hopLimit: CInt) throws {
            let raw = socket.raw
            var limit = hopLimit
            let size = socklen_t(MemoryLayout<CInt>.size)
            // IP_TTL, IPV6_UNICAST_HOPS
            let (level, option): (CInt, CInt) = target.family == .ipv4 ? (0, 2) : (41, 16)
            try retrying("hop limit") { setsockopt(raw, level, option, &limit, size) }
            var storage = sockaddr_storage()
            let length = target.write(scope: 1, as: target.family, to: &storage)
            try retrying("sendto") {
                withUnsafePointer(to: &storage) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        sendto(raw, [byte], 1, 0, $0, length)
                    }
                }
            }
        }
    }

    private static func host(_ text: String) throws -> HostAddress {
        try #require(HostAddress(text: text))
    }

    private static func received(_ socket: SyncSocket) throws -> [(UInt8, PeerAddress)] {
        let buffers = DatagramBuffers(count: 16, byteCount: 64)
        return (0..<(try socket.receive(buffers))).compactMap {
            buffers.received($0).map { ($0.0[0], $0.1) }
        }
    }

    /// What a router has forwarded is not heard, in either family.
    @Test(arguments: ["127.0.0.1", "::1"])
    func onlyTheLinksOwnPacketsAreHeard(_ address: String) throws {
        try NetworkNamespace.run {
            let socket = try SyncSocket(
                device: SyncDevice(named: "lo"), group: nil, peers: [], port: Self.port)
            let own = try Self.host(address)
            let sender = try Sender(from: own, to: own)
            for limit in [1, 2, 64, 254, 255] as [CInt] {
                try sender.send(UInt8(limit), hopLimit: limit)
            }
            let heard = try Self.received(socket)
            #expect(heard.map(\.0) == [255])
            #expect(heard.first?.1.family == own.family && heard.first?.1.address == own.address)
        }
    }

    /// With peers nobody else is heard, whatever part of the address differs.
    @Test func onlyPeersAreHeard() throws {
        try NetworkNamespace.run {
            let others = ["fd00::2", "fd00:0:1::1", "fd00::1:0:1", "fd01::1", "fd00::1:0:0:1"]
            for address in others {
                try NetworkNamespace.shell("ip -6 addr add \(address)/128 dev lo nodad")
            }
            let peers = try ["127.0.0.3", "127.0.0.5", "fd00::9", "fd00::1"].map(Self.host)
            let socket = try SyncSocket(
                device: SyncDevice(named: "lo"), group: nil, peers: peers, port: Self.port)
            let target4 = try Self.host("127.0.0.1")
            let target6 = try Self.host("::1")
            for last in UInt8(1)...6 {
                let source = try Self.host("127.0.0.\(last)")
                try Sender(from: source, to: target4).send(last, hopLimit: 255)
                try Sender(from: source, to: target4).send(last, hopLimit: 254)
            }
            for address in others + ["fd00::1"] {
                try Sender(from: Self.host(address), to: target6).send(
                    address == "fd00::1" ? 61 : 60, hopLimit: 255)
            }
            #expect(try Self.received(socket).map(\.0) == [3, 5, 61])
        }
    }

    /// The largest filter is one that the kernel takes.
    @Test func thereIsRoomForAllPeers() throws {
        try NetworkNamespace.run {
            let peers = (0..<UInt32(ArrivalFilter.peerLimit)).map { number -> HostAddress in
                if number % 2 == 0 {
                    return HostAddress(.ipv4, Address(ipv4: 0x7F00_0100 + number))
                }
                return HostAddress(.ipv6, Address(high: 0xFD00 << 48, low: UInt64(number)))
            }
            let socket = try SyncSocket(
                device: SyncDevice(named: "lo"), group: nil, peers: peers, port: Self.port)
            let target = try Self.host("127.0.0.1")
            try Sender(from: Self.host("127.0.1.254"), to: target).send(1, hopLimit: 255)
            try Sender(from: Self.host("127.0.1.255"), to: target).send(2, hopLimit: 255)
            #expect(try Self.received(socket).map(\.0) == [1])
        }
    }

    /// Packets leave with hop limit 255 and arrive in the family that they were sent in.
    @Test func twoNodesHearEachOther() throws {
        try NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add a0 type veth peer name b0")
            for device in ["a0", "b0"] {
                try NetworkNamespace.shell(
                    "echo 0 >/proc/sys/net/ipv6/conf/\(device)/accept_dad")
                try NetworkNamespace.shell("ip link set \(device) up")
            }
            try NetworkNamespace.shell("ip addr add 192.0.2.1/24 dev a0")
            try NetworkNamespace.shell("ip addr add 192.0.2.2/24 dev b0")
            try NetworkNamespace.shell("echo 1 >/proc/sys/net/ipv4/conf/b0/accept_local")
            try NetworkNamespace.shell("echo 1 >/proc/sys/net/ipv4/conf/a0/accept_local")
            let nodes = try ["a0", "b0"].map {
                try SyncSocket(
                    device: SyncDevice(named: $0), group: nil, peers: [], port: Self.port)
            }
            for node in nodes {
                #expect(node.join().isEmpty)
                node.use(heard: [])
            }
            let packet = DatagramBuffers(count: 1, byteCount: 1)
            func families(_ now: Instant) throws -> [Family] {
                packet.own(0)[0] = 7
                packet.point(0, at: packet.own(0))
                _ = nodes[0].sendToAll(packet, count: 1, now: now)
                return try Self.received(nodes[1]).map(\.1.family)
            }
            let second = Duration.second
            // A device that has just been taken up sends nothing yet.
            let deadline = Clock.now() + 10 * second
            while try families(1 * second) != [.ipv4, .ipv6], Clock.now() < deadline {
                usleep(10_000)
            }
            #expect(try families(1 * second) == [.ipv4, .ipv6])
            // One family is enough; the other is still tried once a second.
            nodes[0].use(heard: .ipv6)
            #expect(try families(2 * second) == [.ipv6, .ipv4])
            #expect(try families(2 * second + 1) == [.ipv6])
            nodes[0].use(heard: .ipv4)
            #expect(try families(2 * second + 2) == [.ipv4])
            #expect(try families(3 * second) == [.ipv4, .ipv6])
            nodes[0].use(heard: [])
            #expect(try families(3 * second + 1) == [.ipv4, .ipv6])
        }
    }

    /// Nothing is lost while one of two families takes the packets: an IPv6 address is tentative for
    /// a second after its device came up.
    @Test func tentativeAddress() throws {
        try NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add a0 type veth peer name b0")
            // As many solicitations as keep it tentative until the test is over.
            try NetworkNamespace.shell("echo 1000 >/proc/sys/net/ipv6/conf/a0/dad_transmits")
            for device in ["b0", "a0"] {
                try NetworkNamespace.shell("ip link set \(device) up")
            }
            // The kernel gives it after the device has come up.
            try NetworkNamespace.shell(
                "until ip -6 addr show dev a0 tentative | grep -q fe80; do sleep 0.05; done")
            let packet = DatagramBuffers(count: 1, byteCount: 1)
            packet.own(0)[0] = 7
            packet.point(0, at: packet.own(0))
            func refused() throws -> UInt64 {
                let node = try SyncSocket(
                    device: SyncDevice(named: "a0"), group: nil, peers: [], port: Self.port)
                _ = node.join()
                node.use(heard: [])
                return node.send(packet, count: 1, to: nil)
            }
            #expect(try refused() == 1)
            try NetworkNamespace.shell("ip addr add 192.0.2.1/24 dev a0")
            #expect(try refused() == 0)
        }
    }

    /// A link that takes nothing does not hold a demotion: what does not fit counts as refused. Of many
    /// peers not each is waited for.
    @Test(arguments: [[], (2...9).map { "192.0.2.\($0)" }])
    func aStuckLinkIsNotWaitedForForLong(_ peers: [String]) throws {
        try NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add a0 mtu 9000 type veth peer name b0 mtu 9000")
            for device in ["b0", "a0"] {
                try NetworkNamespace.shell("ip link set \(device) up")
            }
            try NetworkNamespace.shell("ip addr add 192.0.2.1/24 dev a0")
            // It keeps all that it is given, more than the socket may have under way.
            try NetworkNamespace.shell(
                "tc qdisc add dev a0 root tbf rate 8bit burst 9100 limit 1000000000")
            let node = try SyncSocket(
                device: SyncDevice(named: "a0"), group: HostAddress(text: "224.0.0.254"),
                peers: peers.map(Self.host), port: Self.port)
            for peer in peers {
                try NetworkNamespace.shell(
                    "ip neigh add \(peer) lladdr 02:00:00:00:00:02 dev a0")
            }
            _ = node.join()
            node.use(heard: [])
            let packets = DatagramBuffers(count: 64, byteCount: 8_900)
            for index in 0..<64 { packets.point(index, at: packets.own(index)) }
            var refused: UInt64 = 0
            // 64 MB.
            for _ in 0..<120 where refused == 0 {
                refused = node.send(packets, count: 64, to: nil)
            }
            #expect(refused > 0)
            #expect(node.lastRefusal == EAGAIN)
            // 60 ms each; a busy machine makes one or the other longer, not all.
            var shortest = UInt64.max
            for _ in 0..<5 {
                let began = Clock.now()
                #expect(node.send(packets, count: 64, to: nil) > 0)
                shortest = min(shortest, Clock.now() - began)
            }
            #expect(shortest < 500 * Duration.millisecond)
            // A turn of the sender, and the last packets of a term: 60 ms for the first that waits.
            shortest = .max
            for _ in 0..<5 {
                let began = Clock.now()
                for _ in 0..<3 { #expect(node.send(packets, count: 1, to: nil) > 0) }
                shortest = min(shortest, Clock.now() - began)
            }
            #expect(shortest < 120 * Duration.millisecond)
            // When it takes packets again, it is given them.
            try NetworkNamespace.shell("tc qdisc del dev a0 root")
            let deadline = Clock.now() + 10 * Duration.second
            while node.send(packets, count: 1, to: nil) > 0, Clock.now() < deadline {}
            #expect(node.send(packets, count: 64, to: nil) == 0)
        }
    }
}
