// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a slave makes of packets, with a hand clock: packets in, packets and deadlines out.
@Suite struct SlaveProtocolTests {
    private final class Bench {
        let slave: SlaveProtocol
        var now: Instant = 10 * Duration.second

        init(capacity: Int = 64, own: [Address] = []) throws {
            slave = try SlaveProtocol(
                nodeID: 2, table: try ReplicaTable(capacity: capacity, seed: 1),
                filter: ReplicationFilter(ownAddresses: own, syncNetworks: []), ringSlots: 16,
                slotByteCount: 1_400)
        }

        func receive(_ packet: [UInt8], from peer: PeerAddress = PacketBytes.peer) {
            slave.receive(packet.span.bytes, from: peer, now: now, wallMicroseconds: 0)
        }

        /// What is due: the header and, of a NACK, the ranges.
        func output() throws -> [(PacketHeader, [SequenceRange])] {
            var packets: [(PacketHeader, [SequenceRange])] = []
            let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)
            defer { target.deallocate() }
            while let (length, peer) = slave.output(now: now, wallMicroseconds: 0, target) {
                #expect(peer == slave.masterAddress)
                let packet = Array(target[..<length])
                let header = try PacketBytes.header(of: packet)
                var ranges: [SequenceRange] = []
                for index in 0..<Int(header.messageCount) {
                    ranges.append(try SequenceRange.read(packet.span.bytes, index: index))
                }
                packets.append((header, ranges))
            }
            return packets
        }

