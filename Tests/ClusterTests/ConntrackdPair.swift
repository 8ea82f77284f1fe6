// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// conntrackd on both firewalls of a cluster, with the script that comes with it.
final class ConntrackdPair {
    private let cluster: Cluster
    private let daemons: [Conntrackd]
    private var running: [Int: ChildProcess] = [:]

    init(_ cluster: Cluster) throws {
        self.cluster = cluster
        var settings = Conntrackd.Settings()
        settings.options = "Options { ExpectationSync { ftp } }"
        daemons = try cluster.firewalls.map { try Conntrackd($0, of: cluster, settings) }
        let example = "/usr/share/doc/conntrackd/examples/sync/primary-backup.sh"
        let text = try String(contentsOfFile: example, encoding: .utf8)
        for (node, daemon) in zip(cluster.firewalls, daemons) {
            let script =
                text
                .replacingOccurrences(of: "/etc/conntrackd/conntrackd.conf", with: daemon.place)
                .replacingOccurrences(of: "/var/lock/conntrack.lock", with: daemon.place + ".lock")
            let file = self.script(node)
            try script.write(toFile: file, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file)
        }
    }

    /// The script of a node.
    func script(_ node: Firewall) -> String { daemons[node.id - 1].place + ".sh" }

    func start(_ index: Int) throws {
        running[index] = try daemons[index].start()
    }

    func kill(_ index: Int) {
        let process = running.removeValue(forKey: index)
        process?.end()
    }

    /// `primary`, `backup` or `fault`.
    func tell(_ index: Int, _ word: String) throws {
        let node = cluster.firewalls[index]
        _ = try Command.result(of: node.host.words([script(node), word]))
    }

    func stop() {
        for index in running.keys { kill(index) }
    }
}
