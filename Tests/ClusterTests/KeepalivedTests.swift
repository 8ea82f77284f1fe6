// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// A pair of firewalls under a real keepalived, with the configuration and the scripts of conf/.
    @Suite struct KeepalivedTests {
        @Test(
            .enabled(if: Keepalived.isInstalled, "keepalived is not installed"),
            arguments: Replication.allCases)
        func connectionsFollowTheAddresses(_ replication: Replication) throws {
            try scenario(replication: replication, starts: false) { cluster in
                let pair = try KeepalivedPair(cluster, isTracking: replication == .on)
                defer { pair.stop() }
                let nodes = cluster.firewalls
                if replication == .on { for node in nodes { try node.start(role: .slave) } }
                try pair.start(0)
                try pair.waitForParent(0, replication)
                try pair.start(1)
                if replication == .on { try cluster.waitInSync() }

                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(
                    from: cluster.client, to: Plan.service(ipv6: false))
                let survives = { (what: Comment, master: Int) throws in
                    try pair.waitForParent(master, replication)
                    try onlyByReplication {
                        try connection.exchange(within: replication.patience)
                        try connection.exchange(within: replication.patience)
                    }
                    print("keepalived: \(what)")
                }
                try connection.exchange()

                try pair.kill(0)
                try survives("the master's keepalived is killed", 1)
                try pair.start(0)
                pause(4)
                try survives("it is back, and the other one stays master", 1)

                try nodes[1].host.ip("link set lan0 down")
                try survives("the master's link is down", 0)
                try nodes[1].host.ip("link set lan0 up")
                pause(4)
                try survives("it is up again, and the other one stays master", 0)

                try nodes[0].stop()
                try survives("the master's ct_sync is stopped", 1)
                try nodes[0].start(role: .slave)
                try cluster.waitInSync()
                try expectEqualTables(nodes)
            }
        }

        /// The segments are cut without a link going down: both keepalived are masters then, and
        /// only the sync link joins the nodes. Of the two the one promoted later is master, until
        /// keepalived decides; meanwhile each node sees some of a connection's packets.
        @Test(.enabled(if: Keepalived.isInstalled, "keepalived is not installed"))
        func rolesAndConnectionsOutliveASplit() throws {
            try withCluster { cluster in
                let pair = try KeepalivedPair(cluster, isTracking: true)
                defer { pair.stop() }
                let nodes = cluster.firewalls
                for node in nodes { try node.start(role: .slave) }
                try pair.start(0)
                try pair.waitForParent(0, .on)
                try pair.start(1)
                pause(2)
                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(
                    from: cluster.client, to: Plan.service(ipv6: false))
                try connection.exchange()

                try cluster.unplug(nodes[0])
                try pair.waitForParent(1, .on)
                #expect(try nodes[0].read() == "slave")
                try connection.exchange()
                try cluster.plug(nodes[0])
                // keepalived takes the higher address, which is master already.
                for _ in 0..<8 {
                    try connection.exchange()
                    pause(0.25)
                }
                try pair.waitForParent(1, .on)
                try connection.exchange()

                // The same again, but now keepalived takes the node that gave way.
                try cluster.unplug(nodes[1])
                try pair.waitForParent(0, .on)
                #expect(try nodes[1].read() == "slave")
                try connection.exchange()
                try cluster.plug(nodes[1])
                for _ in 0..<8 {
                    try connection.exchange()
                    pause(0.25)
                }
                try pair.waitForParent(1, .on)
                try connection.exchange()
                try cluster.waitInSync()
                try connection.exchange()
            }
        }

        /// Both nodes have the same addresses on the same segments, with switches that learn; what
        /// keepalived moves is the role alone, over the sync link. Without replication a node comes
        /// into the network by its cables, and the connection ends.
        @Test(
            .enabled(if: Keepalived.isInstalled, "keepalived is not installed"),
            arguments: Replication.allCases)
        func connectionsFollowTheRoleOfDarkNodes(_ replication: Replication) throws {
            try scenario(replication: replication, starts: false) { cluster in
                let pair = try KeepalivedPair(cluster, isTracking: replication == .on, isDark: true)
                defer { pair.stop() }
                let nodes = cluster.firewalls
                if replication == .on {
                    for node in nodes { try node.start(role: .slave, ["--l2drop", "1"]) }
                    try cluster.learnAddresses()
                    try cluster.plug(nodes[1])
                }
                try pair.start(0)
                try pair.waitForParent(0, replication)
                try pair.start(1)
                if replication == .on { try cluster.waitInSync() }

                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(
                    from: cluster.client, to: Plan.service(ipv6: false))
                try connection.exchange()
                let survives = { (master: Int) throws in
                    try pair.waitForParent(master, replication)
                    if replication == .off {
                        try cluster.unplug(nodes[1 - master])
                        try cluster.plug(nodes[master])
                    }
                    try onlyByReplication {
                        try connection.exchange(within: replication.patience)
                        try connection.exchange(within: replication.patience)
                    }
                }

                // The master's keepalived is killed; it comes back, and the other stays master.
                try pair.kill(0)
                try survives(1)
                try pair.start(0)
                pause(4)
                try survives(1)

                // The master's link is down, and up again.
                try nodes[1].host.ip("link set lan0 down")
                try survives(0)
                try nodes[1].host.ip("link set lan0 up")
                pause(4)
                try survives(0)

                // The master's ct_sync is stopped, and started again.
                try nodes[0].stop()
                try survives(1)
                try nodes[0].start(role: .slave, ["--l2drop", "1"])
                try cluster.waitInSync()
                try expectEqualTables(nodes)
            }
        }

        private func expectEqualTables(_ nodes: [Firewall]) throws {
            let tables = try nodes.map { node in
                try node.host.run(["conntrack", "-L", "-p", "tcp", "-o", "id"])
                    .split(separator: "\n").map { $0.split(separator: " ")[3...8].sorted() }
            }
            #expect(tables[0].count == 1)
            #expect(tables[0] == tables[1])
        }
    }
}
