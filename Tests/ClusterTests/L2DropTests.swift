// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
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

        /// A packet that comes in while a node opens may have its kernel ask for a neighbour's address. What
        /// is dropped of that is asked again after a second; here after a minute, so that it is seen.
        @Test(arguments: ["netdev", "tables"], [false, true])
        func noNeighbourIsAskedInVain(_ backend: String, ipv6: Bool) throws {
            try scenario(replication: .on, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--l2drop", "1", "--l2drop-backend", backend])
                try cluster.learnAddresses()
                try cluster.plug(second)
                let probe = try ForwardingProbe(
                    from: cluster.client, to: cluster.server, at: Plan.service(ipv6: ipv6))
                defer { probe.stop() }
                try probe.waitForArrivals()
                for kind in ["ipv4", "ipv6"] {
                    try second.host.set([
                        "net.\(kind).neigh.lan0.retrans_time_ms": 60_000,
                        "net.\(kind).neigh.wan0.retrans_time_ms": 60_000,
                    ])
                }
                try second.host.ip("neigh flush dev lan0\nneigh flush dev wan0\n")
                first.kill()
                try first.linksDown()
                try probe.arm()
                try second.write("1\n")
                try second.waitForRole(.master)
                _ = try probe.firstArrival(within: 20)
            }
        }

        /// For ten seconds neighbours see nothing of two slaves, one for each backend, whatever they
        /// and the slaves' own programs try, while the sync link and the management ports work;
        /// without the drop, and as master, a slave is seen on each of the devices.
        @Test func aSlaveIsInvisible() throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let slaves = try zip(cluster.firewalls[1...], ["netdev", "tables"]).map {
                    try WatchedSlave($0, backend: $1, in: cluster)
                }
                defer { for slave in slaves { slave.stop() } }
                let bright = try ["lan", "wan"].map { try cluster.frames(of: first, into: $0) }
                let syncs = try slaves.map { try cluster.frames(of: $0.firewall, into: "sync") }
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }

                // Control: slaves, but not dark.
                for slave in slaves {
                    try slave.firewall.start(role: .slave)
                    try cluster.plug(slave.firewall)
                }
                try WatchedSlave.talk(slaves, in: cluster, seconds: 2)
                for slave in slaves {
                    #expect(slave.unseen.isEmpty, "\(slave.backend), without l2drop")
                    #expect(slave.silent.isEmpty, "\(slave.backend), without l2drop")
                    #expect(try slave.firewall.stop() == 0)
                }

                try first.start(role: .master)
                for slave in slaves { try slave.firewall.start(role: .slave, slave.flags) }
                try cluster.waitInSync()
                for slave in slaves { try slave.plugLateManagement() }
                for slave in slaves { slave.forget() }
                for frames in bright + syncs { _ = frames.take() }
                try WatchedSlave.talk(slaves, in: cluster, seconds: 10)
                for slave in slaves {
                    #expect(slave.seen.isEmpty, "\(slave.backend)")
                    #expect(slave.answering == ["mgmt0", "mgmt1"], "\(slave.backend)")
                }
                #expect(bright.allSatisfy { $0.take() > 50 }, "the master answers")
                #expect(syncs.allSatisfy { $0.take() > 0 })
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                try eventually("the connection on the slaves") {
                    try slaves.allSatisfy {
                        try $0.firewall.table().contains {
                            $0.original.destinationPort == Plan.serverPort && $0.tcp?.state == 3
                        }
                    }
                }
                #expect(try slaves.allSatisfy { try $0.firewall.status()?.isInSync == true })

                // As master each is seen, and no longer when the next one is.
                for (slave, old) in zip(slaves, [first, second]) {
                    try slave.firewall.write("1\n")
                    try slave.firewall.waitForRole(.master)
                    try old.waitForRole(.slave)
                    if old === first { try cluster.unplug(first) }
                    try eventually(
                        "all see the new master, \(slave.backend)", detail: { "\(slave.unseen)" }
                    ) {
                        try WatchedSlave.talk([slave], in: cluster, seconds: 0.2)
                        try connection.exchange()
                        return slave.unseen.isEmpty
                    }
                    for other in slaves where other !== slave { other.forget() }
                    try WatchedSlave.talk(slaves, in: cluster, seconds: 1)
                    for other in slaves where other !== slave {
                        #expect(other.seen.isEmpty, "\(other.backend), dark again")
                    }
                }
            }
        }

        /// A firewall's own reload flushes every table, and the standby is not seen for a moment.
        @Test(arguments: [true, false])
        func aReloadOpensNothing(isDark: Bool) throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try first.start(role: .master)
                try second.start(role: .slave, isDark ? ["--l2drop", "1"] : [])
                try cluster.waitInSync()
                try cluster.plug(second)
                let rules = "\(cluster.directory)/reload.nft"
                let text = """
                    flush ruleset
                    table inet filter {
                        chain input { type filter hook input priority 0; }
                    }

                    """
                try text.write(toFile: rules, atomically: true, encoding: .utf8)
                let frames = try ["lan", "wan"].map { try cluster.frames(of: second, into: $0) }
                let knocks = try (0..<4).map { _ in try echoes(cluster) }
                defer { for knock in knocks { knock.stop() } }
                for _ in 0..<100 { try second.host.run(["nft", "-f", rules]) }
                // And the kernel's own frames, of a new address.
                try second.host.ip("addr add fd00:1::77/64 dev lan0")
                pause(0.5)
                let count = frames.map { $0.take() }.reduce(0, +)
                #expect(isDark ? count == 0 : count > 10, "\(count) frames")
                #expect(try console(second, "status").status == (isDark ? 0 : 1))
                if isDark { try eventually("in sync") { try second.status()?.isInSync == true } }
            }
        }

        /// Of two masters the older is dark when they hear each other again; the neighbours, who took it for
        /// the way until then, must learn of the other at once.
        @Test func theWinnerOfASplitIsFound() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                try cluster.startDaemons(["--l2drop", "1"])
                try cluster.learnAddresses()
                try cluster.plug(second)
                let open = try EchoConnection(
                    from: cluster.client, to: Plan.service(ipv6: false))
                try open.exchange()
                try second.waitForEqualTable(to: first, atLeast: 1)
                try cluster.cutSync(second)
                try second.write("1\n")
                let frames = try cluster.frames(of: second, into: "lan")
                try second.waitForRole(.master)
                // The announcements of its promotion, the last of which come two seconds apart.
                var last = Stopwatch.seconds()
                try eventually("the end of the announcements", within: 20, every: 0.1) {
                    if frames.take(Self.isARP) > 0 { last = Stopwatch.seconds() }
                    return Stopwatch.seconds() > last + 3
                }
                for (host, device, address) in [
                    (cluster.client, "lan0", "10.1.0.1"), (cluster.server, "wan0", "10.2.0.1"),
                ] {
                    let hardware = try first.host.run(["cat", "/sys/class/net/\(device)/address"])
                    try host.ip("neigh replace \(address) lladdr \(hardware.dropLast()) dev eth0")
                }
                try open.exchange()
                try cluster.restoreSync(second)
                try first.waitForRole(.slave)
                try open.exchange(within: 5)
                #expect(try second.status()?.role == .master)
            }
        }

        private static func isARP(_ frame: [UInt8]) -> Bool {
            Array(frame[12..<14]) == [0x08, 0x06]
        }

        /// With `tables` a flush opens the node until the rules are loaded again: for the time of a few
        /// programs, however slow the machine is.
        @Test func aFlushOfTablesOpensForAFewProgramsTime() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let program = try (0..<9).map { _ in
                    let start = Stopwatch.seconds()
                    try node.host.run(
                        ["iptables-restore", "--noflush"], input: "*mangle\nCOMMIT\n")
                    return Stopwatch.seconds() - start
                }
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", "tables"])
                let gaps = try (0..<9).map { _ in try Self.gapOfAFlush(node) }
                let (gap, yardstick) = (gaps.sorted()[4], program.sorted()[4])
                print("open for \(gap) s, a program takes \(yardstick) s")
                #expect(gap < 10 * yardstick)
            }
        }

        /// - Returns: between which moments a flushed node could send, in seconds.
        private static func gapOfAFlush(_ node: Firewall) throws -> Double {
            let socket = try Socket.datagrams(
                to: Endpoint(Plan.client(ipv6: false), 9), in: node.host)
            let isDark = { (try? socket.send([0])) == nil }
            // No rule of the flush before is still on its way.
            var dark = 0
            try eventually("a dark node", every: 0.005) {
                dark = isDark() ? dark + 1 : 0
                return dark >= 40
            }
            let flush = Background(named: "cts_flush") { try? node.host.nft("flush ruleset") }
            defer { flush.join() }
            var opened: Double?
            var closed = 0.0
            try eventually("a flush, and a dark node", every: 0.0002) {
                let now = Stopwatch.seconds()
                let isOpen = !isDark()
                if isOpen { (opened, closed) = (opened ?? now, now) }
                return opened != nil && !isOpen
            }
            return closed - (opened ?? closed)
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
    }
}
