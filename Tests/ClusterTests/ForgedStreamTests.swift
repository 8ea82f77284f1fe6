// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

@testable import CTSync

extension ClusterTests {
    /// What a host on the wire itself can do with packets in the nodes' names, where there is no key.
    @Suite struct ForgedStreamTests {
        /// One packet in the master's name with a number that the master will never reach; it says that
        /// what is before it can be had again, or that it cannot.
        @Test(arguments: [1, 1 << 61] as [UInt64])
        func aStreamThatIsLedAstrayComesBack(_ oldest: UInt64) throws {
            try withPair { cluster, first, second in
                let epoch = try #require(try first.status()).epoch
                let walks = try second.count("initsyncs_received")
                let forger = try SpoofingSocket(in: cluster.firewalls[2].host, to: Plan.sync(2))
                let far = ForgedPackets.packet(.SYNC, 1, epoch, 1 << 61, [], oldest: oldest)
                try forger.send(far, from: Plan.sync(1))
                try eventually("a walk of a stream that began anew") {
                    try second.count("initsyncs_received") > walks
                }
                try MadeEntries.create(300..<310, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 310)
                try cluster.waitInSync()
            }
        }

        /// Requests for packets again, each for all there are 64 times over, as fast as the master takes
        /// them: what they bring out is the budget of one slave, and goes where that slave is. Packets are
        /// large, so that a slow machine could send more than that too.
        @Test func requestsBringOutTheBudgetAndGoToTheSlave() throws {
            let flags = ["--initsync-rate", "0"]
            try withPair(flags, entries: 6_000, mtu: 9_000) { cluster, first, second in
                let epoch = try #require(try first.status()).epoch
                let newest = UInt64(try first.count("sequence"))
                let forger = cluster.firewalls[2].host
                let spoofing = try SpoofingSocket(in: forger, to: Plan.sync(1))
                let own = try ForgingSocket(in: forger, ipv6: false, device: "sync0")
                let frames = try cluster.frames(of: first, into: "sync")
                let request = ForgedPackets.request(
                    for: 3...newest, times: SequenceRange.maximumCount, from: 2, epoch: epoch)
                let (again, began) = (try first.count("retransmitted"), Stopwatch.seconds())
                var seen: Set<UInt64> = []
                for _ in 0..<200 {
                    try spoofing.send(request, from: Plan.sync(2))
                    // Again from elsewhere: where a slave of that id is known not to be.
                    try own.send([request], to: Plan.sync(1), hopLimit: 255)
                    Self.note(frames, to: Plan.sync(3), &seen)
                    pause(0.005)
                }
                try eventually("something again") { try first.count("retransmitted") > again }
                let sent = try first.count("retransmitted") - again
                let seconds = Int(Stopwatch.seconds() - began) + 1
                let slot = 8_800
                #expect(sent * slot <= seconds * Retransmission.bytesPerSecond, "in \(seconds) s")
                // A slave of another id is given what it asks for, and nothing came there before.
                let other = ForgedPackets.request(for: 1...2, times: 1, from: 77, epoch: epoch)
                try eventually("an answer") {
                    try own.send([other], to: Plan.sync(1), hopLimit: 255)
                    Self.note(frames, to: Plan.sync(3), &seen)
                    return !seen.isEmpty
                }
                #expect(seen.allSatisfy { $0 < 3 }, "\(seen.sorted().suffix(10))")
                try cluster.waitInSync()
                _ = second
            }
        }

        /// Adds the numbers of the packets for an address.
        private static func note(
            _ frames: FrameCount, to address: String, _ seen: inout Set<UInt64>
        ) {
            let wanted = address.split(separator: ".").compactMap { UInt8($0) }
            _ = frames.take { bytes in
                // Ethernet 14, IP 20, UDP 8; then the packet's type at 1 and its number at 16.
                guard Array(bytes[30..<34]) == wanted, bytes[43] == 3 else { return false }
                seen.insert(bytes[58..<66].reduce(0) { $0 << 8 | UInt64($1) })
                return true
            }
        }

        private func withPair(
            _ flags: [String] = [], entries: Int = 300, mtu: Int = 1_500,
            _ body: (Cluster, Firewall, Firewall) throws -> Void
        ) throws {
            try scenario(firewalls: 3, replication: .on, starts: false) { cluster in
                for port in cluster.firewalls.map({ "sync-\($0.name)" }) + ["sync"] {
                    try cluster.changeSyncSwitch("link set \(port) mtu \(mtu)")
                }
                for node in cluster.firewalls { try node.host.ip("link set sync0 mtu \(mtu)") }
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<entries, in: first.host)
                try first.start(role: .master, ["--reconcile", "0"] + flags)
                try second.start(role: .slave, ["--reconcile", "0"])
                try cluster.waitInSync()
                try second.waitForEqualTable(to: first, atLeast: entries)
                try body(cluster, first, second)
            }
        }
    }
}
