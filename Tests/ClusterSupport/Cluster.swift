// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

// A client, a server and two or more firewalls between them, each a network namespace; the
// segments that join them are bridges in a namespace of their own, the switch.
//
//        client                       lan 10.1.0.0/24, fd00:1::/64
//        .2   eth0 ──────────┬──────────────┬─────── ·
//                            │              ·              lan-fw1, lan-fw2: ports of the switch;
//                      lan0 .1        lan0 .1              those of a standby are unplugged
//                         ┌─────┐        ┌─────┐
//                         │ fw1 │        │ fw2 │  (fw3)
//                         └─────┘        └─────┘
//                      wan0 .1  │     wan0 .1  │
//                            │  └──sync0──·──┘ │ sync     172.31.255.N/24, fd00:ff::N/64
//                            │              ·
//        .2   eth0 ──────────┴──────────────┴─────── ·
//        server                       wan 10.2.0.0/24, fd00:2::/64
//
// All firewalls have the same addresses and the same link-layer address on lan0 and wan0, as the
// nodes of a ct_sync cluster always had: what keeps a standby silent is its unplugged port, the
// part that layer-2 dropping plays on real nodes. A takeover plugs the new one's ports; neighbours
// keep their entries. The bridges of lan and wan are hubs (ageing time 0): nothing has to be
// learned again. The rules are strict: a connection that a firewall does not know never passes.

/// What the firewalls do with addresses.
package enum AddressTranslation: Sendable {
    case none
    case masquerade
    case masqueradeFullyRandom
    /// Port 8080 of the firewalls' lan address leads to port 7000 of the server.
    case destination
}

/// The addresses of the picture.
package enum Plan {
    package static func client(ipv6: Bool) -> String { ipv6 ? "fd00:1::2" : "10.1.0.2" }
    package static func server(ipv6: Bool) -> String { ipv6 ? "fd00:2::2" : "10.2.0.2" }
    package static func lanGateway(ipv6: Bool) -> String { ipv6 ? "fd00:1::1" : "10.1.0.1" }
    package static func sync(_ id: Int, ipv6: Bool = false) -> String {
        ipv6 ? "fd00:ff::\(id)" : "172.31.255.\(id)"
    }
    package static let serverPort: UInt16 = 7000
    package static let translatedPort: UInt16 = 8080

    /// Where the server listens.
    package static func service(ipv6: Bool) -> Endpoint {
        Endpoint(server(ipv6: ipv6), serverPort)
    }

    /// What a client connects to.
    package static func target(ipv6: Bool, _ translation: AddressTranslation) -> Endpoint {
        translation == .destination
            ? Endpoint(lanGateway(ipv6: ipv6), translatedPort) : service(ipv6: ipv6)
    }
}

