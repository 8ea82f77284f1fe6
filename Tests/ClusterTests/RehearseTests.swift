// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// `ct_sync rehearse` of real daemons.
    @Suite struct RehearseTests {
        private static func object(_ result: CommandResult) throws -> [String: Any] {
            let parsed = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            return try #require(parsed as? [String: Any], "\(result)")
        }

        /// The kernel's ids of a node's entries: an entry that is made anew has another one.
        private static func ids(_ node: Firewall) throws -> [Substring] {
            try node.host.run(["conntrack", "-L", "-o", "id"]).split(separator: "\n").compactMap {
                $0.split(separator: " ").last { $0.hasPrefix("id=") }
            }.sorted()
        }

        /// A dark slave rehearses, and nobody notices: the role, the epoch, the entries and the silence of
        /// its devices are as before. Then it is promoted.
        @Test func aRehearsalIsAPromotionThatNobodyNotices() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<500, in: first.host)
                try cluster.startDaemons(["--l2drop", "1"])
                try second.waitForEqualTable(to: first, atLeast: 500)
                let outside = try ["lan", "wan"].map { try cluster.frames(of: second, into: $0) }
                let before = try #require(try second.status())
                let (ids, epochFile) = (try Self.ids(second), second.controlFile + ".epoch")
                let epoch = try "\(#require(try first.status()).epoch)\n"
                try eventually("the master's epoch on the slave's disk") {
                    try String(contentsOfFile: epochFile, encoding: .utf8) == epoch
                }

                let result = try second.command(["rehearse", "--json"])
                #expect(result.status == 0, "\(result)")
                let rehearsal = try Self.object(result)
                #expect(rehearsal["ready"] as? Bool == true && rehearsal["node_id"] as? Int == 2)
                #expect(rehearsal["promotion_seconds"] as? Double ?? 0 > 0)
                let steps = try #require(rehearsal["steps"] as? [[String: Any]])
                let names = steps.compactMap { $0["name"] as? String }
                #expect(
                    names == ["receive", "epoch", "term", "announce", "l2drop", "timers"])
                #expect(steps.allSatisfy { $0["well"] as? Bool == true }, "\(steps)")
                let texts = steps.compactMap { $0["text"] as? String }
                #expect(texts[4] == "dark by netdev, all rules there; not opened")
                #expect(texts[5].hasSuffix(": the timers of 500 would start"), "\(texts[5])")
                #expect((rehearsal["missing"] as? [Any])?.isEmpty == true)
                // For a person.
                let text = try second.command(["rehearse"])
                #expect(text.status == 0)
                #expect(text.output.hasPrefix("node 2: a promotion would take "), "\(text)")

                let after = try #require(try second.status())
                #expect(after.role == .slave && after.isInSync && after.epoch == before.epoch)
                #expect(try Self.ids(second) == ids)
                #expect(try String(contentsOfFile: epochFile, encoding: .utf8) == epoch)
                #expect(outside.map { $0.take() } == [0, 0])
                #expect(try first.status()?.role == .master)
                let check = try second.command(["check"]).output
                #expect(check.contains("ok    takeover: a rehearsal "), "\(check)")

                let master = try first.command(["rehearse"])
                #expect(master.status == 1 && master.output.isEmpty)
                #expect(master.errors.hasSuffix("a slave rehearses: type it on node 2\n"))

                // The replicas still are what a promotion needs.
                try cluster.crash(first)
                try second.write("1\n")
                try second.waitForRole(.master)
                #expect(try Self.ids(second) == ids)
            }
        }

        /// What would have been missing is named, with what to type.
        @Test func whatIsMissingIsSaid() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                #expect(try second.command(["rehearse"]).status == 2)
                try cluster.startDaemons()
                try cluster.crash(first)
                try eventually("a silent master") { try second.status()?.isInSync == false }
                let result = try second.command(["rehearse", "--json"])
                #expect(result.status == 1, "\(result)")
                let rehearsal = try Self.object(result)
                #expect(rehearsal["ready"] as? Bool == false)
                let missing = try #require(rehearsal["missing"] as? [[String: Any]])
                #expect(missing.compactMap { $0["what"] as? String } == ["master_silent"])
                let text = try second.command(["rehearse"])
                #expect(text.status == 1)
                #expect(text.output.contains("    missing   node 1 is silent\n      try     ping "))
            }
        }
    }
}
