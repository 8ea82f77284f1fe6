// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc
import Synchronization

@testable import CTSync
@testable import CTSyncTests

/// A node and its neighbour, a network namespace each, gone with the object.
///
///     node                                      neighbour
///     eth0  10.1.0.1, fd01::1  ---------------  w0  10.1.0.2, fd01::2
///     mac0  10.3.0.1 (macvlan on eth0)                  10.3.0.2
///     vx0   10.4.0.1 (vxlan to 10.1.0.2)
///     br0   10.2.0.1:  eth1    ---------------  w1  10.2.0.2
///                      eth3    ---------------  w3
///     sync  10.9.0.1           ---------------  w9  10.9.0.2
final class TwoHosts {
    private static let count = Atomic<Int>(0)
    private let names: [String]
    private let descriptors: [CInt]
    private let home: Descriptor

    init() throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        names = ["n", "w"].map { "ctsync-\(getpid())-\(number)\($0)" }
        home = try Descriptor("own namespace") {
            ctsync_open("/proc/thread-self/ns/net", O_RDONLY, 0)
        }
        for name in names { try NetworkNamespace.shell("ip netns add \(name)") }
        descriptors = try names.map { name in
            try retrying(name) { ctsync_open("/run/netns/\(name)", O_RDONLY, 0) }
        }
        try inNeighbour { try NetworkNamespace.shell("ip link set lo up") }
        for (own, other) in [("eth0", "w0"), ("eth1", "w1"), ("eth3", "w3"), ("sync", "w9")] {
            try connect(own, other)
        }
        try inNode {
            try NetworkNamespace.shell(
                """
                set -e; ip link set lo up
                ip link add br0 type bridge mcast_snooping 0; ip link set br0 up
                ip link set eth1 master br0; ip link set eth3 master br0
                ip link add mac0 link eth0 type macvlan mode bridge; ip link set mac0 up
                ip link add vx0 type vxlan id 7 remote 10.1.0.2 dstport 4789 dev eth0
                ip link set vx0 up
                ip addr add 10.1.0.1/24 dev eth0; ip -6 addr add fd01::1/64 dev eth0 nodad
                ip addr add 10.2.0.1/24 dev br0; ip addr add 10.3.0.1/24 dev mac0
                ip addr add 10.4.0.1/24 dev vx0; ip addr add 10.9.0.1/24 dev sync
                sysctl -qw net.ipv4.conf.all.arp_ignore=1
                """)
        }
        try inNeighbour {
            try NetworkNamespace.shell(
                """
                set -e
                ip addr add 10.1.0.2/24 dev w0; ip addr add 10.3.0.2/24 dev w0
                ip -6 addr add fd01::2/64 dev w0 nodad
                ip addr add 10.2.0.2/24 dev w1; ip addr add 10.9.0.2/24 dev w9
                sysctl -qw net.ipv4.conf.all.arp_ignore=1
                """)
        }
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
        for name in names { _ = system("ip netns del \(name)") }
    }

    /// A cable, up at both ends, between new devices of the node and the neighbour.
    func connect(_ own: String, _ other: String) throws {
        try inNode {
            try NetworkNamespace.shell(
                """
                ip link add \(own) type veth peer name \(other) netns \(names[1]) &&
                ip link set \(own) up
                """)
        }
        try inNeighbour { try NetworkNamespace.shell("ip link set \(other) up") }
    }

    /// Moves a device of the neighbour's to the node.
    func moveToNode(_ device: String) throws {
        try inNeighbour {
            try NetworkNamespace.shell("ip link set \(device) netns \(names[0])")
        }
    }

    func inNode<Result>(_ body: () throws -> Result) throws -> Result {
        try inside(descriptors[0], body)
    }

    func inNeighbour<Result>(_ body: () throws -> Result) throws -> Result {
        try inside(descriptors[1], body)
    }

    private func inside<Result>(_ namespace: CInt, _ body: () throws -> Result) throws -> Result {
        try retrying("setns") { ctsync_setns_net(namespace) }
        defer {
            let result = ctsync_setns_net(home.raw)
            precondition(result == 0, "a thread cannot leave its test's namespace")
        }
        return try body()
    }

    /// Both talk on every wire, with and without a known neighbour, for some time: the neighbour
    /// pings, ARPs and solicits, the node's services send, it takes a new IPv6 address each round.
    func talk(seconds: Int, tick: () throws -> Void = {}) throws {
        let end = Clock.now() + UInt64(seconds) * Duration.second
        var round = 0
        repeat {
            round += 1
            try inNeighbour { Self.knock(round) }
            try inNode { Self.serve(round) }
            try tick()
            usleep(100_000)
        } while Clock.now() < end
    }

    private static func knock(_ round: Int) {
        for network in [1, 2, 3, 9] { ping(10 << 24 | UInt32(network) << 16 | 1) }
        _ = system(
            """
            exec 2>/dev/null
            ip neigh flush dev w0; ip neigh flush dev w1
            bash -c 'echo > /dev/udp/fd01::1/9; echo > /dev/udp/10.2.0.1/9'
            """)
    }

    private static func serve(_ round: Int) {
        ping(0x0A01_0002)
        ping(0x0A02_0002)
        ping(0x0A04_0002)
        ping(0x0A09_0002)
        _ = system(
            """
            exec 2>/dev/null
            ip -6 addr add fd02::\(round % 9999)/64 dev eth0
            ip -6 addr add fd03::\(round % 9999)/64 dev br0
            ip neigh flush dev eth0; ip neigh flush dev br0
            bash -c 'echo > /dev/udp/fd01::2/9; echo > /dev/udp/10.3.0.2/9'
            """)
    }

    /// Sends an ICMP echo request, whether or not anybody is there.
    private static func ping(_ address: UInt32) {
        let echo: [UInt8] = [8, 0, 0xF7, 0xFD, 0, 1, 0, 1]
        _ = Result { try NetworkNamespace.sendRaw(1, echo, from: 0, to: address) }
    }
}
