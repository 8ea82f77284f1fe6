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

    /// What it holds without a hole is what it held before the loss, however much it hears afterwards.
    @Test func aLossEndsWhatIsHeldWithoutAHole() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.announcement(9, oldest: 7))
        #expect(bench.slave.applied == 6)
        #expect(bench.slave.basis == Basis(epoch: 100, sequence: 2))
    }

    /// Numbers that were never there are nobody's last word.
    @Test func whatLedItAstrayIsNoLastWord() throws {
        let bench = try Bench()
        try bench.synchronize()
        let far: UInt64 = 1 << 40
        bench.receive(PacketBytes.announcement(far, oldest: far))
        for _ in 0..<2 {
            bench.receive(PacketBytes.announcement(2))
            bench.now += PacketOrder.regressionPatience
        }
        #expect(bench.slave.applied == 2)
        #expect(bench.slave.holding.latest == Basis(epoch: 100, sequence: 2))
        #expect(bench.slave.basis == Basis(epoch: 100, sequence: 2))
    }

    /// One packet with a sequence of 2^61 in the true master's name does not end replication: the
    /// master says less in every packet, and after a second the stream is begun anew.
    @Test func aStreamThatWasLedAstrayIsBegunAnew() throws {
        let bench = try Bench()
        try bench.synchronize()
        let far: UInt64 = 1 << 61
        bench.receive(PacketBytes.sync(far, [], oldest: far))
        #expect(bench.slave.applied == far)
        let end = bench.now + PacketOrder.regressionPatience
        while bench.now < end {
            bench.receive(PacketBytes.announcement(2))
            #expect(bench.slave.counters.restarts == 0)
            bench.now += 100 * Duration.millisecond
        }
        bench.receive(PacketBytes.announcement(2))
        #expect(bench.slave.counters.restarts == 1 && bench.slave.applied == 2)
        #expect(try bench.output().first?.0.type == .SLAVE_INITSYNC)
        bench.receive(PacketBytes.sync(3, [PacketBytes.bracket(.UPDATE, 2), Self.new]))
        bench.receive(PacketBytes.sync(4, [PacketBytes.bracket(.DELETE, 2)]))
        #expect(bench.slave.outOfSync(now: bench.now) == nil && bench.slave.table.aliveCount == 1)
    }

    /// A packet that was overtaken says less than was heard, and restarts nothing.
    @Test func oldPacketsRestartNothing() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.sync(3, []))
        for number in 0..<30 as Range<UInt64> {
            bench.receive(PacketBytes.announcement(1))
            bench.receive(PacketBytes.sync(4 + number, []))
            bench.now += 100 * Duration.millisecond
        }
        #expect(bench.slave.counters.restarts == 0 && bench.slave.applied == 33)
    }

    /// A master that had something a moment ago is not believed that it has nothing.
    @Test func anEmptyInitsyncOfAMasterThatHeldTheTableTakesNothing() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.sync(3, [Self.new]))
        func walk(_ number: UInt32, _ sequence: UInt64, _ copies: [[UInt8]] = []) {
            bench.receive(
                PacketBytes.sync(sequence, [PacketBytes.bracket(.UPDATE, number)] + copies))
            bench.receive(PacketBytes.sync(sequence + 1, [PacketBytes.bracket(.DELETE, number)]))
        }
        walk(2, 4)
        #expect(bench.slave.table.aliveCount == 1)
        #expect(bench.slave.outOfSync(now: bench.now) == .initsync)
        // It has it again.
        walk(3, 6, [PacketBytes.update(Self.entry, bits: MessageKind.initsync)])
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        // It says so long enough.
        bench.now += ReceivedInitsync.emptinessPatience
        walk(4, 8)
        #expect(bench.slave.table.aliveCount == 0)
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
    }

    /// The end of an initsync purges only what it proves.
    @Test func anUnprovedInitsyncConfirmsAndTakesNothing() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.sync(3, [Self.new]))
        let other = SampleEntries.plain[1]
        bench.receive(
            PacketBytes.sync(
                4,
                [
                    PacketBytes.bracket(.UPDATE, 2),
                    PacketBytes.update(other, bits: MessageKind.initsync),
                ]))
        var end = [UInt8](repeating: 0, count: Bracket.byteCount)
        end.withUnsafeMutableBytes { bytes in
            var span = bytes.mutableBytes
            var bracket = Bracket(number: 2, basis: Basis(epoch: .max, sequence: .max))
            bracket.isProved = false
            _ = bracket.write(.DELETE, &span, at: 0)
        }
        bench.receive(PacketBytes.sync(5, [end]))
        #expect(bench.slave.table.aliveCount == 2 && bench.slave.counters.purged == 0)
        #expect(bench.slave.counters.initsyncs == 1)
    }

    /// A master of other rules says by its initsync nothing of what it leaves out.
    @Test func whatOtherRulesMayLeaveOutStays() throws {
        for (rules, isOther) in [(0, false), (1, true)] as [(UInt32, Bool)] {
            let bench = try Bench()
            try bench.synchronize()
            bench.receive(PacketBytes.sync(3, [Self.new]))
            let copy = PacketBytes.update(SampleEntries.plain[1], bits: MessageKind.initsync)
            bench.receive(PacketBytes.sync(4, [PacketBytes.bracket(.UPDATE, 2), copy]))
            let end = PacketBytes.end(
                2, rules: rules == 0 ? bench.slave.filter.fingerprint : rules)
            bench.receive(PacketBytes.sync(5, [end]))
            // That is known before an announcement is heard.
            #expect((bench.slave.outOfSync(now: bench.now) == .rules) == isOther)
            #expect(bench.slave.table.aliveCount == (isOther ? 2 : 1))
            #expect(bench.slave.counters.purged == (isOther ? 0 : 1))
            #expect(!bench.slave.holding.hasMore)
            // The next master is to ask for what this one may not have.
            bench.receive(PacketBytes.announcement(0, from: 3, epoch: 101))
            #expect(bench.slave.holding.hasMore == isOther)
        }
    }

    /// What a master of other rules has said a part of, and leaves out since, is named by no walk: one after the
    /// other would be asked for.
    @Test func aPartOfWhatOtherRulesLeaveOutIsForgotten() throws {
        let bench = try Bench()
        try bench.synchronize()
        var partial = Self.entry
        partial.fields = .status
        bench.receive(PacketBytes.sync(3, [PacketBytes.update(partial)]))
        #expect(try bench.output().map(\.0.type) == [.SLAVE_INITSYNC])
        bench.receive(PacketBytes.sync(4, [PacketBytes.bracket(.UPDATE, 2)]))
        let other = PacketBytes.update(SampleEntries.plain[1], bits: MessageKind.initsync)
        let end = PacketBytes.end(2, rules: 1)
        bench.receive(PacketBytes.sync(5, [other, end]))
        #expect(bench.slave.outOfSync(now: bench.now) == .rules)
        #expect(bench.slave.table.insufficientCount == 0 && bench.slave.table.aliveCount == 1)
        bench.now += InitsyncRequest.longest
        #expect(try !bench.output().map(\.0.type).contains(.SLAVE_INITSYNC))
    }

    /// Who hears a master of other rules holds a part of what that says, however complete its initsync was.
    @Test func whatItHoldsOfOtherRulesIsNoBasis() throws {
        for rules in [0, 1] as [UInt32] {
            let bench = try Bench()
            bench.receive(PacketBytes.announcement(0))
            bench.receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1), Self.new]))
            let end = PacketBytes.end(
                1, rules: rules == 0 ? bench.slave.filter.fingerprint : rules)
            bench.receive(PacketBytes.sync(2, [end]))
            #expect(bench.slave.counters.initsyncs == 1 && !bench.slave.holding.isBranch)
            let whole = Basis(epoch: 100, sequence: 2)
            #expect(bench.slave.basis == (rules == 0 ? whole : .none))
            let isOther = rules != 0
            #expect(bench.slave.holding.hasMore == isOther && bench.slave.lacks == isOther)
            #expect(bench.slave.holding.latest == whole)
        }
    }

    /// Another node with the id of the master that is followed.
    @Test func twoMastersOfOneIdAreNoted() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.receive(PacketBytes.announcement(2, epoch: 99))
        #expect(bench.slave.counters.stale == 1 && bench.slave.counters.sameID == 0)
        let elsewhere = PeerAddress(address: Address(ipv4: 0xC633_6401), family: .ipv4, port: 9)
        bench.receive(PacketBytes.announcement(2, epoch: 99), from: elsewhere)
        #expect(bench.slave.counters.sameID == 1)
        #expect(bench.slave.drops[DropRecord.sameID]?.peer == elsewhere)
        // The true one is silent: its packets may come from anywhere.
        bench.now += SlaveProtocol.silence + 1
        bench.receive(PacketBytes.announcement(2, epoch: 99), from: elsewhere)
        #expect(bench.slave.counters.sameID == 1)
    }

    /// A master whose kernel sends no events says so.
    @Test func aMasterThatHearsNothingIsNotFollowedBlindly() throws {
        let bench = try Bench()
        try bench.synchronize()
        var header = PacketHeader(type: .MASTER_ANNOUNCE, nodeID: 1, epoch: 100, sequence: 2)
        header.oldest = 1
        var bytes = [UInt8](repeating: 0, count: PacketHeader.byteCount + Announcement.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            Announcement(areEventsOff: true).write(&span)
        }
        bench.receive(
            PacketBytes.sealed(header, Array(bytes.dropFirst(PacketHeader.byteCount))))
        #expect(bench.slave.outOfSync(now: bench.now) == .eventsOff)
        bench.receive(PacketBytes.announcement(2))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
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
        let copy = PacketBytes.update(SampleEntries.plain[1], bits: MessageKind.initsync)
        bench.receive(PacketBytes.sync(41, [PacketBytes.bracket(.UPDATE, 2), copy]))
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
        bench.now += ReportTimer.interval
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

    // MARK: For people

    private static func announcement(_ said: Announcement, sequence: UInt64 = 0) -> [UInt8] {
        var header = PacketHeader(
            type: .MASTER_ANNOUNCE, nodeID: 1, epoch: 100, sequence: sequence)
        header.oldest = 1
        var plain = said
        plain.traits = nil
        let last = said.traits.map { PacketBytes.traits($0) } ?? []
        return PacketBytes.sealed(header, PacketBytes.content { plain.write(&$0) } + last)
    }

    /// Only who tells its own is told, and only with the report of each second: no packet is answered by
    /// a larger one.
    @Test func traitsAreToldWithTheReportOfEachSecond() throws {
        let bench = try Bench()
        try bench.synchronize()
        bench.slave.traits = Traits()
        let plain = UInt16(PacketHeader.byteCount + SlaveReport.byteCount)
        func lengths(after time: UInt64 = ReportTimer.interval) throws -> [UInt16] {
            bench.now += time
            return try bench.output().map(\.0.length)
        }
        #expect(try lengths() == [plain])
        var theirs = Traits()
        theirs[.events] = 1
        bench.receive(Self.announcement(Announcement(traits: theirs), sequence: 2))
        #expect(bench.slave.announced.traits == theirs)
        #expect(try lengths() == [plain + UInt16(Traits.byteCount)])
        // What is asked for because of a gap, and after another master's first packet, is short.
        bench.receive(PacketBytes.sync(5, [Self.new]))
        #expect(try lengths(after: 3 * Duration.millisecond) == [plain + 12])
        bench.receive(PacketBytes.announcement(0, from: 3, epoch: 101))
        #expect(try lengths(after: 1) == [plain, plain])
    }

    /// A slave whose rules are others is not in sync, whatever its table says.
    @Test func rulesThatDifferAreNoSync() throws {
        let bench = try Bench()
        let own = bench.slave.filter.fingerprint
        try bench.synchronize()
        // An older master does not say its rules.
        bench.receive(Self.announcement(Announcement(), sequence: 2))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        bench.receive(Self.announcement(Announcement(rules: own &+ 1), sequence: 2))
        #expect(bench.slave.outOfSync(now: bench.now) == .rules)
        bench.receive(Self.announcement(Announcement(entryCount: 5, rules: own), sequence: 2))
        #expect(bench.slave.outOfSync(now: bench.now) == nil)
        #expect(bench.slave.announced.entryCount == 5)
        // Of another master nothing is known yet.
        bench.receive(PacketBytes.announcement(0, from: 3, epoch: 101))
        #expect(bench.slave.announced == Announcement())
    }

    @Test func requestsWithoutAnAnswerAreCounted() throws {
        let bench = try Bench()
        bench.receive(PacketBytes.announcement(0))
        for count in 1...4 {
            _ = try bench.output()
            #expect(bench.slave.unansweredRequests == count)
            bench.now += InitsyncRequest.longest
        }
        bench.receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)]))
        #expect(bench.slave.unansweredRequests == 0)
    }

    @Test func anInitsyncIsCounted() throws {
        let bench = try Bench()
        bench.receive(PacketBytes.announcement(0))
        #expect(!bench.slave.progress.isRunning)
        bench.receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)]))
        #expect(bench.slave.progress.isRunning && bench.slave.progress.count == 0)
        let copies = SampleEntries.plain.prefix(3).map {
            PacketBytes.update($0, bits: MessageKind.initsync)
        }
        bench.receive(PacketBytes.sync(2, Array(copies) + [Self.new]))
        #expect(bench.slave.progress.count == 3)
        bench.receive(PacketBytes.sync(3, [PacketBytes.bracket(.DELETE, 1)]))
        #expect(!bench.slave.progress.isRunning)
    }

    /// While no master is heard it says so, once a second, in a packet that nobody obeys.
    @Test func aSlaveWithoutAMasterSaysSo() throws {
        let bench = try Bench()
        var target = [UInt8](repeating: 0, count: 1_400)
        func hello() throws -> [UInt8]? {
            let now = bench.now
            let length = target.withUnsafeMutableBytes {
                bench.slave.hello(now: now, wallMicroseconds: 0, $0)
            }
            return length.map { Array(target[..<$0]) }
        }
        let packet = try #require(try hello())
        let header = try PacketBytes.header(of: packet)
        #expect(header.type == .NACK && header.epoch == 0 && header.nodeID == 2)
        #expect(try hello() == nil)
        bench.now += ReportTimer.interval
        #expect(try hello() != nil)
        bench.now += ReportTimer.interval
        bench.receive(PacketBytes.announcement(0))
        #expect(try hello() == nil)
        bench.now += SlaveProtocol.silence + 1
        #expect(try hello() != nil)

        // Another slave notes it, and does nothing else.
        let other = try Bench()
        var mine = PacketHeader(type: .NACK, nodeID: 9, epoch: 0, sequence: 0)
        mine.messageCount = 0
        let consequence = other.slave.receive(
            PacketBytes.sealed(mine, PacketBytes.report()).span.bytes, from: PacketBytes.peer,
            now: other.now, wallMicroseconds: 0)
        #expect(consequence == .none)
        #expect(other.slave.stranger?.nodeID == 9)
        #expect(other.slave.outOfSync(now: other.now) == .noMaster)
    }

    @Test func whereADroppedPacketCameFromIsKept() throws {
        let bench = try Bench()
        var packet = PacketBytes.announcement(0)
        packet[0] = 0x20
        bench.receive(packet)
        let last = try #require(bench.slave.drops[WireError.version.index])
        #expect(last.peer == PacketBytes.peer && last.at == bench.now && last.version == 0x20)
        bench.receive(PacketBytes.announcement(0, from: 2))
        #expect(bench.slave.drops[DropRecord.ownID] != nil)
        #expect(bench.slave.drops[WireError.short.index] == nil)
        // A sender of both families is shown by its IPv4 address.
        let six = PeerAddress(address: Address(high: 1, low: 2), family: .ipv6, port: 1)
        bench.receive(packet, from: six)
        #expect(bench.slave.drops[WireError.version.index]?.peer == PacketBytes.peer)
        bench.now += 3 * Duration.second
        bench.receive(packet, from: six)
        #expect(bench.slave.drops[WireError.version.index]?.peer == six)
    }
}
