// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// Who is not on the sync link's wire has no say, without a key already.
    @Suite struct LinkSafetyTests {
        /// The way from the LAN to the sync link.
        enum Way: CaseIterable, Sendable {
            /// The master forwards.
            case master
            /// The master forwards and gives the packets its own address.
            case masquerade
            /// Another router does that has no rules of ours.
            case router
        }

        /// A host in the LAN forges claims and empty tables, with every kind of address and every
        /// hop limit that a router forwards: nothing changes on any node.
        @Test(arguments: Way.allCases)
        func aHostInTheLANChangesNothing(_ way: Way) throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = Array(cluster.firewalls.prefix(2))
                try Self.open(cluster, way)
                try nodes[0].start(role: .master)
                try nodes[1].start(role: .slave)
                try cluster.waitInSync()
                try MadeEntries.create(0..<50, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 50)
                let before = try #require(try nodes[0].status())
                let forged = ForgedPackets(against: before.epoch, nodeID: 1)

                for ipv6 in [false, true] {
                    let socket = try ForgingSocket(in: cluster.client, ipv6: ipv6, device: "eth0")
                    for address in Self.targets(ipv6: ipv6) {
                        for hopLimit in 2...255 as ClosedRange<CInt> {
                            try socket.send(forged.all, to: address, hopLimit: hopLimit)
                        }
                    }
                }
                // What was sent before has arrived when this has.
                try MadeEntries.create(50..<60, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 60)
                try Self.expectUnchanged(nodes, since: before)

                // The packets are not harmless: on the wire itself they do what they were made for.
                let wire = try ForgingSocket(
                    in: cluster.firewalls[2].host, ipv6: false, device: "sync0")
                try wire.send([forged.announcement], to: Plan.sync(1), hopLimit: 255)
                try eventually("the master gives way") { try nodes[0].status()?.role == .slave }
            }
        }

        /// With peers a further host on the wire itself is not heard.
        @Test(arguments: [false, true])
        func whoIsNoPeerChangesNothing(_ ipv6: Bool) throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = Array(cluster.firewalls.prefix(2))
                for node in nodes {
                    try node.start(
                        role: node.id == 1 ? .master : .slave,
                        ["--peer", Plan.sync(3 - node.id, ipv6: ipv6)])
                }
                try cluster.waitInSync()
                try MadeEntries.create(0..<50, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 50)
                let before = try #require(try nodes[0].status())
                let forged = ForgedPackets(against: before.epoch, nodeID: 1)
                for family in [false, true] {
                    let socket = try ForgingSocket(
                        in: cluster.firewalls[2].host, ipv6: family, device: "sync0")
                    for id in [1, 2] {
                        try socket.send(
                            forged.all, to: Plan.sync(id, ipv6: family), hopLimit: 255)
                    }
                }
                try MadeEntries.create(50..<60, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 60)
                try Self.expectUnchanged(nodes, since: before)
            }
        }

        /// A firewall that is loaded anew flushes all rules.
        @Test func rulesThatAreFlushedAreBackAtOnce() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .master)
                let table = try #require(
                    try node.nftTables().first { $0.contains("inet ct_sync_") })
                let words = ["nft", "-s", "list"] + table.split(separator: " ").map(String.init)
                let before = try node.host.run(words)
                #expect(before.contains("hook forward"))
                for change in ["flush ruleset", "flush \(table)", "delete \(table)"] {
                    try node.host.nft(change)
                    try eventually("the rules after \(change)", within: 1) {
                        try Command.result(of: node.host.words(words)).output == before
                    }
                }
            }
        }

        /// Lets the LAN's packets through to the sync link, as a careless ruleset would.
        private static func open(_ cluster: Cluster, _ way: Way) throws {
            let gateway = cluster.firewalls[way == .router ? 2 : 0]
            try gateway.host.set([
                "net.ipv4.conf.all.bc_forwarding": 1, "net.ipv4.conf.lan0.bc_forwarding": 1,
                "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.lan0.rp_filter": 0,
            ])
            if way == .masquerade {
                try gateway.host.nft(
                    """
                    table inet careless {
                        chain postrouting {
                            type nat hook postrouting priority 90;
                            oifname sync0 masquerade
                        }
                    }
                    """)
            }
            // Both nodes and the router are in the LAN, with addresses of their own.
            for node in cluster.firewalls where node.id != 1 {
                try node.host.ip(
                    """
                    link set lan0 address 02:c7:00:01:00:0\(node.id)
                    addr flush dev lan0
                    addr add 10.1.0.\(node.id + 10)/24 dev lan0
                    addr add fd00:1::\(node.id + 10)/64 dev lan0 nodad
                    """)
                try cluster.plug(node)
            }
            guard way == .router else { return }
            try cluster.client.ip(
                """
                route replace default via 10.1.0.13
                route replace default via fd00:1::13
                """)
        }

        /// Each node's sync and LAN address, the broadcast addresses, the groups.
        private static func targets(ipv6: Bool) -> [String] {
            let nodes = [1, 2].map { Plan.sync($0, ipv6: ipv6) }
            return ipv6
                ? nodes + ["fd00:1::1", "fd00:1::12", "ff02::114", "ff05::114"]
                : nodes + [
                    "10.1.0.1", "10.1.0.12", "172.31.255.255", "10.1.0.255", "255.255.255.255",
                    "224.0.0.254", "239.255.0.1",
                ]
        }

        private static func expectUnchanged(
            _ nodes: [Firewall], since before: DaemonStatus
        ) throws {
            let after = try nodes.map { try #require(try $0.status()) }
            #expect(after[0].role == .master && after[1].role == .slave)
            #expect(after.allSatisfy { $0.epoch == before.epoch && $0.isInSync })
            #expect(try nodes.allSatisfy { try $0.table().count >= 60 })
        }
    }
}
