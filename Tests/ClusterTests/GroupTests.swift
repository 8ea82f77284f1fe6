// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// Two groups on two nodes, each node master of one of them: two daemons a node.
    @Suite struct GroupTests {
        /// One group moves, by an order and by a crash; the other does not notice.
        @Test(arguments: Distinction.allCases, Replication.allCases)
        func oneGroupMoves(_ distinction: Distinction, _ replication: Replication) throws {
            try scenario(replication: replication, starts: false) { cluster in
                let pair = try GroupPair(cluster, distinction)
                defer { pair.stop() }
                if replication == .on { try pair.startDaemons() }
                let east = try pair.traffic(.east)
                let west = try pair.traffic(.west)
                defer { for traffic in [east, west] { traffic.server.stop() } }
                if replication == .on { try pair.expectWholeTables() }

                // By an order: the old master becomes a slave, reads its kernel's table, is sent
                // the new master's and removes what is not in it.
                let before = try pair.ids(.west)
                if replication == .on { try pair.promote(.east, on: 1) }
                try pair.moveAddresses(.east, from: 0, to: 1)
                try west.connection.exchange()
                try onlyByReplication { try east.connection.exchange(within: replication.patience) }
                try pair.waitInSync(.east)
                try pair.expectWholeTables()
                #expect(try pair.ids(.west) == before, "entries of west have been made anew")

                // Back by a crash; the killed daemon finds the tables as they are when it starts.
                pair.daemon(.east, 1).kill()
                try pair.promote(.east, on: 0)
                try pair.moveAddresses(.east, from: 1, to: 0)
                try east.connection.exchange()
                try west.connection.exchange()
                try pair.daemon(.east, 1).start(
                    words: pair.flags(.east, 1, .slave), role: .slave)
                try pair.waitInSync(.east)
                try pair.expectWholeTables()
                #expect(try pair.ids(.west) == before, "entries of west have been made anew")

                // A slave forgets its group's entries and no others.
                let flush = try pair.daemon(.east, 1).command(["flush"])
                #expect(flush.status == 0, "\(flush.errors)")
                try pair.expectWholeTables()
                #expect(try pair.ids(.west) == before, "entries of west have been made anew")
                try east.connection.exchange()
                try west.connection.exchange()
            }
        }
    }
}

/// What tells the groups apart.
enum Distinction: CaseIterable, Sendable {
    case network
    case mark
}

private enum Group: Int, CaseIterable {
    case east = 1
    case west = 2

    var name: String { self == .east ? "east" : "west" }
    var port: Int { 3780 + rawValue }
    /// The node that is master of it at first.
    var home: Int { rawValue - 1 }
    /// Its client's address, its server's, and those of the firewall that is its master.
    var client: String { "10.1.0.\(rawValue + 1)" }
    var server: String { "10.2.0.\(rawValue + 1)" }
    var inside: String { "10.1.0.10\(rawValue)" }
    var outside: String { "10.2.0.10\(rawValue)" }
}

/// Two nodes with addresses of their own and, for each group, a pair of addresses that moves: client
/// and server have two addresses each, one for each group.
private final class GroupPair {
    private let cluster: Cluster
    private let distinction: Distinction
    private let daemons: [Group: [Firewall]]

    init(_ cluster: Cluster, _ distinction: Distinction) throws {
        self.cluster = cluster
        self.distinction = distinction
        daemons = Dictionary(
            uniqueKeysWithValues: Group.allCases.map { group in
                (group, cluster.firewalls.map { Firewall($0, group: group.name) })
            })
        try KeepalivedPair.giveOwnAddresses(cluster)
        for node in cluster.firewalls {
            try node.host.nft(
                """
                table inet marks {
                    chain prerouting {
                        type filter hook prerouting priority -140;
                        ip daddr 10.2.0.2 ct mark set 0x1
                        ip daddr 10.2.0.3 ct mark set 0x2
                    }
                }
                """)
        }
        try cluster.client.ip("addr add 10.1.0.3/24 dev eth0")
        try cluster.server.ip("addr add 10.2.0.3/24 dev eth0")
        for group in Group.allCases {
            try addAddresses(group, to: group.home)
            try cluster.client.ip(
                "route add \(group.server) via \(group.inside) src \(group.client)")
            try cluster.server.ip(
                "route add \(group.client) via \(group.outside) src \(group.server)")
        }
    }

