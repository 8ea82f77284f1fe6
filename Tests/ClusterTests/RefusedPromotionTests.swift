// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// A promotion for which the system has no room: the node is what it was, and says so.
    @Suite struct RefusedPromotionTests {
        private static let entries = 50

        /// No descriptor is free, then one, then two, ...: whichever step fails, the node is a slave, dark
        /// and without a thread of a master, until all of them succeed.
        @Test func aCommandThatFailsAtAnyStepLeavesASlave() throws {
            try withPair { cluster, first, second, limit in
                var refused = 0
                while refused < 60 {
                    try limit.leave(refused)
                    let result = try second.command(["promote"])
                    if result.status == 0 { break }
                    #expect(result.status == 1, "\(refused): \(result)")
                    #expect(result.errors.contains("Too many open files"), "\(refused): \(result)")
                    try Self.expectSlave(second, "\(refused) descriptors free")
                    #expect(try second.read() == "slave")
                    refused += 1
                }
                #expect(refused >= 4, "what a promotion needs")
                Self.expectNobodyBlamed(second)
                try limit.restore()
                try Self.expectMaster(second, followedBy: first, in: cluster)
            }
        }

        /// The same by the control file: it says slave again, and the daemon lives.
        @Test func aWordInTheFileThatIsRefusedCostsNothing() throws {
            try withPair { cluster, first, second, limit in
                for free in [2, 3, 5] {
                    let before = Self.refusals(second)
                    try limit.leave(free)
                    try second.write("1\n")
                    try eventually("a refusal with \(free) free", detail: { second.log }) {
                        Self.refusals(second) > before || second.daemon?.status != nil
                    }
                    try Self.expectSlave(second, "\(free) descriptors free")
                    try second.waitForRole(.slave)
                }
                try limit.restore()
                try second.write("1\n")
                try Self.expectMaster(second, followedBy: first, in: cluster)
            }
        }

        /// A daemon that can open nothing for seconds lives.
        @Test func aDaemonWithoutDescriptorsLives() throws {
            try withPair { cluster, _, second, limit in
                try limit.leave(0)
                let words = "the node's addresses cannot be read"
                // What it looks at each second it has looked at twice.
                try eventually("two looks", detail: { second.log }) {
                    second.log.components(separatedBy: words).count > 2
                        || second.daemon?.status != nil
                }
                try limit.restore()
                #expect(second.daemon?.status == nil, "\(second.log)")
                try cluster.waitInSync()
                Self.expectNobodyBlamed(second)
            }
        }

        /// A master and a slave with l2drop that has its entries.
        private func withPair(
            _ body: (Cluster, Firewall, Firewall, DescriptorLimit) throws -> Void
        ) throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try first.start(role: .master)
                try second.start(role: .slave, ["--l2drop", "1"])
                try cluster.waitInSync()
                try MadeEntries.create(0..<Self.entries, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: Self.entries)
                let limit = try DescriptorLimit(of: try #require(second.daemon).pid)
                try body(cluster, first, second, limit)
            }
        }

        private static func refusals(_ node: Firewall) -> Int {
            node.log.split(separator: "\n").count { $0.contains("the role cannot be changed") }
        }

        private static func expectSlave(_ node: Firewall, _ when: Comment) throws {
            #expect(try node.status()?.role == .slave, when)
            #expect(try isDark(node), when)
            #expect(try masterThreads(node) == [], when)
        }

        /// What it cannot look at, or looks at again, nobody has changed.
        private static func expectNobodyBlamed(_ node: Firewall) {
            #expect(!node.log.contains("somebody else has changed"), "\(node.log)")
        }

        private static func expectMaster(
            _ node: Firewall, followedBy other: Firewall, in cluster: Cluster
        ) throws {
            try node.waitForRole(.master)
            #expect(try !isDark(node))
            #expect(try masterThreads(node) == ["ct_sync_event", "ct_sync_init", "ct_sync_send"])
            try other.waitForRole(.slave)
            try MadeEntries.create(entries..<entries + 10, in: node.host)
            try other.waitForEqualTable(to: node, atLeast: entries + 10)
            try cluster.waitInSync()
        }

        /// The names of the threads that only a master has.
        private static func masterThreads(_ node: Firewall) throws -> [String] {
            let pid = try #require(node.daemon?.pid)
            return try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
                .compactMap { task in
                    FileManager.default.contents(atPath: "/proc/\(pid)/task/\(task)/comm")
                }
                .map { String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .newlines) }
                .filter { ["ct_sync_event", "ct_sync_init", "ct_sync_send"].contains($0) }
                .sorted()
        }
    }
}