/// The network of the picture.
package final class Cluster: Sendable {
    package let client: Namespace
    package let server: Namespace
    package let firewalls: [Firewall]
    /// For control files and logs.
    package let directory: String
    let wiring: Namespace

    /// A tmpfs, as /run is on a firewall: a write to a disk that is busy may take half a minute.
    private static let memory =
        access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : NSTemporaryDirectory()

    /// Builds it; the first firewall is plugged in.
    ///
    /// - Parameters:
    ///   - count: firewalls, two or three.
    ///   - translation: what their rules do with addresses.
    ///   - settings: further sysctls of every firewall.
    package init(
        firewalls count: Int = 2, translation: AddressTranslation = .none,
        settings: KeyValuePairs<String, Int> = [:]
    ) throws {
        let run = Namespace.nextRun()
        directory = Self.memory + run
        wiring = try Namespace(run: run, role: "sw")
        client = try Namespace(run: run, role: "client")
        server = try Namespace(run: run, role: "server")
        let directory = directory
        firewalls = try (1...count).map { id in
            try Firewall(id: id, run: run, directory: directory)
        }
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
            try wire()
            for firewall in firewalls { try firewall.configure(translation, settings) }
            try plug(firewalls[0])
        } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    /// Kills the daemons and removes the namespaces and the directory.
    package func close() {
        for firewall in firewalls { firewall.close() }
        for host in [client, server, wiring] { host.close() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func wire() throws {
        try wiring.set([
            "net.bridge.bridge-nf-call-iptables": 0, "net.bridge.bridge-nf-call-ip6tables": 0,
            "net.ipv6.conf.default.disable_ipv6": 1,
        ])
        for host in [client, server] + firewalls.map(\.host) {
            try host.set([
                "net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0,
                "net.ipv6.conf.default.accept_ra": 0,
                "net.ipv6.conf.all.keep_addr_on_down": 1,
            ])
        }
        var lines = [
            "link add lan type bridge ageing_time 0 forward_delay 0",
            "link add wan type bridge ageing_time 0 forward_delay 0",
            "link add sync type bridge forward_delay 0",
            "link add lan-client type veth peer name eth0 netns \(client.name)",
            "link add wan-server type veth peer name eth0 netns \(server.name)",
        ]
        for firewall in firewalls {
            for (number, segment) in ["lan", "wan", "sync"].enumerated() {
                let node = segment == "sync" ? firewall.id : 0
                lines.append(
                    "link add \(segment)-\(firewall.name) type veth peer name \(segment)0 "
                        + "address 02:c7:00:00:0\(number):0\(node) netns \(firewall.host.name)")
            }
        }
        try wiring.ip(lines.joined(separator: "\n"))
        try address(client, number: 1)
        try address(server, number: 2)
        for firewall in firewalls { try firewall.address() }
        let ports =
            ["lan-client", "wan-server"]
            + firewalls.flatMap { ["lan-\($0.name)", "wan-\($0.name)", "sync-\($0.name)"] }
        lines = (["lan", "wan", "sync"] + ports).map { "link set \($0) up" }
        lines += ["link set lan-client master lan", "link set wan-server master wan"]
        lines += firewalls.map { "link set sync-\($0.name) master sync" }
        try wiring.ip(lines.joined(separator: "\n"))
    }

    private func address(_ host: Namespace, number: Int) throws {
        try host.ip(
            """
            link set eth0 up
            addr add 10.\(number).0.2/24 dev eth0
            addr add fd00:\(number)::2/64 dev eth0 nodad
            route add default via 10.\(number).0.1
            route add default via fd00:\(number)::1
            """)
    }

    /// Makes the hubs switches, which send a frame where they last saw its receiver's address.
    package func learnAddresses() throws {
        try wiring.ip(
            """
            link set lan type bridge ageing_time 30000
            link set wan type bridge ageing_time 30000
            """)
    }

    /// Joins a firewall's outside ports to the segments.
    package func plug(_ firewall: Firewall) throws {
        try wiring.ip(
            """
            link set lan-\(firewall.name) master lan
            link set wan-\(firewall.name) master wan
            """)
    }

    /// Takes a firewall's outside ports off the segments.
    package func unplug(_ firewall: Firewall) throws {
        try wiring.ip(
            """
            link set lan-\(firewall.name) nomaster
            link set wan-\(firewall.name) nomaster
            """)
    }

    /// Counts what a firewall sends into a segment, lan, wan or sync, seen from the switch.
    package func frames(of firewall: Firewall, into segment: String) throws -> FrameCount {
        try FrameCount("\(segment)-\(firewall.name)", in: wiring)
    }

    /// Cuts a firewall off the sync segment without taking its device down.
    package func cutSync(_ firewall: Firewall) throws {
        try wiring.ip("link set sync-\(firewall.name) nomaster")
    }

    /// Loses a share of what a firewall sends on the sync segment, for all others in common.
    package func loseSent(by firewall: Firewall, percent: Int) throws {
        try wiring.nft(
            """
            table netdev common {
                counter lost { }
                chain sent {
                    type filter hook ingress device "sync-\(firewall.name)" priority 0;
                    numgen random mod 100 < \(percent) counter name lost drop
                }
            }
            """)
    }

    /// Ends that.
    ///
    /// - Returns: how many packets were lost.
    package func endLosing() throws -> Int {
        let text = try wiring.run(["nft", "list", "counter", "netdev", "common", "lost"])
        try wiring.nft("delete table netdev common")
        let words = text.split(whereSeparator: \.isWhitespace)
        guard let place = words.firstIndex(of: "packets") else { return 0 }
        return Int(words[words.index(after: place)]) ?? 0
    }

    /// Removes a firewall's device on the sync segment, and after some seconds makes it anew.
    ///
    /// - Parameter meanwhile: what is done while there is none.
    package func remakeSyncDevice(
        of firewall: Firewall, after seconds: Double = 2, _ meanwhile: () throws -> Void = {}
    ) throws {
        try firewall.host.ip("link del sync0")
        try meanwhile()
        pause(seconds)
        try makeDevice("sync0", of: firewall, address: "02:c7:00:00:02", at: "sync")
        try firewall.addressSync()
    }

    /// Makes a device of a firewall, at a port `BRIDGE-FIREWALL` of a bridge.
    ///
    /// - Parameter address: the first five bytes; the last is the firewall's id.
    private func makeDevice(
        _ device: String, of firewall: Firewall, address: String, at bridge: String
    ) throws {
        let port = "\(bridge)-\(firewall.name)"
        try wiring.ip(
            """
            link add \(port) type veth peer name \(device) address \(address):0\(firewall.id) \
            netns \(firewall.host.name)
            link set \(port) up
            link set \(port) master \(bridge)
            """)
    }

    /// Joins the firewalls by a second sync segment, the bridge `sync2` with ports `sync2-fw1`, ...: at
    /// each the device sync1, with IPv6 alone and an MTU of 1,400.
    package func addSyncLink() throws {
        try wiring.ip("link add sync2 type bridge forward_delay 0\nlink set sync2 up")
        for firewall in firewalls { try addSyncLink(of: firewall) }
    }

    /// The same for one that has lost its device.
    package func addSyncLink(of firewall: Firewall) throws {
        try makeDevice("sync1", of: firewall, address: "02:c7:00:00:03", at: "sync2")
        try firewall.host.ip("link set sync1 mtu 1400\nlink set sync1 up")
    }

    /// Changes the switch of the sync segment: the bridge `sync` with its ports `sync-fw1`, ...
    ///
    /// - Parameter lines: of ip(8), without the leading `ip`.
    package func changeSyncSwitch(_ lines: String) throws {
        try wiring.ip(lines)
    }

    /// Joins it again.
    package func restoreSync(_ firewall: Firewall) throws {
        try wiring.ip("link set sync-\(firewall.name) master sync")
    }

    /// Starts the daemons, the first as master, and waits until every standby is in sync.
    package func startDaemons(_ extra: [String] = []) throws {
        for firewall in firewalls {
            try firewall.start(role: firewall.id == 1 ? .master : .slave, extra)
        }
        try waitInSync()
    }

    /// Waits until one firewall is master and all others that run are in sync with its epoch.
    package func waitInSync(within seconds: Double = 15) throws {
        let running = firewalls.filter { $0.daemon != nil }
        try eventually(
            "one master, the others in sync", within: seconds, every: 0.02,
            detail: { running.map { "\($0.name): \($0.statusLine)" }.joined(separator: "\n") }
        ) {
            for firewall in running { try firewall.checkDaemon() }
            let states = running.compactMap { try? $0.status() }
            let masters = states.filter { $0.role == .master }
            guard states.count == running.count, masters.count == 1 else { return false }
            return states.allSatisfy {
                $0.role == .master || ($0.isInSync && $0.epoch == masters[0].epoch)
            }
        }
    }

    /// The node dies: daemon killed with -9, all links down.
    package func crash(_ firewall: Firewall) throws {
        firewall.kill()
        try firewall.linksDown()
        try unplug(firewall)
    }

    /// The cluster manager makes a firewall the master and lets traffic reach it.
    package func promote(_ firewall: Firewall) throws {
        if firewall.daemon != nil {
            try firewall.write("1\n")
            try firewall.waitForRole(.master)
        }
        try plug(firewall)
    }

    /// The cluster manager makes the master a standby; its traffic ends first.
    package func demote(_ firewall: Firewall) throws {
        try unplug(firewall)
        if firewall.daemon != nil {
            try firewall.write("0\n")
            try firewall.waitForRole(.slave)
        }
    }

    /// What the daemons logged and what the tables hold, for a person who looks at a failure.
    package var logs: String {
        firewalls.map { firewall in
            let entries = (try? firewall.table()) ?? []
            let open = entries.filter { $0.tcp?.state == 3 }  // TCP_CONNTRACK_ESTABLISHED
            let lines = (entries.prefix(8) + open.prefix(40))
                .map { "\n\($0) timeout \($0.timeoutSeconds)" }.joined()
            let invalid = (try? firewall.invalidPackets()) ?? -1
            return "--- \(firewall.name): \(entries.count) entries, "
                + "\(invalid) packets dropped as invalid\(lines)\n\(firewall.log)"
        }.joined(separator: "\n")
    }
}
