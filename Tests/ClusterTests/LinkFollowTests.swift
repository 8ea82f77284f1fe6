// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// Whatever becomes of the sync device, the daemon follows it.
    @Suite struct LinkFollowTests {
        /// More often than a socket may have memberships (net.ipv4.igmp_max_memberships, 20).
        @Test(arguments: [0, 1])
        func aDeviceIsMadeAnewManyTimes(_ number: Int) throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let node = cluster.firewalls[number]
                for _ in 0..<25 {
                    try cluster.remakeSyncDevice(of: node, after: 0)
                    try waitForMembership(of: node)
                }
                try expectReplication(cluster)
            }
        }

        /// The device of the name is the sync device; until there is another one of that name it
        /// stays so under any name.
        @Test(arguments: [0, 1])
        func aDeviceIsRenamed(_ number: Int) throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let node = cluster.firewalls[number]
                let epoch = try node.status()?.epoch
                try node.host.ip("link set sync0 down\nlink set sync0 name other0")
                try node.host.ip("link set other0 up")
                try eventually("a word about it") {
                    node.log.contains("sync0 was renamed to other0")
                }
                try restoreAddresses(of: node, on: "other0")
                try expectReplication(cluster)
                #expect(try node.nftTables().filter { $0.contains("inet ct_sync_") }.count == 1)
                try node.host.ip("link set other0 down\nlink set other0 name sync0")
                try node.host.ip("link set sync0 up")
                try restoreAddresses(of: node, on: "sync0")
                try expectReplication(cluster, from: 10)
                #expect(try node.status()?.epoch == epoch)
            }
        }

        /// Moved to another network namespace and back it has its old number, and none of its
        /// memberships.
        @Test(arguments: [0, 1])
        func aDeviceIsMovedAwayAndBack(_ number: Int) throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let node = cluster.firewalls[number]
                let before = try index(of: "sync0", in: node.host)
                try node.host.ip("link set sync0 netns \(cluster.server.name)")
                try cluster.server.ip("link set sync0 netns \(node.host.name)")
                #expect(try index(of: "sync0", in: node.host) == before)
                try node.addressSync()
                try waitForMembership(of: node)
                try expectReplication(cluster)
            }
        }

        /// New addresses, then none of IPv4, then none of IPv6.
        @Test(arguments: [0, 1])
        func addressesChange(_ number: Int) throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let node = cluster.firewalls[number]
                try node.host.ip(
                    """
                    addr del \(Plan.sync(node.id))/24 dev sync0
                    addr add 172.31.255.\(node.id + 100)/24 dev sync0
                    """)
                try expectReplication(cluster)
                try node.host.ip("addr flush dev sync0 to 0.0.0.0/0")
                try expectReplication(cluster, from: 10)
                try node.host.ip("addr add \(Plan.sync(node.id))/24 dev sync0")
                try node.host.ip("addr flush dev sync0 to ::/0")
                try expectReplication(cluster, from: 20)
            }
        }

        /// When the device carries less than at the start, packets are smaller, and none is cut to
        /// pieces on its way.
        @Test func theMTUBecomesLess() throws {
            try withCluster { cluster in
                try setMTU(9_000, cluster)
                try cluster.startDaemons()
                try MadeEntries.create(0..<3_000, in: cluster.firewalls[0].host)
                try cluster.firewalls[1].waitForEqualTable(
                    to: cluster.firewalls[0], atLeast: 3_000)
                try setMTU(1_400, cluster)
                try eventually("the new MTU") {
                    cluster.firewalls.allSatisfy {
                        $0.log.contains("MTU of the sync device is 1400 bytes now")
                    }
                }
                let before = try fragments(cluster.firewalls[0])
                try MadeEntries.create(3_000..<6_000, in: cluster.firewalls[0].host)
                try cluster.firewalls[1].waitForEqualTable(
                    to: cluster.firewalls[0], atLeast: 6_000)
                #expect(try fragments(cluster.firewalls[0]) == before)
            }
        }

        // MARK: Addresses and families

        /// Nothing but the address that every IPv6 device has by itself.
        @Test(arguments: [false, true])
        func linkLocalAddressesAreEnough(_ hasPeers: Bool) throws {
            try withCluster { cluster in
                for node in cluster.firewalls {
                    try node.host.ip("addr flush dev sync0 scope global")
                    let peer = "fe80::c7:ff:fe00:20\(3 - node.id)%sync0"
                    try node.start(
                        role: node.id == 1 ? .master : .slave, hasPeers ? ["--peer", peer] : [])
                }
                try cluster.waitInSync()
                try expectReplication(cluster)
                let target =
                    hasPeers ? "peers fe80::c7:ff:fe00:202" : "group 224.0.0.254, ff02::114"
                #expect(
                    cluster.firewalls[0].log.contains(
                        "sync link sync0, fe80::c7:ff:fe00:201; \(target), port 3781"))
            }
        }

        /// A device that has just come up has its link-local address at once and its IPv4 address
        /// some time later; the other node has no IPv6.
        @Test(arguments: [0, 1])
        func anIPv4AddressThatComesLateIsUsed(_ number: Int) throws {
            try withCluster { cluster in
                let (late, other) = (cluster.firewalls[number], cluster.firewalls[1 - number])
                try other.host.set(["net.ipv6.conf.sync0.disable_ipv6": 1])
                try late.host.ip("addr flush dev sync0 scope global")
                for node in cluster.firewalls {
                    try node.start(role: node.id == 1 ? .master : .slave)
                }
                try late.host.ip("addr add \(Plan.sync(late.id))/24 dev sync0")
                try cluster.waitInSync()
                try expectReplication(cluster)
                // No second master either.
                try cluster.firewalls[1].write("1\n")
                try cluster.firewalls[0].waitForRole(.slave)
                try cluster.waitInSync()
            }
        }

        /// Three nodes, two of which have no family in common: both follow the third.
        @Test func slavesOfDifferentFamilies() throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = cluster.firewalls
                try nodes[1].host.set(["net.ipv6.conf.sync0.disable_ipv6": 1])
                try nodes[2].host.ip("addr flush dev sync0 to 0.0.0.0/0")
                try nodes[0].start(role: .master)
                try nodes[1].start(role: .slave)
                try cluster.waitInSync()
                // The master knows of IPv4 alone when this one comes.
                pause(2)
                try nodes[2].start(role: .slave)
                try cluster.waitInSync()
                try MadeEntries.create(0..<10, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 10)
                try nodes[2].waitForEqualTable(to: nodes[0], atLeast: 10)
            }
        }

        /// A switch that snoops, and whose queries do not arrive, forgets who is a member of a group;
        /// a node that hears nobody joins again.
        @Test func aSwitchThatForgetsMembersHearsOfThemAgain() throws {
            try withCluster { cluster in
                try cluster.changeSyncSwitch(
                    """
                    link set sync type bridge mcast_snooping 1 mcast_query_response_interval 100 \
                    mcast_membership_interval 300 mcast_querier 1
                    """)
                for node in cluster.firewalls {
                    try node.host.nft(
                        """
                        table netdev deaf {
                            chain queries {
                                type filter hook ingress device sync0 priority 0;
                                meta l4proto igmp drop
                            }
                        }
                        """)
                }
                try cluster.startDaemons(["--group", "239.255.7.7"])
                let slave = cluster.firewalls[1]
                for round in 0..<2 {
                    try eventually("silence", within: 20) {
                        try slave.status()?.isInSync == false
                    }
                    try eventually("an end of the silence", within: 10) {
                        try slave.status()?.isInSync == true
                    }
                    let made = (10 * round)..<(10 * round + 10)
                    try MadeEntries.create(made, in: cluster.firewalls[0].host)
                    try slave.waitForEqualTable(
                        to: cluster.firewalls[0], atLeast: made.upperBound)
                }
            }
        }

        // MARK: What they have in common

        /// Both daemons are still one cluster, and what is new at the master comes to the slave.
        private func expectReplication(_ cluster: Cluster, from first: Int = 0) throws {
            let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
            try MadeEntries.create(first..<first + 10, in: master.host)
            try slave.waitForEqualTable(to: master, atLeast: first + 10)
            try cluster.waitInSync()
        }

        private func waitForMembership(of node: Firewall) throws {
            try eventually("\(node.name) is a member of both groups", detail: { node.log }) {
                let groups = try node.host.run(["ip", "maddr", "show", "dev", "sync0"])
                return groups.contains("224.0.0.254") && groups.contains("ff02::114")
            }
        }

        /// Taken down it has lost its IPv6 addresses' routes, and its link-local address.
        private func restoreAddresses(of node: Firewall, on device: String) throws {
            try node.host.ip(
                """
                addr replace \(Plan.sync(node.id))/24 dev \(device)
                addr replace \(Plan.sync(node.id, ipv6: true))/64 dev \(device) nodad
                """)
        }

        private func index(of device: String, in host: Namespace) throws -> String {
            String(try host.run(["ip", "-o", "link", "show", device]).prefix { $0 != ":" })
        }

        private func setMTU(_ bytes: Int, _ cluster: Cluster) throws {
            try cluster.changeSyncSwitch(
                cluster.firewalls.map { "link set sync-\($0.name) mtu 9000" }.joined(
                    separator: "\n"))
            for node in cluster.firewalls { try node.host.ip("link set sync0 mtu \(bytes)") }
            try cluster.changeSyncSwitch(
                (cluster.firewalls.map { "link set sync-\($0.name) mtu \(bytes)" }
                    + ["link set sync mtu \(bytes)"]).joined(separator: "\n"))
        }

        /// How many packets a node has cut to pieces.
        private func fragments(_ node: Firewall) throws -> [Int] {
            let four = try node.host.run(["cat", "/proc/net/snmp"]).split(separator: "\n")
                .filter { $0.hasPrefix("Ip:") }.map { $0.split(separator: " ") }
            let place = try #require(four[0].firstIndex(of: "FragCreates"))
            let six = try node.host.run(["cat", "/proc/net/snmp6"]).split(separator: "\n")
                .first { $0.hasPrefix("Ip6FragCreates") }?.split(separator: " ").last
            return [Int(four[1][place]) ?? -1, six.flatMap { Int($0) } ?? -1]
        }
    }
}