        /// Brings it in sync with an empty table, up to packet 2.
        func synchronize() throws {
            receive(PacketBytes.announcement(0))
            _ = try output()
            receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)]))
            receive(PacketBytes.sync(2, [PacketBytes.bracket(.DELETE, 1)]))
            #expect(slave.outOfSync(now: now) == nil)
        }
    }

    private static let entry = SampleEntries.plain[0]
    private static let new = PacketBytes.update(entry, bits: MessageKind.new)

    @Test func aSlaveFollowsTheFirstMasterItHearsAndAsksForAnInitsync() throws {
        let bench = try Bench()
        #expect(bench.slave.outOfSync(now: bench.now) == .noMaster)
        #expect(bench.slave.deadline == nil)
        #expect(try bench.output().isEmpty)
        bench.receive(PacketBytes.announcement(41))
        #expect(bench.slave.applied == 41)
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        let packets = try bench.output()
        #expect(packets.map(\.0.type) == [.SLAVE_INITSYNC, .NACK])
        #expect(packets.allSatisfy { $0.0.sequence == 42 && $0.0.epoch == 100 })
        #expect(packets.allSatisfy { $0.0.nodeID == 2 && $0.1.isEmpty })
        #expect(bench.slave.deadline == bench.now + InitsyncRequest.shortest)
    }

    /// The link is trusted to tell the truth, but nothing that it tells ends the daemon.
    @Test func jumpsOfAnySizeAreCountedAndSurvived() throws {
        let bench = try Bench()
        let far: UInt64 = 1 << 62 - 1
        for epoch in 1_000...1_010 as ClosedRange<UInt64> {
            bench.receive(PacketBytes.announcement(0, epoch: epoch))
            bench.receive(PacketBytes.sync(far, [], epoch: epoch, oldest: far))
            #expect(bench.slave.master.epoch == epoch)
            #expect(bench.slave.applied == far)
        }
    }

    @Test func anEpochThatNoClockReachesIsRefused() throws {
        let bench = try Bench()
        try bench.synchronize()
        for epoch in [UInt64.max, MasterClaim.horizon + 1] {
            bench.receive(PacketBytes.announcement(0, from: 9, epoch: epoch))
            #expect(bench.slave.master.epoch == 100)
        }
        #expect(bench.slave.counters.bad[WireError.message.index] == 2)
        bench.receive(PacketBytes.announcement(0, from: 9, epoch: MasterClaim.horizon))
        #expect(bench.slave.master.epoch == MasterClaim.horizon)
    }

    @Test func nothingIsAskedForWhileTheKernelsTableIsRead() throws {
        let bench = try Bench()
        bench.slave.hasAdopted = false
        bench.receive(PacketBytes.announcement(0))
        #expect(try bench.output().map(\.0.type) == [.NACK])
        #expect(bench.slave.outOfSync(now: bench.now) == .adopting)
        // An initsync that ends meanwhile does not count.
        bench.receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)]))
        bench.receive(PacketBytes.sync(2, [PacketBytes.bracket(.DELETE, 1)]))
        bench.slave.hasAdopted = true
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        #expect(try bench.output().map(\.0.type) == [.SLAVE_INITSYNC])
    }

    @Test func aGapIsAskedForUntilItIsFilled() throws {
        let bench = try Bench()
        try bench.synchronize()
        let later = PacketBytes.sync(5, [PacketBytes.bracket(.DELETE, 9)])
        bench.receive(later)
        #expect(bench.slave.outOfSync(now: bench.now) == .gap)
        #expect(try bench.output().isEmpty)
        bench.now += GapTimer.reorderWait
        let nacks = try bench.output()
        #expect(nacks.map(\.1) == [[SequenceRange(first: 3, count: 2)]])
        #expect(nacks[0].0.sequence == 3)
        bench.now += GapTimer.shortest - 1
        #expect(try bench.output().isEmpty)
        bench.now += 1
        #expect(try bench.output().map(\.1) == [[SequenceRange(first: 3, count: 2)]])
        bench.receive(PacketBytes.sync(4, [PacketBytes.delete(Self.entry.key)]))
        bench.receive(later)
        #expect(bench.slave.table.aliveCount == 0)
        bench.receive(PacketBytes.sync(3, [Self.new]))
        // In order: made by 3, deleted by 4.
        #expect(bench.slave.table.aliveCount == 0)
        #expect(bench.slave.applied == 5)
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        #expect(bench.slave.counters.recovered == 2)
        #expect(bench.slave.counters.duplicates == 1)
        #expect(bench.slave.counters.nacks == 2)
    }

    @Test func anAnnouncementRevealsALostTail() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.announcement(4))
        #expect(bench.slave.outOfSync(now: bench.now) == .gap)
        bench.now += GapTimer.reorderWait
        #expect(try bench.output().map(\.1) == [[SequenceRange(first: 3, count: 2)]])
    }

    @Test func whatHasLeftTheBacklogTakesAnInitsync() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.sync(40, [Self.new], oldest: 30))
        #expect(bench.slave.counters.lost == 27)
        #expect(bench.slave.applied == 29)
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        #expect(try bench.output().map(\.0.type) == [.SLAVE_INITSYNC])
        // The rest of the gap is still filled, and the initsync must come after it.
        for sequence in 30...39 as ClosedRange<UInt64> {
            bench.receive(PacketBytes.sync(sequence, [], oldest: 30))
        }
        #expect(bench.slave.applied == 40)
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        bench.receive(PacketBytes.sync(41, [PacketBytes.bracket(.UPDATE, 2)]))
        bench.receive(PacketBytes.sync(42, [PacketBytes.bracket(.DELETE, 2)]))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        #expect(bench.slave.counters.purged == 1)
    }

    @Test func anInitsyncOfWhichAPacketIsLostDoesNotCount() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.sync(3, [Self.new]))
        bench.receive(PacketBytes.sync(4, [PacketBytes.bracket(.UPDATE, 2)]))
        bench.receive(PacketBytes.sync(40, [PacketBytes.bracket(.DELETE, 2)], oldest: 40))
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        #expect(bench.slave.table.aliveCount == 1)
        #expect(try bench.output().contains { $0.0.type == .SLAVE_INITSYNC })
        // Nor does the end of one whose begin was not heard.
        bench.receive(PacketBytes.sync(41, [PacketBytes.bracket(.DELETE, 3)]))
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
    }

    @Test func lostEventsPutASlaveOutOfSyncUntilTheNextInitsync() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.announcement(2, flags: .incomplete))
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        // The master begins unasked; the slave waits a moment before it asks.
        #expect(try bench.output().isEmpty)
        let begin = [PacketBytes.bracket(.UPDATE, 2)]
        bench.receive(PacketBytes.sync(3, begin, flags: .incomplete))
        bench.receive(PacketBytes.sync(4, [PacketBytes.bracket(.DELETE, 2)]))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        // Overtaken: it speaks of what was before.
        bench.receive(PacketBytes.announcement(2, flags: .incomplete))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        // Lost while an initsync runs: its end does not count.
        bench.receive(PacketBytes.sync(5, [PacketBytes.bracket(.UPDATE, 3)]))
        let end = [PacketBytes.bracket(.DELETE, 3)]
        bench.receive(PacketBytes.sync(6, end, flags: .incomplete))
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        bench.now += 1 * Duration.second
        #expect(try bench.output().map(\.0.type).contains(.SLAVE_INITSYNC))
    }

    @Test func theHigherClaimIsFollowedAndTheLowerOneDropped() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.sync(3, [Self.new], epoch: 99))
        bench.receive(PacketBytes.sync(3, [Self.new], from: 0, epoch: 100))
        #expect(bench.slave.counters.stale == 2)
        #expect(bench.slave.table.aliveCount == 0)
        let other = PeerAddress(address: Address(ipv4: 7), family: .ipv4, port: 7)
        bench.receive(PacketBytes.announcement(70, from: 3, epoch: 100), from: other)
        #expect(bench.slave.master == MasterClaim(epoch: 100, nodeID: 3))
        #expect(bench.slave.masterAddress == other)
        #expect(bench.slave.applied == 70)
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        bench.receive(PacketBytes.sync(3, [Self.new]))
        #expect(bench.slave.counters.stale == 3)
    }

    @Test func aFormerMasterFollowsOnlyWhatIsAboveItsClaim() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.slave.restart(after: MasterClaim(epoch: 500, nodeID: 2), holding: Holding())
        #expect(bench.slave.outOfSync(now: bench.now) == .noMaster)
        bench.receive(PacketBytes.announcement(1, epoch: 499))
        #expect(bench.slave.masterAddress == nil)
        bench.receive(PacketBytes.announcement(1, from: 3, epoch: 500))
        #expect(bench.slave.masterAddress != nil)
    }

    @Test func aSilentMasterLeavesNobodyInSync() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.now += SlaveProtocol.silence
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        bench.now += 1
        #expect(bench.slave.outOfSync(now: bench.now) == .silent)
        bench.receive(PacketBytes.announcement(2))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
    }

    @Test func aSlaveReportsHowFarItIs() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.now += SlaveProtocol.reportInterval
        #expect(bench.slave.deadline == bench.now)
        let report = try bench.output()
        #expect(report.map(\.0.type) == [.NACK])
        #expect(report[0].0.sequence == 3)
        #expect(report[0].1.isEmpty)
    }

    @Test func anIncompleteEntryTakesAnInitsync() throws {
        let bench = try Bench()
        try bench.synchronize()
        var partial = Self.entry
        partial.fields = .status
        bench.receive(PacketBytes.sync(3, [PacketBytes.update(partial)]))
        #expect(bench.slave.outOfSync(now: bench.now) == .insufficient)
        #expect(bench.slave.counters.insufficient == 1)
        #expect(try bench.output().map(\.0.type) == [.SLAVE_INITSYNC])
        bench.receive(PacketBytes.sync(4, [PacketBytes.delete(partial.key)]))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
    }

    @Test func aFullTableIsSaidAndAskedForAgain() throws {
        let bench = try Bench(capacity: 1)
        try bench.synchronize()
        let other = PacketBytes.update(SampleEntries.plain[1], bits: MessageKind.new)
        bench.receive(PacketBytes.sync(3, [Self.new, other]))
        #expect(bench.slave.outOfSync(now: bench.now) == .full)
        #expect(bench.slave.counters.tableFull == 1)
        #expect(try bench.output().isEmpty)
        bench.receive(PacketBytes.sync(4, [PacketBytes.delete(Self.entry.key)]))
        bench.now += SlaveProtocol.fullRetry
        #expect(try bench.output().map(\.0.type).contains(.SLAVE_INITSYNC))
    }

    @Test func aSlavesOwnConnectionsAreLeftAlone() throws {
        let bench = try Bench(own: [Self.entry.key.tuple.source])
        try bench.synchronize()
        bench.receive(PacketBytes.sync(3, [Self.new, PacketBytes.delete(Self.entry.key)]))
        #expect(bench.slave.counters.leftOut == 1)
        #expect(bench.slave.table.book.pool.count == 0)
    }
}
