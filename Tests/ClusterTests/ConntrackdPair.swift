// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// conntrackd on both firewalls of a cluster, with the script that comes with it.
final class ConntrackdPair {
    private let cluster: Cluster
    private var running: [Int: ChildProcess] = [:]

    init(_ cluster: Cluster) throws {
        self.cluster = cluster
        let example = "/usr/share/doc/conntrackd/examples/sync/primary-backup.sh"
        let text = try String(contentsOfFile: example, encoding: .utf8)
        for node in cluster.firewalls {
            let place = place(node)
            let script =
                text
                .replacingOccurrences(of: "/etc/conntrackd/conntrackd.conf", with: place)
                .replacingOccurrences(of: "/var/lock/conntrack.lock", with: place + ".lock")
            let file = self.script(node)
            try script.write(toFile: file, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file)
            try configuration(node).write(toFile: place, atomically: false, encoding: .utf8)
            try node.host.set(["net.netfilter.nf_conntrack_events": 1])
        }
    }

    private func place(_ node: Firewall) -> String {
        "\(cluster.directory)/conntrackd-\(node.name)"
    }

    /// The script of a node.
    func script(_ node: Firewall) -> String { place(node) + ".sh" }

    /// Its example, for all protocols, and with FTP's expectations.
    private func configuration(_ node: Firewall) -> String {
        """
        Sync {
            Mode FTFW { }
            Multicast {
                IPv4_address 225.0.0.50
                Group 3780
                IPv4_interface \(Plan.sync(node.id))
                Interface sync0
                SndSocketBuffer 1249280
                RcvSocketBuffer 1249280
                Checksum on
            }
            Options { ExpectationSync { ftp } }
        }
        General {
            HashSize 32768
            HashLimit 131072
            LogFile off
            LockFile \(place(node)).lock
            UNIX { Path \(place(node)).ctl }
            NetlinkBufferSize 2097152
            NetlinkBufferSizeMaxGrowth 8388608
            Filter From Userspace {
                Address Ignore {
                    IPv4_address 127.0.0.1
                    IPv4_address \(Plan.sync(1))
                    IPv4_address \(Plan.sync(2))
                }
            }
        }

        """
    }

    func start(_ index: Int) throws {
        let node = cluster.firewalls[index]
        let place = place(node)
        for file in [".lock", ".ctl"] { try? FileManager.default.removeItem(atPath: place + file) }
        running[index] = try ChildProcess(
            node.host.words(["conntrackd", "-C", place]), logFile: place + ".log")
        try eventually("conntrackd on \(node.name)") {
            FileManager.default.fileExists(atPath: place + ".ctl")
        }
    }

    func kill(_ index: Int) {
        let process = running.removeValue(forKey: index)
        process?.kill(SIGKILL)
        _ = try? process?.waitForEnd(within: 5)
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
