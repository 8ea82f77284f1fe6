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
