// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc

/// A slave with a bridge, a macvlan, a vxlan and two management ports besides lan0 and wan0, and a
/// capture on every device of its neighbours that its frames can reach.
///
///     client                      slave N
///     eth0  .2 --- hub --- lan0    mac0 on lan0   10.3N.0.1, fd00:3N::1
///     brN   .2 ----------- side0 \
///                                 br0            10.4N.0.1, fd00:4N::1
///     server                     /
///     brN   .3 ----------- side1
///     vxN   .2 ~~~ wan ~~~ wan0    vx0            10.5N.0.1, fd00:5N::1
///     client
///     m0N   .2 ----------- mgmt0                 10.6N.0.1, fd00:6N::1   exempt
///     m1N   .2 ----------- mgmt1, late           10.7N.0.1, fd00:7N::1   exempt
final class WatchedSlave {
    let firewall: Firewall
    let backend: String
    private let number: Int
    private let cluster: Cluster
    private let captures: [(device: String, frames: FrameCount)]
    private var streams: [(device: String, stream: DatagramStream)] = []
    /// What its own programs send to, without a neighbour's asking.
    private let services: [Socket]
    /// With netdev also what is neither IP nor ARP.
    private let frames: FrameSender?
    private var counts: [String: Int] = [:]
    private var replies: [Int] = []

    init(_ firewall: Firewall, backend: String, in cluster: Cluster) throws {
        (self.firewall, self.backend, self.cluster) = (firewall, backend, cluster)
        let (id, host) = (firewall.id, firewall.host)
        number = id
        let (client, server) = (cluster.client, cluster.server)
        try host.ip(
            """
            link add side0 type veth peer name br\(id) netns \(client.name)
            link add side1 type veth peer name br\(id) netns \(server.name)
            link add mgmt0 type veth peer name m0\(id) netns \(client.name)
            link add br0 type bridge forward_delay 0
            link set side0 up master br0
            link set side1 up master br0
            link add mac0 link lan0 type macvlan mode bridge
            link add vx0 type vxlan id \(id) remote \(Plan.server(ipv6: false)) dstport 4789 dev wan0
            link set br0 up
            link set mac0 up
            link set vx0 up
            link set mgmt0 up
            """)
        try server.ip(
            """
            link add vx\(id) type vxlan id \(id) remote 10.2.0.1 dstport 4789 dev eth0
            link set vx\(id) up
            """)
        try Self.address(host, ["mac0": 3, "br0": 4, "vx0": 5, "mgmt0": 6], id, last: 1)
        try Self.address(client, ["eth0": 3, "br\(id)": 4, "m0\(id)": 6], id, last: 2)
        try Self.address(server, ["vx\(id)": 5], id, last: 2)
        try Self.address(server, ["br\(id)": 4], id, last: 3)
        let lan = try cluster.frames(of: firewall, into: "lan")
        captures = [
            ("lan", lan), ("wan", try cluster.frames(of: firewall, into: "wan")),
            ("macvlan", try cluster.frames(of: firewall, into: "lan")),
            ("bridge to client", try FrameCount("br\(id)", in: client)),
            ("bridge to server", try FrameCount("br\(id)", in: server)),
            ("vxlan", try FrameCount("vx\(id)", in: server)),
        ]
        services = try [(1, 2), (2, 2), (30 + id, 2), (40 + id, 2), (40 + id, 3), (50 + id, 2)]
            .flatMap { network, last in
                try ["10.\(network).0.\(last)", "fd00:\(network)::\(last)"].map {
                    try Socket.datagrams(to: Endpoint($0, 9), in: host)
                }
            }
        let devices = ["lan0", "wan0", "mac0", "br0", "side0", "side1", "vx0"]
        frames = backend == "netdev" ? try FrameSender(devices, in: host) : nil
        for ipv6 in [false, true] {
            for (device, network) in [("mac0", 3), ("br0", 4), ("mgmt0", 6)] {
                try ping(device, network, ipv6, from: client)
            }
            try ping("vx0", 5, ipv6, from: server)
        }
        replies = streams.map(\.stream.gaps.count)
    }

