// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// Two nodes of one id among three: whoever notices says so while it is so.
    @Suite struct IdentityTests {
        private static let sentence = "another node, at 172.31.255."

        /// The master hears both, and answers one of them.
        @Test func twoSlavesOfOneID() throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = cluster.firewalls
                try nodes[0].start(role: .master)
                for node in nodes[1...] { try node.start(role: .slave, ["--id", "2"]) }
                try Self.expect(at: nodes[0], Self.sentence, "\"same_id\"")
                try nodes[2].stop()
                try Self.expectEnd(at: nodes[0], Self.sentence)
                try eventually("the slave that is left") { try nodes[0].status()?.readySlaves == 1 }
            }
        }

        /// Both say it, and so does the slave that follows one of them.
        @Test func twoMastersOfOneID() throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = cluster.firewalls
                for node in nodes[...1] { try node.start(role: .master, ["--id", "1"]) }
                try nodes[2].start(role: .slave)
                for node in nodes[...1] {
                    try Self.expect(at: node, "another node has our id 1 (from", "\"own_id\"")
                }
                try Self.expect(at: nodes[2], Self.sentence, "\"same_id\"")
                // One of them goes: the slave follows the other.
                try nodes[1].stop()
                try Self.expectEnd(at: nodes[0], "another node has our id 1 (from")
                try Self.expectEnd(at: nodes[2], Self.sentence)
                try MadeEntries.create(0..<20, in: nodes[0].host)
                try nodes[2].waitForEqualTable(to: nodes[0], atLeast: 20)
            }
        }

        private static func expect(at node: Firewall, _ words: String, _ reason: String) throws {
            try eventually("\(node.name) says it", detail: { node.statusLine }) {
                let text = try node.statusCommand().output
                return text.contains(words) && text.contains(reason)
            }
            try eventually("\(node.name): the journal", detail: { node.log }) {
                node.log.contains(words)
            }
        }

        private static func expectEnd(at node: Firewall, _ words: String) throws {
            try eventually("\(node.name): it is over", within: 20, detail: { node.statusLine }) {
                try !node.statusCommand(json: false).output.contains(words)
            }
        }
    }
}
