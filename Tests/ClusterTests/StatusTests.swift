// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// What `ct_sync status` says of real daemons.
    @Suite struct StatusTests {
        /// The keys that a status has, lists as `[]`.
        private static func fields(_ value: Any, _ path: String = "") -> Set<String> {
            if let group = value as? [String: Any] {
                return group.reduce(into: []) { fields, entry in
                    fields.formUnion(
                        Self.fields(entry.value, path.isEmpty ? entry.key : "\(path).\(entry.key)"))
                }
            }
            guard let list = value as? [Any] else { return [path] }
            return list.reduce(into: []) { $0.formUnion(Self.fields($1, path + "[]")) }
        }

        private static func documented() throws -> Set<String> {
            let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("man/ct_sync-status.5")
            let text = try String(contentsOf: page, encoding: .utf8)
            let fields = text.components(separatedBy: ".SH FIELDS\n")[1]
                .components(separatedBy: "\n.SH ")[0]
            return Set(
                fields.split(separator: "\n").filter { $0.hasPrefix(".B ") }.map {
                    $0.dropFirst(3).replacingOccurrences(of: "\\-", with: "-")
                })
        }

        /// Lists may be empty here; the unit tests fill them.
        @Test func bothRolesPrintTheDocumentedFields() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let documented = try Self.documented()
                for firewall in cluster.firewalls {
                    let text = try firewall.statusCommand().output
                    let printed = Self.fields(
                        try JSONSerialization.jsonObject(with: Data(text.utf8)))
                    #expect(printed.subtracting(documented) == [])
                    let lacking = documented.subtracting(printed).filter { !$0.contains("[]") }
                    #expect(lacking == [])
                }
            }
        }

        /// 0 well, 1 not well, 2 no daemon, 3 no answer in time, for both roles.
        @Test func theExitStatusIsTheVerdict() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                #expect(try first.statusCommand().status == 2)
                try first.start(role: .master)
                let alone = try #require(try first.status())
                #expect(!alone.isWell && alone.reason == "alone")
                #expect(alone.verdict.hasPrefix("MASTER, ALONE for "))
                #expect(try first.statusCommand(json: false).status == 1)
                #expect(try second.statusCommand().status == 2)
                try second.start(role: .slave, ["--port", "3999"])
                #expect(try second.statusCommand(json: false).status == 1)
                try second.stop()
                try second.start(role: .slave)
                try cluster.waitInSync()
                try first.waitUntilWell()
                try second.waitUntilWell()
                #expect(try first.status()?.readySlaves == 1)
                #expect(try first.field("role") == "master")
                #expect(try second.field("peers.0.id") == "1")
                #expect(try second.field("no.such.field") == nil)
                // The daemon is there and does not answer.
                kill(try #require(first.daemon).pid, SIGSTOP)
                defer { kill(first.daemon?.pid ?? 0, SIGCONT) }
                #expect(try first.statusCommand().status == 3)
                kill(try #require(first.daemon).pid, SIGCONT)
                try second.waitUntilWell()
                try first.waitUntilWell()
                kill(try #require(second.daemon).pid, SIGSTOP)
                defer { kill(second.daemon?.pid ?? 0, SIGCONT) }
                #expect(try second.statusCommand().status == 3)
                // Which its master sees within a few seconds.
                try eventually("a master that is alone", detail: { first.statusLine }) {
                    try first.status()?.reason == "alone"
                }
                let text = try first.statusCommand(json: false)
                #expect(text.status == 1)
                #expect(text.output.contains("was heard last at "), "\(text.output)")
            }
        }

        /// What one of them leaves out would be lost: neither says that all is well.
        @Test func rulesThatDifferAreSaidOnBothNodes() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try first.start(role: .master)
                try second.start(role: .slave, ["--replicate", "ignore protocol gre"])
                try eventually("the slave's word", detail: { second.statusLine }) {
                    try second.status()?.reason == "rules_differ"
                }
                try eventually("the master's word", detail: { first.statusLine }) {
                    let text = try first.statusCommand(json: false).output
                    return text.contains("is heard and not in sync")
                }
                try second.stop()
                try second.start(role: .slave)
                try cluster.waitInSync()
                try first.waitUntilWell()
            }
        }
    }
}

extension Firewall {
    /// Waits until the exit status of `ct_sync status` is 0.
    func waitUntilWell() throws {
        try eventually("\(name) is well", detail: { statusLine }) {
            try statusCommand().status == 0
        }
    }

    /// What `ct_sync status --field` prints; nil if there is no such field.
    func field(_ name: String) throws -> String? {
        let result = try command(["status", "--field", name])
        return result.status <= 1 ? String(result.output.dropLast()) : nil
    }
}