    /// The daemon's flags for the drop.
    var flags: [String] {
        [
            "--l2drop", "1", "--l2drop-backend", backend, "--l2drop-exempt", "mgmt0",
            "--l2drop-exempt", "mgmt1",
        ]
    }

    /// Captures with frames of the slave's since `forget`, and how many.
    var seen: [String: Int] {
        look()
        return counts.filter { $0.value > 0 }
    }

    /// Those without.
    var unseen: [String] {
        let names = seen.keys
        return captures.map(\.device).filter { !names.contains($0) }
    }

    /// Its devices of which every address has answered pings since `forget`.
    var answering: Set<String> { Set(streams.map(\.device)).subtracting(silent) }

    /// Its devices with an address that has not.
    var silent: Set<String> {
        Set(zip(streams, replies).filter { $0.stream.gaps.count <= $1 }.map(\.0.device))
    }

    /// Begins to count anew.
    func forget() {
        look()
        counts = [:]
        replies = streams.map(\.stream.gaps.count)
    }

    func stop() {
        for (_, stream) in streams { stream.stop() }
    }

    /// Gives the slave a second management port while it is dark.
    func plugLateManagement() throws {
        try firewall.host.ip(
            """
            link add mgmt1 type veth peer name m1\(number) netns \(cluster.client.name)
            link set mgmt1 up
            """)
        try Self.address(firewall.host, ["mgmt1": 7], number, last: 1)
        try Self.address(cluster.client, ["m1\(number)": 7], number, last: 2)
        for ipv6 in [false, true] { try ping("mgmt1", 7, ipv6, from: cluster.client) }
    }

    /// The neighbours ping, ARP and solicit; the slaves' programs send.
    static func talk(_ slaves: [WatchedSlave], in cluster: Cluster, seconds: Double) throws {
        let gateways = try [(cluster.client, 1), (cluster.server, 2)].flatMap { host, network in
            try ["10.\(network).0.1", "fd00:\(network)::1"].map {
                try Socket.datagrams(to: Endpoint($0, 9), in: host)
            }
        }
        let end = Stopwatch.seconds() + seconds
        repeat {
            for host in [cluster.client, cluster.server] + slaves.map(\.firewall.host) {
                try host.ip("neigh flush all")
            }
            for socket in gateways + slaves.flatMap(\.services) { _ = try? socket.send([1, 2, 3]) }
            for slave in slaves { slave.frames?.send() }
            pause(0.1)
            for slave in slaves { slave.look() }
        } while Stopwatch.seconds() < end
    }

    private func look() {
        // The address of lan0 and wan0 on all nodes begins so; the macvlan has one of its own.
        let common: [UInt8] = [0x02, 0xC7]
        for (device, frames) in captures {
            counts[device, default: 0] +=
                device == "macvlan"
                ? frames.take { Array($0[6..<8]) != common } : frames.take()
        }
    }

    private func ping(
        _ device: String, _ network: Int, _ ipv6: Bool, from host: Namespace
    ) throws {
        let net = network * 10 + number
        streams.append(
            (
                device,
                try DatagramStream.icmpEcho(
                    from: host, to: host, address: ipv6 ? "fd00:\(net)::1" : "10.\(net).0.1",
                    intervalMilliseconds: 50)
            ))
        replies.append(0)
    }

    /// Gives devices addresses in networks 10.XN.0.0/24 and fd00:XN::/64, and takes them up.
    private static func address(
        _ host: Namespace, _ networks: KeyValuePairs<String, Int>, _ number: Int, last: Int
    ) throws {
        let lines = networks.flatMap { device, network in
            [
                "link set \(device) up",
                "addr add 10.\(network)\(number).0.\(last)/24 dev \(device)",
                "addr add fd00:\(network)\(number)::\(last)/64 dev \(device) nodad",
            ]
        }
        try host.ip(lines.joined(separator: "\n"))
    }
}
