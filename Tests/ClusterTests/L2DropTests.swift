// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc
import Testing

extension ClusterTests {
    /// Both nodes have the same addresses on the same segments all the time; one is dark.
    @Suite struct L2DropTests {
        /// A takeover between them, through switches that have learned where the old master was.
        /// Without replication the connections die although the addresses have moved.
        @Test(arguments: ["netdev", "tables"], Replication.allCases)
        func takeoverBetweenEqualNodes(_ backend: String, _ replication: Replication) throws {
            try scenario(translation: .masquerade, replication: replication, starts: false) {
                cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                if replication == .on {
                    try cluster.startDaemons(["--l2drop", "1", "--l2drop-backend", backend])
                    try cluster.learnAddresses()
                    try cluster.plug(second)
                }
                let open = try EchoConnection(from: cluster.client, to: service)
                try open.exchange(within: 10)
                if replication == .on {
                    try second.waitForEqualTable(to: first, atLeast: 1)
                }
                first.kill()
                try first.linksDown()
                if replication == .on {
                    try second.write("1\n")
                    try second.waitForRole(.master)
                } else {
                    try cluster.plug(second)
                }
                try onlyByReplication { try open.exchange(within: replication.patience) }
            }
        }

        /// For ten seconds neighbours see nothing of a slave, whatever they and its own programs
        /// try, while the sync link works; as master it is seen.
        @Test(arguments: ["netdev", "tables"])
        func aSlaveIsInvisible(_ backend: String) throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--l2drop", "1", "--l2drop-backend", backend])
                let frames = try cluster.firewalls.map { firewall in
                    try ["lan", "wan"].map { try cluster.frames(of: firewall, into: $0) }
                }
                let sync = try cluster.frames(of: second, into: "sync")
                try cluster.plug(second)
                let asking = try [false, true].map { ipv6 in
                    try DatagramStream.icmpEcho(
                        from: cluster.client, to: cluster.server,
                        address: Plan.lanGateway(ipv6: ipv6))
                }
                defer { for stream in asking { stream.stop() } }
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }

                let sending = try [false, true].flatMap { ipv6 in
                    try [Plan.client(ipv6: ipv6), Plan.server(ipv6: ipv6)].map {
                        try Socket.datagrams(to: Endpoint($0, 9), in: second.host)
                    }
                }
                var (dark, bright) = (0, 0)
                for _ in 0..<100 {
                    // ARP and neighbour discovery from both sides.
                    for host in [cluster.client, cluster.server] {
                        try host.ip("neigh flush dev eth0")
                    }
                    try second.host.ip("neigh flush dev lan0\nneigh flush dev wan0")
                    for socket in sending { _ = try? socket.send([1, 2, 3]) }
                    pause(0.1)
                    dark += frames[1].reduce(0) { $0 + $1.take() }
                    bright += frames[0].reduce(0) { $0 + $1.take() }
                }
                #expect(dark == 0)
                #expect(bright > 100, "the master answers")
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                try eventually("the connection on the slave") {
                    try second.table().contains {
                        $0.original.destinationPort == Plan.serverPort && $0.tcp?.state == 3
                    }
                }
                #expect(sync.take() > 0)
                #expect(try second.status()?.isInSync == true)

                try second.write("1\n")
                try second.waitForRole(.master)
                try first.waitForRole(.slave)
                try eventually("both segments see the new master") {
                    try cluster.client.ip("neigh flush dev eth0")
                    try connection.exchange()
                    return frames[1].allSatisfy { $0.take() > 0 }
                }
                for frame in frames[0] { _ = frame.take() }
                pause(1)
                #expect(frames[0].allSatisfy { $0.take() == 0 }, "the old master is dark")
            }
        }

        /// Killed, it stays; stopped in order, it stays or goes as asked; the console opens it.
        @Test func failsSafe() throws {
            try withCluster { cluster in
                let second = cluster.firewalls[1]
                try second.start(role: .slave, ["--l2drop", "1"])
                #expect(try isDark(second))
                second.kill()
                #expect(try isDark(second), "killed")
                try second.start(role: .slave, ["--l2drop", "1"])
                #expect(try isDark(second), "started again")
                #expect(try second.stop() == 0)
                #expect(try isDark(second), "stopped")
                try second.start(role: .slave, ["--l2drop", "1", "--l2drop-on-exit", "open"])
                #expect(try second.stop() == 0)
                #expect(try !isDark(second), "stopped, to be opened")
                try second.start(role: .slave, ["--l2drop", "1"])
                second.kill()
                #expect(try console(second, "off").status == 0)
                #expect(try !isDark(second), "opened at the console")
                try second.start(role: .slave, ["--l2drop", "1"])
                try second.write("master\n")
                try second.waitForRole(.master)
                #expect(try !isDark(second), "master")
                try second.write("slave\n")
                try second.waitForRole(.slave)
                #expect(try isDark(second), "slave again")
            }
        }

        private func isDark(_ firewall: Firewall) throws -> Bool {
            let result = try console(firewall, "status")
            #expect(result.status == 0 || result.status == 1, "\(result.errors)")
            return result.status == 0
        }

        private func console(_ firewall: Firewall, _ action: String) throws -> CommandResult {
            try Command.result(
                of: ["ip", "netns", "exec", firewall.host.name, try Daemon.binary()]
                    + ["l2drop", action])
        }
    }
}
