// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

@testable import CTSync

extension ClusterTests {
    /// A sync link with a key: who has not got it sees nothing and changes nothing.
    @Suite struct SealedLinkTests {
        /// The same traffic without a key is the control: there the addresses are seen.
        @Test(arguments: [true, false])
        func aSealedStreamReplicatesAndShowsNoAddress(_ isSealed: Bool) throws {
            try scenario(replication: .on, starts: false) { cluster in
                let nodes = cluster.firewalls
                try KeyFiles(cluster: cluster).startPair(isSealed ? [1] : [])
                let capture = try LinkCapture(at: nodes[1], in: cluster)
                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(
                    from: cluster.client, to: Plan.service(ipv6: false))
                try connection.exchange()
                try MadeEntries.create(0..<2_000, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 2_001)
                // A takeover: the roles of sealing and opening change.
                try cluster.demote(nodes[0])
                try cluster.promote(nodes[1])
                try cluster.waitInSync()
                try connection.exchange()
                try MadeEntries.delete(0..<500, in: nodes[1].host)
                try nodes[0].waitForEqualTable(to: nodes[1], atLeast: 1_501)

                let datagrams = try capture.stop()
                #expect(datagrams.count > 20)
                // An MTU of 1,500 less the headers of IPv6 and UDP, envelope included.
                let largest = datagrams.map(\.count).max() ?? 0
                #expect((1_400...1_452).contains(largest))
                let shown =
                    Self.count(
                        datagrams, holding: [10, 1, 1, 0, 10, 2, 0, 2])
                    + Self.count(datagrams, holding: [10, 1, 0, 2, 10, 2, 0, 2])
                #expect(isSealed ? shown == 0 : shown > 10)
                let sealed = datagrams.filter { [5, 6].contains($0[1]) }.count
                #expect(sealed == (isSealed ? datagrams.count : 0))
                for node in nodes {
                    for reason in ["tag", "another_key", "unsealed", "message", "checksum"] {
                        #expect(try node.bad(reason) == 0, "\(reason) at \(node.name)")
                    }
                }
            }
        }

        /// Whatever a host on the wire itself sends without the key: a recording, whole, spoiled and
        /// cut off; forgeries without a seal and with another key.
        @Test func whoHasNotTheKeyChangesNothing() throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = Array(cluster.firewalls.prefix(2))
                try KeyFiles(cluster: cluster).startPair([1])
                let capture = try LinkCapture(at: nodes[1], in: cluster)
                try MadeEntries.create(0..<300, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 300)
                let resync = try nodes[1].command(["resync"])
                #expect(resync.status == 0)
                try eventually("the second initsync") {
                    try nodes[1].count("initsyncs_received") == 2
                }
                let recording = try capture.stop()
                #expect(recording.count > 10)

