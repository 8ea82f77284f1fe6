// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// Two sync devices, of other families and MTUs: whatever becomes of one, nothing is lost. That
    /// nothing is late by more than 300 ms is shown with a hand clock (Simulation/TwoLinksTests).
    @Suite struct TwoLinksTests {
        private static let flags = ["--syncdev", "sync1"]

        @Test func oneOfTwoLinksIsEnough() throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.addSyncLink()
                let files = KeyFiles(cluster: cluster)
                for node in cluster.firewalls {
                    try files.write([1], for: node)
                    try node.start(
                        role: node.id == 1 ? .master : .slave,
                        Self.flags + ["--config", files.configuration(node)])
                }
                try cluster.waitInSync()
                try Self.waitForStream(over: "sync0", of: master)
                var entries = 0
                func replicate() throws {
                    try MadeEntries.create(entries..<entries + 200, in: master.host)
                    entries += 200
                    try slave.waitForEqualTable(to: master, atLeast: entries)
                }
                try replicate()
                let before = try Self.counts(slave)

                // A cable is pulled, and put in again.
                try cluster.cutSync(slave)
                try replicate()
                try Self.waitForStream(over: "sync1", of: master)
                try cluster.restoreSync(slave)
                try Self.waitForStream(over: "sync0", of: master)

                // One direction is cut; meanwhile the master's device is deleted, and made again.
                try slave.loseArriving(percent: 100)
                try replicate()
                try Self.waitForStream(over: "sync1", of: master)
                try cluster.remakeSyncDevice(of: master, after: 0) { try replicate() }
                try slave.loseArriving(percent: 0)
                try Self.waitForStream(over: "sync0", of: master)

                // A third of it is lost.
                try slave.loseArriving(percent: 30)
                try replicate()
                try Self.waitForStream(over: "sync1", of: master)
                try slave.loseArriving(percent: 0)
                try Self.waitForStream(over: "sync0", of: master)
                try replicate()
                #expect(try Self.counts(slave) == before)
                #expect(try slave.status()?.isInSync == true)
                // What came by both is no attack.
                for node in cluster.firewalls {
                    #expect(try node.bad("replayed") == 0, "\(node.name): \(node.statusLine)")
                }
                #expect(try slave.count("packets_duplicate") > 0)
            }
        }

        /// One of the devices is not there when the daemon starts, and comes later.
        @Test func aDeviceMayComeLate() throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.addSyncLink()
                try slave.host.ip("link del sync1")
                for node in cluster.firewalls {
                    try node.start(role: node.id == 1 ? .master : .slave, Self.flags)
                }
                try cluster.waitInSync()
                #expect(slave.log.contains("device sync1: No such device; the other sync links"))
                try cluster.addSyncLink(of: slave)
                try eventually("the slave hears by both") {
                    try Self.links(slave).filter { $0["id"] is NSNumber }.count == 2
                }
                try cluster.cutSync(slave)
                try MadeEntries.create(0..<50, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 50)
                let text = try master.statusCommand(json: false).output
                #expect(text.contains("LINK") && text.contains("sync1"), "\(text)")
            }
        }

        /// Both devices of each node are at one switch: each hears what is meant for the other, and the
        /// node's own packets. That is said, and nobody is told that two nodes have one id.
        @Test(arguments: [false, true])
        func bothDevicesOnOneSegment(_ isSealed: Bool) throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.addSyncLink()
                let files = KeyFiles(cluster: cluster)
                for node in cluster.firewalls {
                    try cluster.changeSyncSwitch("link set sync2-\(node.name) master sync")
                    try node.host.ip("addr add 172.31.254.\(node.id)/24 dev sync1")
                    try files.write(isSealed ? [1] : [], for: node)
                    try node.start(
                        role: node.id == 1 ? .master : .slave,
                        Self.flags + ["--config", files.configuration(node)])
                }
                try cluster.waitInSync()
                try Self.waitForStream(over: "sync0", of: master)
                let sentence =
                    "packets of one sync device come by another one (sync0, sync1); each needs a segment "
                    + "of its own"
                try eventually("the master says it", detail: { master.statusLine }) {
                    try master.statusCommand(json: false).output.contains(sentence)
                }
                let before = try Self.counts(slave)
                try MadeEntries.create(0..<200, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 200)
                try cluster.cutSync(slave)
                try MadeEntries.create(200..<400, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 400)
                try cluster.restoreSync(slave)
                try MadeEntries.create(400..<600, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 600)
                #expect(try Self.counts(slave) == before)
                for node in cluster.firewalls {
                    #expect(try node.bad("another_link") > 0, "\(node.name)")
                    #expect(try node.bad("own_id") == 0, "\(node.name)")
                    #expect(!node.log.contains("another node"), "\(node.log)")
                }
            }
        }

        private static func links(_ node: Firewall) throws -> [[String: Any]] {
            try #require(try node.values()["links"] as? [[String: Any]])
        }

        private static func waitForStream(over device: String, of master: Firewall) throws {
            try eventually(
                "the stream over \(device) alone", detail: { master.statusLine }
            ) {
                let used = try links(master).filter { $0["stream"] as? Bool == true }
                return Set(used.compactMap { $0["device"] as? String }) == [device]
            }
        }

        /// What must not happen.
        private static func counts(_ slave: Firewall) throws -> [Int] {
            try ["packets_lost", "initsyncs_requested", "initsyncs_received"].map {
                try slave.count($0)
            }
        }
    }
}
