// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
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

/// keepalived on both firewalls of a cluster: each with addresses of its own beside those that move,
/// or, with dark nodes, both with the same addresses.
private final class KeepalivedPair {
    private let cluster: Cluster
    private let isTracking: Bool
    private let isDark: Bool
    private var running: [Int: ChildProcess] = [:]

    init(_ cluster: Cluster, isTracking: Bool, isDark: Bool = false) throws {
        self.cluster = cluster
        self.isTracking = isTracking
        self.isDark = isDark
        guard !isDark else { return }
        for node in cluster.firewalls {
            try node.host.ip(
                """
                link set lan0 address 02:c7:00:01:00:0\(node.id)
                link set wan0 address 02:c7:00:02:00:0\(node.id)
                addr flush dev lan0
                addr flush dev wan0
                addr add 10.1.0.25\(node.id)/24 dev lan0
                addr add 10.2.0.25\(node.id)/24 dev wan0
                """)
            try cluster.plug(node)
        }
    }

    /// The configuration in conf/keepalived with this network's devices, addresses and places.
    private func configuration(_ node: Firewall) throws -> String {
        let conf = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("conf")
        let file = isDark ? "keepalived/keepalived-l2drop.conf" : "keepalived/keepalived.conf"
        var text = try String(contentsOf: conf.appendingPathComponent(file), encoding: .utf8)
        let role = conf.appendingPathComponent("ct_sync-role").path
        let notify = conf.appendingPathComponent("keepalived/ct_sync-notify").path
        let addresses = [
            ("203.0.113.1/24", "10.2.0.1/24"), ("192.168.1.1/24", "10.1.0.1/24"),
        ]
        var changes = isDark ? [("eth2", "sync0")] : addresses
        changes += [
            ("router_id firewall1", "router_id \(node.name)"),
            // It refuses scripts below directories that others can write to, as here.
            ("    enable_script_security\n", ""),
            ("eth0", "wan0"), ("eth1", "lan0"),
            ("/usr/sbin/ct_sync-role check", "\(role) -f \(node.controlFile) check"),
            ("/usr/lib/ct_sync/ct_sync-notify", "\(notify) -f \(node.controlFile)"),
        ]
        for (place, words) in changes {
            try #require(text.contains(place), "keepalived.conf without \(place)")
            text = text.replacingOccurrences(of: place, with: words)
        }
        if !isTracking {
            text = text.replacingOccurrences(
                of: "    track_script {\n        ct_sync\n    }\n", with: "")
        }
        return text
    }

    func start(_ index: Int) throws {
        let node = cluster.firewalls[index]
        let place = "\(cluster.directory)/keepalived-\(node.name)"
        try configuration(node).write(toFile: place + ".conf", atomically: false, encoding: .utf8)
        let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        running[index] = try ChildProcess(
            node.host.words([
                "env", "CT_SYNC=\(try Daemon.binary())",
                "CT_SYNC_ROLE=\(scripts)/conf/ct_sync-role", "keepalived", "--dont-fork",
                "--log-console", "--vrrp", "--use-file=\(place).conf", "--pid=\(place).pid",
                "--vrrp_pid=\(place)-vrrp.pid",
            ]), logFile: place + ".log")
    }

    /// kill -9; its VRRP process, which ends with it, gives the addresses up.
    func kill(_ index: Int) throws {
        let process = running.removeValue(forKey: index)
        process?.kill(SIGKILL)
        try process?.waitForEnd(within: 5)
        let node = cluster.firewalls[index]
        let file = "\(cluster.directory)/keepalived-\(node.name)-vrrp.pid"
        try eventually("the end of keepalived's VRRP process") {
            let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            let number = text.trimmingCharacters(in: .whitespacesAndNewlines)
            // One that nobody has collected yet has no program any more.
            let program = try? FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(number)/exe")
            return program == nil
        }
    }

    func stop() {
        for process in running.values {
            process.kill(SIGTERM)
            _ = try? process.waitForEnd(within: 5)
        }
    }

    /// Waits until a node has the addresses and, by its control file and by itself, the role; the
    /// other one is slave.
    func waitForParent(_ index: Int, _ replication: Replication) throws {
        let master = cluster.firewalls[index]
        let other = cluster.firewalls[1 - index]
        try eventually(
            "\(master.name) has the addresses and the role", within: 15, every: 0.05,
            detail: { "\(describe(master))\n\(describe(other))" }
        ) {
            guard try isDark ? isOwner(master) : hasAddresses(master) else { return false }
            guard replication == .on else { return true }
            let isOtherSlave = try other.status().map { $0.role == .slave } ?? true
            return try master.read() == "master" && master.status()?.role == .master
                && isOtherSlave
        }
    }

    private func hasAddresses(_ node: Firewall) throws -> Bool {
        let addresses = try node.host.run(["ip", "-4", "-o", "addr"])
        return addresses.contains(" 10.1.0.1/24") && addresses.contains(" 10.2.0.1/24")
    }

    /// Whether keepalived says that it is master, by the last transition in its log.
    private func isOwner(_ node: Firewall) throws -> Bool {
        let log = "\(cluster.directory)/keepalived-\(node.name).log"
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        let last = text.split(separator: "\n").last {
            $0.contains("Entering ") && $0.contains(" STATE")
        }
        return last?.contains("MASTER STATE") == true
    }

    private func describe(_ node: Firewall) -> String {
        let log = "\(cluster.directory)/keepalived-\(node.name).log"
        let words = (try? String(contentsOfFile: log, encoding: .utf8)) ?? "no log"
        return "\(node.name): \(node.statusLine)\n\(words.suffix(1_500))"
    }
}

private enum Keepalived {
    static var isInstalled: Bool {
        FileManager.default.isExecutableFile(atPath: "/usr/sbin/keepalived")
    }
}