                let before = try Before(nodes)
                let wire = try ForgingSocket(
                    in: cluster.firewalls[2].host, ipv6: false, device: "sync0")
                let forged = ForgedPackets(against: before.epoch, nodeID: 1).all
                let attacks =
                    recording + Self.spoiled(recording) + forged
                    + (try Self.sealed(forged, with: 2))
                for target in [Plan.sync(1), Plan.sync(2), "224.0.0.254"] {
                    try wire.send(attacks, to: target, hopLimit: 255)
                }
                try MadeEntries.create(300..<310, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 310)
                try before.expectUnchanged(nodes)
                for node in nodes {
                    for reason in ["unsealed", "another_key", "tag", "replayed", "length"] {
                        #expect(try node.bad(reason) > 0, "\(reason) at \(node.name)")
                    }
                }
            }
        }

        /// A daemon that wants to be master, without a key and with another one.
        @Test(arguments: [[], [9]])
        func aMasterOfAnotherKeyChangesNothing(_ keys: [UInt8]) throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let nodes = Array(cluster.firewalls.prefix(2))
                let files = KeyFiles(cluster: cluster)
                try files.startPair([1])
                try MadeEntries.create(0..<100, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 100)
                let before = try Before(nodes)
                let other = cluster.firewalls[2]
                try files.write(keys, for: other)
                try files.start(other, .master)
                let own =
                    keys.isEmpty
                    ? "node 3 at 172.31.255.3 does not seal its packets"
                    : "node 3 at 172.31.255.3 speaks with another key"
                for node in nodes {
                    try eventually("\(node.name) says who it is") {
                        try node.strangers().contains(own)
                    }
                }
                let foreign =
                    keys.isEmpty
                    ? "node 1 at 172.31.255.1 seals its packets, and this node has no key"
                    : "node 1 at 172.31.255.1 speaks with another key"
                try eventually("it says it too") { try other.strangers().contains(foreign) }
                try MadeEntries.create(100..<110, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 110)
                try before.expectUnchanged(nodes)
                try other.stop()
                try eventually("it is over", within: 15) {
                    try nodes.allSatisfy { try $0.strangers().isEmpty }
                }
                for node in nodes {
                    try eventually("once, and once that it is over", detail: { node.log }) {
                        Self.lines(node.log, own) == 2
                    }
                }
            }
        }

        /// A recording of all that a master and a slave said, played to nodes that have just booted.
        @Test func aRecordingMeansNothingToANodeThatKnowsNothing() throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                let files = KeyFiles(cluster: cluster)
                for node in [master, slave] { try files.write([1], for: node) }
                let capture = try LinkCapture(at: slave, in: cluster)
                try files.startPair([1])
                try MadeEntries.create(0..<300, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 300)
                let recording = try capture.stop()
                for node in [master, slave] {
                    node.kill()
                    try node.flush()
                }
                let wire = try ForgingSocket(
                    in: cluster.firewalls[2].host, ipv6: false, device: "sync0")
                try files.start(slave, .slave)
                try wire.send(recording, to: Plan.sync(2), hopLimit: 255)
                try wire.send(recording, to: "224.0.0.254", hopLimit: 255)
                try eventually("all of it came") {
                    let (unproven, replayed) = (try slave.bad("unproven"), try slave.bad("own_id"))
                    return unproven + replayed > recording.count
                }
                #expect(try slave.status()?.isInSync == false)
                #expect(try slave.table().isEmpty && slave.count("opened", in: "seal") == 0)

                try files.start(master, .master)
                try wire.send(recording, to: Plan.sync(1), hopLimit: 255)
                try MadeEntries.create(0..<50, in: master.host)
                try cluster.waitInSync()
                try slave.waitForEqualTable(to: master, atLeast: 50)
                #expect(try slave.table().count == 50 && master.count("initsyncs_sent") <= 2)
            }
        }

        /// Each says it of the other, the slave as the reason why it is not in sync.
        @Test func bothNodesSayThatTheirKeysDiffer() throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                let files = KeyFiles(cluster: cluster)
                try files.write([1], for: master)
                try files.write([2], for: slave)
                try files.start(master, .master)
                try files.start(slave, .slave)
                let reason = "node 1 at 172.31.255.1 speaks with another key"
                try eventually("the slave says why") {
                    let values = try slave.values()
                    return values["reason_text"] as? String == reason
                        && values["reason"] as? String == "another_key"
                }
                try eventually("the master says it") {
                    try master.strangers() == ["node 2 at 172.31.255.2 speaks with another key"]
                }
                try eventually("the history has it", detail: { slave.log }) {
                    try slave.command(["history", "--json"]).output.contains("\"kind\": \"key\"")
                        && Self.lines(slave.log, "warning: \(reason)") == 1
                }
                try files.write([1], for: slave)
                slave.daemon?.signal(SIGHUP)
                try cluster.waitInSync()
                try eventually("it is over") { try master.strangers().isEmpty }
                try eventually("what it read again") {
                    slave.log.contains("notice: read again: key file")
                }
            }
        }

        // MARK: Attacks

        /// Each with a byte changed in every part of the envelope and in the content, and cut off.
        private static func spoiled(_ packets: [[UInt8]]) -> [[UInt8]] {
            packets.flatMap { packet in
                let places = [1, 2, 3, 5, 9, 23, 24, 39, 40, packet.count - 1]
                let changed = places.map { place in
                    var copy = packet
                    copy[place] ^= 4
                    return copy
                }
                return changed + [Array(packet.dropLast()), Array(packet.prefix(30)), packet + [0]]
            }
        }

        private static func sealed(_ packets: [[UInt8]], with byte: UInt8) throws -> [[UInt8]] {
            let key = try #require(SealKey([UInt8](repeating: byte, count: 32)))
            let ring = try SealKeyRing([key], cluster: "")
            let sealer = try Sealer(SealSession(nodeID: 77, salt: 77, keys: ring))
            return packets.map { packet in
                var datagram = [UInt8](repeating: 0, count: SealEnvelope.byteCount) + packet
                datagram.withUnsafeMutableBytes { sealer.seal($0) }
                return datagram
            }
        }

        private static func count(_ datagrams: [[UInt8]], holding pattern: [UInt8]) -> Int {
            let wanted = Data(pattern)
            return datagrams.filter { Data($0).range(of: wanted) != nil }.count
        }

        private static func lines(_ log: String, _ sentence: String) -> Int {
            log.split(separator: "\n").filter { $0.contains(sentence) }.count
        }

        /// How the nodes were before an attack.
        private struct Before {
            let epoch: UInt64
            let initsyncs: [Int]

            init(_ nodes: [Firewall]) throws {
                epoch = try #require(try nodes[0].status()).epoch
                initsyncs = [
                    try nodes[0].count("initsyncs_sent"), try nodes[1].count("initsyncs_received"),
                    try nodes[1].count("initsyncs_requested"),
                ]
            }

            func expectUnchanged(_ nodes: [Firewall]) throws {
                let after = try nodes.map { try #require(try $0.status()) }
                #expect(after[0].role == .master && after[1].role == .slave)
                #expect(after.allSatisfy { $0.epoch == epoch && $0.isInSync })
                #expect(try Before(nodes).initsyncs == initsyncs)
            }
        }
    }
}
