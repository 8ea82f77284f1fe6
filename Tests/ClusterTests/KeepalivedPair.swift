// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

/// keepalived on both firewalls of a cluster: each with addresses of its own beside those that move,
/// or, with dark nodes, both with the same addresses.
final class KeepalivedPair {
    private let cluster: Cluster
    private let isTracking: Bool
    private let isDark: Bool
    private let edit: (String, Firewall) -> String
    private var running: [Int: ChildProcess] = [:]

    /// - Parameter edit: changes the configuration of a node further.
    init(
        _ cluster: Cluster, isTracking: Bool, isDark: Bool = false,
        edit: @escaping (String, Firewall) -> String = { text, _ in text }
    ) throws {
        self.cluster = cluster
        self.isTracking = isTracking
        self.isDark = isDark
        self.edit = edit
        if !isDark { try Self.giveOwnAddresses(cluster) }
    }

    /// Each node has addresses of its own and its ports plugged in; what moves is on none.
    static func giveOwnAddresses(_ cluster: Cluster) throws {
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
        return edit(text, node)
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

    /// Has it read its configuration again.
    func reload(_ index: Int) { running[index]?.kill(SIGHUP) }

    /// SIGTERM: it gives the addresses up and tells the other one.
    func stop(_ index: Int) throws {
        let process = running.removeValue(forKey: index)
        process?.kill(SIGTERM)
        try process?.waitForEnd(within: 10)
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

enum Keepalived {
    static var isInstalled: Bool {
        FileManager.default.isExecutableFile(atPath: "/usr/sbin/keepalived")
    }
}