    func daemon(_ group: Group, _ node: Int) -> Firewall { (daemons[group] ?? [])[node] }

    func flags(_ group: Group, _ node: Int, _ role: NodeRole) -> [String] {
        let rules =
            distinction == .mark
            ? ["accept mark \(group.rawValue)/0xff"]
            : ["accept destination \(group.server)/32", "accept source \(group.server)/32"]
        return daemon(group, node).flags(role: role) + ["--port", "\(group.port)"]
            + rules.flatMap { ["--replicate", $0] }
    }

    func startDaemons() throws {
        for group in Group.allCases {
            for node in 0...1 {
                let role = node == group.home ? NodeRole.master : .slave
                try daemon(group, node).start(words: flags(group, node, role), role: role)
            }
            try waitInSync(group)
        }
    }

    /// The daemons share the nodes; the nodes are the cluster's to close.
    func stop() {
        for group in Group.allCases { for node in 0...1 { daemon(group, node).kill() } }
    }

    struct Traffic {
        let server: EchoServer
        let connection: EchoConnection
    }

    /// A real connection, and in the master's table further ones that nobody uses.
    func traffic(_ group: Group) throws -> Traffic {
        let service = Endpoint(group.server, Plan.serverPort)
        let server = try EchoServer(on: service, in: cluster.server)
        let connection = try EchoConnection(from: cluster.client, to: service)
        try connection.exchange()
        for number in 1...20 {
            try cluster.firewalls[group.home].host.run(
                words("conntrack -I -p tcp -s \(group.client) -d \(group.server)")
                    + words("--sport \(number) --dport 443 --state ESTABLISHED")
                    + words("-u SEEN_REPLY,ASSURED -t 3600 --mark \(group.rawValue)"))
        }
        return Traffic(server: server, connection: connection)
    }

    func promote(_ group: Group, on node: Int) throws {
        try daemon(group, node).write("1\n")
        try daemon(group, node).waitForRole(.master)
    }

    func waitInSync(_ group: Group) throws {
        let pair = (0...1).map { daemon(group, $0) }
        try eventually(
            "\(group.name) in sync", detail: { pair.map(\.statusLine).joined(separator: "\n") }
        ) {
            let states = try pair.compactMap { try $0.status() }
            return states.count == 2 && states.filter { $0.role == .master }.count == 1
                && states.allSatisfy { $0.isInSync && $0.epoch == states[0].epoch }
        }
    }

    /// Both nodes have all connections of both groups, and nothing else.
    func expectWholeTables() throws {
        let nodes = cluster.firewalls
        try eventually(
            "42 connections on both",
            detail: {
                nodes.map { "\((try? $0.table()) ?? [])" }.joined(separator: "\n")
            }
        ) {
            let tables = try nodes.map { try $0.table(ipv6: false) }
            return tables[0].count == 42 && TableDifference(tables[0], tables[1]).isEmpty
        }
    }

    /// The kernels' ids of a group's entries on both nodes: another one tells of an entry that was
    /// deleted and made anew.
    func ids(_ group: Group) throws -> [[String]] {
        try cluster.firewalls.map { node in
            try node.host.run(["conntrack", "-L", "-d", group.server, "-o", "id"])
                .split(separator: "\n").compactMap { line in
                    line.split(separator: " ").last { $0.hasPrefix("id=") }.map { String($0) }
                }.sorted()
        }
    }

    /// What a cluster manager does: the group's addresses go over, and neighbours are told.
    func moveAddresses(_ group: Group, from old: Int, to new: Int) throws {
        try cluster.firewalls[old].host.ip(
            """
            addr del \(group.inside)/24 dev lan0
            addr del \(group.outside)/24 dev wan0
            """)
        try addAddresses(group, to: new)
        for host in [cluster.client, cluster.server] { try host.ip("neigh flush dev eth0") }
    }

    private func addAddresses(_ group: Group, to node: Int) throws {
        try cluster.firewalls[node].host.ip(
            """
            addr add \(group.inside)/24 dev lan0
            addr add \(group.outside)/24 dev wan0
            """)
    }
}
