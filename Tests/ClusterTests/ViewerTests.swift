// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// Users who are not root: nobody in particular, and members of the group.
    @Suite struct ViewerTests {
        private static let (user, group) = ("65533", "64901")

        /// Starts a daemon on a machine that has the group: /etc/group is another one for it alone.
        private static func daemon(
            _ node: Firewall, _ cluster: Cluster, role: NodeRole = .slave
        ) throws -> ChildProcess {
            let groups = cluster.directory + "/groups"
            try "root:x:0:\nct_sync:x:\(group):\n".write(
                toFile: groups, atomically: true, encoding: .utf8)
            let script = "mount --bind \(groups) /etc/group && exec \"$@\""
            return try ChildProcess(
                node.host.words(
                    ["unshare", "--mount", "sh", "-c", script, "sh", try Daemon.binary()]
                        + node.flags(role: role)), logFile: cluster.directory + "/viewed.log")
        }

        private static func words(_ node: Firewall, isMember: Bool, _ words: [String]) throws
            -> [String]
        {
            node.host.words(
                [
                    "setpriv", "--reuid", user, "--regid", isMember ? group : user,
                    "--clear-groups", try Daemon.binary(),
                ] + words + ["--control-file", node.controlFile])
        }

        private static func result(
            _ node: Firewall, isMember: Bool, _ words: String...
        ) throws -> CommandResult {
            try Command.result(of: try Self.words(node, isMember: isMember, words))
        }

        /// One sentence and 77 for who may not; for a member all questions and no order.
        @Test(arguments: [NodeRole.master, .slave])
        func aMemberOfTheGroupMayAskAndOrderNothing(_ role: NodeRole) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let daemon = try Self.daemon(node, cluster, role: role)
                defer { daemon.end() }
                let log = {
                    (try? String(contentsOfFile: cluster.directory + "/viewed.log", encoding: .utf8))
                        ?? ""
                }
                try eventually("a daemon", detail: log) { try node.status()?.role == role }

                let questions = [["status"], ["dump"], ["history"], ["check"], ["metrics"]]
                for words in questions {
                    let member = try Command.result(
                        of: try Self.words(node, isMember: true, words))
                    #expect(member.status != 77, "\(words): \(member)")
                    #expect(!member.errors.contains("Permission denied"), "\(words): \(member)")
                }
                #expect(try Self.result(node, isMember: true, "dump").status == 0)
                #expect(
                    try Self.result(node, isMember: true, "status", "--field", "role").output
                        == "\(role.rawValue)\n")
                for words in [["status"], ["dump"], ["history"]] {
                    let nobody = try Command.result(
                        of: try Self.words(node, isMember: false, words))
                    #expect(nobody.status == 77, "\(words): \(nobody)")
                    #expect(nobody.output.isEmpty)
                    #expect(nobody.errors.split(separator: "\n").count == 1, "\(nobody.errors)")
                }
                // Metrics all the same: that it is down.
                let metrics = try Self.result(node, isMember: false, "metrics")
                #expect(metrics.status == 77 && metrics.output.hasSuffix("\nct_sync_up 0\n"))
                for words in [["monitor"], ["watch"], ["l2drop", "status"]] {
                    let nobody = try Command.result(
                        of: try Self.words(node, isMember: false, words), deadline: 5)
                    #expect(nobody.status == 77, "\(words): \(nobody)")
                    #expect(nobody.output.isEmpty)
                    #expect(nobody.errors.split(separator: "\n").count == 1, "\(nobody.errors)")
                }
                for words in [["promote"], ["flush", "--yes"], ["resync"], ["rehearse"]] {
                    for isMember in [true, false] {
                        let refused = try Command.result(
                            of: try Self.words(node, isMember: isMember, words))
                        #expect(refused.status == 77, "\(words): \(refused)")
                        #expect(refused.errors.split(separator: "\n").count == 1)
                    }
                }
                #expect(try node.status()?.role == role)
            }
        }

        @Test func theExporterNeedsNoMoreThanTheGroup() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let daemon = try Self.daemon(node, cluster)
                let exporter = try ChildProcess(
                    try Self.words(node, isMember: true, ["exporter"]),
                    logFile: cluster.directory + "/exporter.log")
                defer {
                    for child in [exporter, daemon] {
                        child.end()
                    }
                }
                let log = {
                    (try? String(
                        contentsOfFile: cluster.directory + "/exporter.log", encoding: .utf8)) ?? ""
                }
                let address = Endpoint("127.0.0.1", 9378)
                try eventually("metrics of the daemon by HTTP", every: 0.05, detail: log) {
                    guard let answer = try? HTTPAnswer("/metrics", of: address, from: node.host)
                    else { return false }
                    return answer.status == 200 && answer.body.contains("\nct_sync_up 1\n")
                }
                let second = try Command.result(
                    of: try Self.words(node, isMember: true, ["exporter"]), deadline: 10)
                #expect(second.status == 75, "\(second)")
                #expect(
                    second.errors == "ct_sync: the exporter cannot listen on 127.0.0.1, port 9378: "
                        + "Address already in use\n")
                let owner = try String(
                    contentsOfFile: "/proc/\(exporter.pid)/status", encoding: .utf8)
                #expect(owner.contains("\nUid:\t\(Self.user)\t"), "\(owner)")
                let status = try HTTPAnswer("/status.json", of: address, from: node.host)
                #expect(try status.object()["role"] as? String == "slave")
            }
        }

        /// The daemon itself, started by somebody else than root.
        @Test func whoIsNotRootDoesNotStartIt() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let result = try Command.result(
                    of: node.host.words(
                        [
                            "setpriv", "--reuid", Self.user, "--regid", Self.user,
                            "--clear-groups", try Daemon.binary(),
                        ] + node.flags(role: .slave)), deadline: 10)
                #expect(result.status == 77, "\(result)")
                #expect(result.output.isEmpty)
                #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                #expect(result.errors.hasPrefix("ct_sync: "), "\(result.errors)")
                #expect(!FileManager.default.fileExists(atPath: node.controlFile))
            }
        }
    }
}
