// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct MasterProtocolTests {
    private static let claim = MasterClaim(epoch: 100, nodeID: 5)

    private static func make() throws -> (MasterProtocol, SendRing) {
        let ring = try SendRing(slotCount: 16, slotByteCount: 400, wake: nil)
        ring.reset(epoch: claim.epoch, nodeID: claim.nodeID)
        let master = MasterProtocol(ring: ring)
        master.start(claim)
        return (master, ring)
    }

    private static func receive(
        _ master: MasterProtocol, _ packet: [UInt8], now: Instant = 1
    ) -> MasterProtocol.Consequence {
        master.receive(packet.span.bytes, from: PacketBytes.peer, now: now)
    }

    private static func slavePacket(
        _ type: PacketHeader.PacketType, _ sequence: UInt64, from id: UInt8 = 2,
        epoch: UInt64 = 100,
        ranges: [SequenceRange] = [], report: SlaveReport = SlaveReport(), traits: Traits? = nil
    ) -> [UInt8] {
        var header = PacketHeader(type: type, nodeID: id, epoch: epoch, sequence: sequence)
        header.messageCount = UInt16(ranges.count)
        var content: [UInt8] = []
        for range in ranges {
            withUnsafeBytes(of: range.first.bigEndian) { content += Array($0) }
            withUnsafeBytes(of: range.count.bigEndian) { content += Array($0) }
        }
        let last = traits.map { PacketBytes.traits($0) } ?? []
        return PacketBytes.sealed(header, content + PacketBytes.report(report) + last)
    }

    /// Whether the packets say that events were lost.
    private static func isIncomplete(_ ring: SendRing) throws -> Bool {
        var target = [UInt8](repeating: 0, count: SendRing.announcementByteCount)
        _ = target.withUnsafeMutableBytes {
            ring.writeAnnouncement(Announcement(), $0, clockMicroseconds: 0)
        }
        return try PacketBytes.header(of: target).flags.contains(.incomplete)
    }

    /// Begins and ends a walk; false where none is wanted.
    private static func walk(
        _ master: MasterProtocol, _ ring: SendRing, now: Instant = 1
    ) -> Bool {
        guard let number = master.beginInitsync(now: now),
            let begin = ring.append(Bracket(number: number), .UPDATE)
        else { return false }
        master.initsyncBegan(in: begin)
        master.initsyncEnded(isWhole: true)
        return true
    }

    /// A packet that is not what its header says is no claim, however high, and no sign of life.
    @Test func aPacketIsCheckedBeforeAnythingFollows() throws {
        let (master, _) = try Self.make()
        let message = PacketBytes.bracket(.UPDATE, 1)
        var header = PacketHeader(type: .SYNC, nodeID: 9, epoch: 200, sequence: 1)
        header.oldest = 1
        for count in [0, 2, 65_535] as [UInt16] {
            header.messageCount = count
            #expect(Self.receive(master, PacketBytes.sealed(header, message)) == .none)
        }
        header.messageCount = 1
        var long = message
        long[1] += 1
        #expect(Self.receive(master, PacketBytes.sealed(header, long)) == .none)

        let short = PacketHeader(type: .MASTER_ANNOUNCE, nodeID: 9, epoch: 200, sequence: 1)
        #expect(Self.receive(master, PacketBytes.sealed(short, [0])) == .none)

        // No report, a range too few, and an empty one behind a good one.
        var nack = PacketHeader(type: .NACK, nodeID: 2, epoch: 100, sequence: 1)
        nack.messageCount = 2
        let range: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
        let empty: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        for content in [range + range, range, range + empty + PacketBytes.report()] {
            #expect(Self.receive(master, PacketBytes.sealed(nack, content)) == .none)
        }
        #expect(master.counters.bad[WireError.message.index] == 8)
        #expect(master.peers.isEmpty && master.nextAgain(now: .max) == nil)
        #expect(
            Self.receive(master, PacketBytes.sealed(header, message))
                == .superseded(MasterClaim(epoch: 200, nodeID: 9)))
    }

    @Test(
        arguments: [
            // Epoch and id of another master's packet, whether this node gives way.
            (101, 1, true), (100, 6, true), (100, 4, false), (99, 200, false),
        ] as [(UInt64, UInt8, Bool)])
    func onlyAHigherClaimSupersedes(_ epoch: UInt64, _ id: UInt8, _ givesWay: Bool) throws {
        let (master, _) = try Self.make()
        let expected: MasterProtocol.Consequence =
            givesWay ? .superseded(MasterClaim(epoch: epoch, nodeID: id)) : .beaten
        for packet in [
            PacketBytes.announcement(1, from: id, epoch: epoch),
            PacketBytes.sync(1, [], from: id, epoch: epoch),
        ] {
            #expect(Self.receive(master, packet) == expected)
        }
        #expect(master.counters.stale == (givesWay ? 0 : 2))
    }

    @Test func itsOwnIdAndOtherEpochsAreDropped() throws {
        let (master, _) = try Self.make()
        #expect(Self.receive(master, PacketBytes.announcement(1, from: 5, epoch: 900)) == .none)
        #expect(master.counters.ownID == 1)
        for epoch in [99, 101] as [UInt64] {
            let packet = Self.slavePacket(.SLAVE_INITSYNC, 1, epoch: epoch)
            #expect(Self.receive(master, packet) == .none)
        }
        #expect(master.counters.stale == 2)
        #expect(master.beginInitsync(now: 1) == nil)
        #expect(master.peers.isEmpty)
    }

    /// Packets that have been sent.
    private static func send(_ count: Int, _ ring: SendRing) {
        for _ in 0..<count {
            _ = ring.append(Bracket(number: 1), .UPDATE)
            ring.flush()
        }
        ring.markSent(count)
    }

    /// A slave that is not to ask for packets any more keeps no walk waiting, but has not applied them: a donor
    /// takes that for the word that all of its walk was taken.
    @Test func whatIsGivenUpIsNotApplied() throws {
        let (master, ring) = try Self.make()
        Self.send(12, ring)
        #expect(Self.receive(master, Self.slavePacket(.NACK, 2)) == .none)
        #expect(!master.areAllApplied && !master.mayWalk(now: 1))
        ring.giveUp(above: 400)
        #expect(Self.receive(master, Self.slavePacket(.NACK, 2)) == .none)
        #expect(!master.areAllApplied && master.mayWalk(now: 1))
        #expect(Self.receive(master, Self.slavePacket(.NACK, 13)) == .none)
        #expect(master.areAllApplied)
    }

    /// A slave that was led astray, or a forged NACK, says so: what is sent later it has not applied.
    @Test func nobodyHasAppliedWhatThereIsNotYet() throws {
        for sequence: UInt64 in [0, 14, 1 << 40] {
            let (master, ring) = try Self.make()
            Self.send(12, ring)
            #expect(Self.receive(master, Self.slavePacket(.NACK, sequence)) == .none)
            Self.send(12, ring)
            #expect(!master.areAllApplied, "\(sequence)")
        }
    }

    /// A forged NACK in a slave's name moves neither its address nor any packet.
    @Test func aSlaveIsAnsweredWhereItIs() throws {
        let (master, ring) = try Self.make()
        Self.send(12, ring)
        #expect(Self.receive(master, Self.slavePacket(.NACK, 7)) == .none)
        let nack = Self.slavePacket(.NACK, 3, ranges: [SequenceRange(first: 3, count: 2)])
        let elsewhere = PeerAddress(address: Address(ipv4: 0xC633_6401), family: .ipv4, port: 9)
        func forge(_ now: Instant) -> MasterProtocol.Consequence {
            nack.withUnsafeBytes { master.receive($0.bytes, from: elsewhere, now: now) }
        }
        #expect(forge(2) == .none)
        #expect(master.againDue == nil)
        #expect(master.peers.map(\.address) == [PacketBytes.peer])
        // One that has moved is silent where it was.
        #expect(forge(2 + MasterProtocol.addressPatience) == .sendAgain)
    }

    @Test func aNackQueuesWhatItNames() throws {
        let (master, ring) = try Self.make()
        Self.send(12, ring)
        #expect(Self.receive(master, Self.slavePacket(.NACK, 7)) == .none)
        let ranges = [SequenceRange(first: 3, count: 2), SequenceRange(first: 9, count: 1)]
        let nack = Self.slavePacket(.NACK, 3, ranges: ranges)
        #expect(Self.receive(master, nack) == .sendAgain)
        #expect(Self.receive(master, nack) == .none)
        #expect(master.againDue != nil)
        var sequences: [UInt64] = []
        while let item = master.nextAgain(now: .max) { sequences.append(item.sequence) }
        #expect(sequences == [3, 4, 9])
        #expect(master.peers.map(\.nodeID) == [2])
        #expect(master.peers.map(\.applied) == [2])
        #expect(master.counters.asked == 3)
        let later = Retransmission.pause + 1
        #expect(Self.receive(master, nack, now: later) == .sendAgain)
    }

    @Test func aRequestIsServedByAWalkThatBeginsAfterIt() throws {
        let (master, ring) = try Self.make()
        #expect(Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 1)) == .initsync)
        #expect(Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 1)) == .none)
        #expect(Self.walk(master, ring))
        #expect(!Self.walk(master, ring))
        // The slave has yet to see that begin.
        #expect(Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 1)) == .none)
        #expect(Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 2)) == .initsync)
        #expect(Self.walk(master, ring))
    }

    @Test func lostEventsAreSaidUntilAWalkHasBegunBehindThem() throws {
        let (master, ring) = try Self.make()
        master.lostEvents()
        #expect(try Self.isIncomplete(ring))
        // What was queued before the loss is still to come.
        #expect(!Self.walk(master, ring))
        #expect(Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 1)) == .initsync)
        #expect(Self.walk(master, ring))
        #expect(try Self.isIncomplete(ring))
        #expect(master.caughtUp())
        #expect(!master.caughtUp())
        #expect(Self.walk(master, ring))
        #expect(try !Self.isIncomplete(ring))
        // Lost while it runs: another one.
        master.requireInitsync()
        let number = try #require(master.beginInitsync(now: 1))
        master.lostEvents()
        master.initsyncBegan(in: ring.append(Bracket(number: number), .UPDATE) ?? 0)
        #expect(master.caughtUp())
        master.initsyncEnded(isWhole: true)
        #expect(try Self.isIncomplete(ring))
        #expect(Self.walk(master, ring, now: 1 + Backoff.shortest))
        #expect(try !Self.isIncomplete(ring))
        #expect(master.losses == 2)
    }

    /// A master that could not say all of what its kernel has: that is later than what it said.
    @Test func whatItsKernelHasIsLaterThanWhatItSaid() throws {
        let (master, ring) = try Self.make()
        #expect(Self.walk(master, ring) == false)
        master.requireInitsync()
        #expect(Self.walk(master, ring))
        let said = Basis(epoch: 100, sequence: ring.lastClosed)
        #expect(master.finalHolding.latest == said)
        master.lostEvents()
        #expect(master.finalHolding.latest > said)
        #expect(master.caughtUp())
        #expect(Self.walk(master, ring))
        #expect(master.finalHolding.latest == Basis(epoch: 100, sequence: ring.lastClosed))
    }

    /// A kernel that loses events all the time is walked ever more seldom, whoever asks.
    @Test func repairsBackOff() throws {
        let (master, ring) = try Self.make()
        var now: Instant = 1
        var pauses: [UInt64] = []
        for _ in 0..<8 {
            master.lostEvents()
            #expect(master.caughtUp())
            let before = now
            while !Self.walk(master, ring, now: now) {
                _ = Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 900), now: now)
                let due = try #require(master.repairDue)
                #expect(due > now && !Self.walk(master, ring, now: due - 1))
                now = due
            }
            pauses.append((now - before) / Duration.second)
        }
        #expect(pauses == [0, 1, 2, 4, 8, 16, 30, 30])
        // After a quiet time the first is at once again; what a slave asks for never waits.
        master.requireInitsync()
        #expect(Self.walk(master, ring, now: now))
        now += 3 * Backoff.longest
        master.lostEvents()
        #expect(master.caughtUp() && Self.walk(master, ring, now: now))
    }

    /// As long as the kernel sends no events every packet says so, and walks back off.
    @Test func aKernelWithoutEventsIsSaidWhateverIsWalked() throws {
        let (master, ring) = try Self.make()
        master.areEventsOff = true
        #expect(try Self.isIncomplete(ring))
        master.requireInitsync()
        #expect(Self.walk(master, ring))
        #expect(try Self.isIncomplete(ring))
        master.requireInitsync()
        #expect(!Self.walk(master, ring))
        master.areEventsOff = false
        master.lostEvents()
        #expect(master.caughtUp() && Self.walk(master, ring, now: 1 + Backoff.shortest))
        #expect(try !Self.isIncomplete(ring))
    }

    /// A walk is no more than a window ahead of the slowest slave that gets on.
    @Test func aWalkIsAsFastAsTheSlowestThatGetsOn() throws {
        let (master, ring) = try Self.make()
        #expect(master.window == 4)
        #expect(Self.receive(master, Self.slavePacket(.NACK, 1), now: 1) == .none)
        Self.send(4, ring)
        #expect(master.mayWalk(now: 2))
        Self.send(1, ring)
        #expect(!master.mayWalk(now: 2))
        // It has applied one; then no more, though it is heard.
        #expect(Self.receive(master, Self.slavePacket(.NACK, 2), now: 3) == .none)
        #expect(master.mayWalk(now: 3))
        Self.send(1, ring)
        let later = 3 + MasterProtocol.walkPatience
        #expect(Self.receive(master, Self.slavePacket(.NACK, 2), now: later - 1) == .none)
        #expect(!master.mayWalk(now: later - 1))
        #expect(master.mayWalk(now: later))
        // It gets on again.
        #expect(Self.receive(master, Self.slavePacket(.NACK, 3), now: later) == .none)
        #expect(master.mayWalk(now: later))
        Self.send(1, ring)
        #expect(!master.mayWalk(now: later))
    }

    /// Two nodes of one id, as their master hears them: noted as long as both are there.
    @Test func twoSlavesOfOneIdAreNoted() throws {
        let (master, _) = try Self.make()
        let elsewhere = PeerAddress(address: Address(ipv4: 0xC633_6401), family: .ipv4, port: 9)
        let report = Self.slavePacket(.NACK, 1)
        for now in [1, 2, 3] as [Instant] {
            #expect(Self.receive(master, report, now: now) == .none)
            _ = report.withUnsafeBytes { master.receive($0.bytes, from: elsewhere, now: now) }
        }
        #expect(master.counters.sameID == 2)
        #expect(master.drops[DropRecord.sameID]?.peer == elsewhere)
        let later = 3 + MasterProtocol.addressPatience
        #expect(Self.receive(master, report, now: later) == .none)
        #expect(master.counters.sameID == 2)
    }

    /// What the later one hands over is not taken for what another hands over after it.
    @Test(arguments: [2, 3] as [UInt8]) func theNodeOfTheLaterWordIsAskedFirst(
        _ later: UInt8
    ) throws {
        let (master, _) = try Self.make()
        for id in [2, 3] as [UInt8] {
            var report = SlaveReport()
            report.holding.hasMore = true
            report.holding.latest = Basis(epoch: 50, sequence: id == later ? 8 : 7)
            _ = Self.receive(master, Self.slavePacket(.NACK, 1, from: id, report: report))
        }
        guard case .take(let id, _, _) = master.nextOfWholeness(applied: 0, now: 2) else {
            Issue.record("nothing is taken over")
            return
        }
        #expect(id == later)
    }

    /// A master that takes a table over, on a kernel that has nothing to tell.
    @Test func aTakeOverIsToldByAWalkWithoutAnyEvent() throws {
        let (master, ring) = try Self.make()
        var report = SlaveReport()
        report.holding.basis = Basis(epoch: 50, sequence: 7)
        _ = Self.receive(master, Self.slavePacket(.NACK, 1, report: report))
        guard case .take(2, _, _) = master.nextOfWholeness(applied: 0, now: 2) else {
            Issue.record("nothing is taken over")
            return
        }
        #expect(try Self.isIncomplete(ring))
        // Not before all is taken and the timers run.
        #expect(!Self.walk(master, ring))
        master.took(from: 2)
        master.timersRun()
        #expect(Self.walk(master, ring))
        #expect(try !Self.isIncomplete(ring))
    }

    /// The last words of a master that has stopped went to nobody: its node has them, and says so as soon as it
    /// runs again.
    @Test(arguments: [(7, false), (8, true)] as [(UInt64, Bool)])
    func whatAnEarlierProcessLeftIsTakenIfItIsLater(_ left: UInt64, _ isTaken: Bool) throws {
        let (master, _) = try Self.make()
        let heard = Basis(epoch: 50, sequence: 7)
        master.inherited(Holding(basis: heard, latest: heard))
        var report = SlaveReport()
        report.holding.latest = Basis(epoch: 50, sequence: left)
        report.holding.hasUnproved = true
        _ = Self.receive(master, Self.slavePacket(.NACK, 1, report: report))
        var takes = false
        if case .take(2, _, _) = master.nextOfWholeness(applied: 0, now: 2) { takes = true }
        #expect(takes == isTaken)
    }

    /// What a slave saw after it was taken from has a later word, and it is asked again at once.
    @Test func aSlaveThatSawMoreSinceIsAskedAgain() throws {
        let (master, _) = try Self.make()
        func next(_ sequence: UInt64, _ now: Instant) -> Wholeness.Step {
            var report = SlaveReport()
            report.holding.latest = Basis(epoch: 50, sequence: sequence)
            report.holding.hasMore = true
            _ = Self.receive(master, Self.slavePacket(.NACK, 1, report: report), now: now)
            return master.nextOfWholeness(applied: 0, now: now)
        }
        guard case .take(2, _, _) = next(7, 2) else {
            Issue.record("nothing is taken over")
            return
        }
        master.took(from: 2)
        if case .take = next(7, 3) { Issue.record("the same is taken again") }
        guard case .take(2, _, _) = next(8, 4) else {
            Issue.record("what came since is not taken")
            return
        }
    }

    /// At the donor's rate a large table takes longer than the limit; one that hands over nothing is left.
    @Test func aHandoverThatGoesOnIsWaitedFor() throws {
        let (master, _) = try Self.make()
        var report = SlaveReport()
        report.holding.basis = Basis(epoch: 50, sequence: 7)
        func next(applied: UInt64, _ now: Instant) -> Wholeness.Step {
            _ = Self.receive(master, Self.slavePacket(.NACK, 1, report: report), now: now)
            return master.nextOfWholeness(applied: applied, now: now)
        }
        guard case .take(2, _, _) = next(applied: 0, 2) else {
            Issue.record("nothing is taken over")
            return
        }
        var now: Instant = 2
        for applied in 1...4 as ClosedRange<UInt64> {
            now += Wholeness.limit - 1
            guard case .wait = next(applied: applied, now) else {
                Issue.record("given up on at \(applied)")
                return
            }
        }
        #expect(next(applied: 4, now + Wholeness.limit) == .leave)
    }

    @Test func whatASlaveTellsOfItsKernelStays() throws {
        let (master, ring) = try Self.make()
        Self.send(4, ring)
        var traits = Traits()
        traits[.tcpLoose] = 1
        _ = Self.receive(master, Self.slavePacket(.NACK, 1))
        #expect(master.peers.map(\.traits) == [nil])
        let ranges = [SequenceRange(first: 3, count: 2)]
        _ = Self.receive(master, Self.slavePacket(.NACK, 3, ranges: ranges, traits: traits))
        #expect(master.peers.map(\.traits) == [traits])
        // Not every packet has them.
        _ = Self.receive(master, Self.slavePacket(.NACK, 4))
        #expect(master.peers.map(\.traits) == [traits] && master.peers[0].applied == 3)
        traits[.tcpLoose] = 0
        _ = Self.receive(master, Self.slavePacket(.NACK, 4, traits: traits))
        #expect(master.peers.map(\.traits) == [traits])
    }

    @Test func aNewTermForgetsTheOldOnesSlaves() throws {
        let (master, ring) = try Self.make()
        _ = Self.receive(master, Self.slavePacket(.SLAVE_INITSYNC, 1))
        let ranges = [SequenceRange(first: 3, count: 2)]
        _ = Self.receive(master, Self.slavePacket(.NACK, 3, ranges: ranges))
        master.lostEvents()
        master.start(MasterClaim(epoch: 200, nodeID: 5))
        ring.reset(epoch: 200, nodeID: 5)
        #expect(master.againDue == nil)
        #expect(master.beginInitsync(now: 1) == nil)
        #expect(master.peers.isEmpty)
        #expect(!master.caughtUp())
    }

    @Test func malformedPacketsAreCounted() throws {
        let (master, _) = try Self.make()
        let nack = Self.slavePacket(.NACK, 3, ranges: [SequenceRange(first: 3, count: 0)])
        for packet in [[1, 2], nack] { #expect(Self.receive(master, packet) == .none) }
        var header = PacketHeader(type: .NACK, nodeID: 2, epoch: 100, sequence: 1)
        header.messageCount = 9
        #expect(Self.receive(master, PacketBytes.sealed(header, [1, 2])) == .none)
        #expect(master.counters.bad[WireError.short.index] == 1)
        #expect(master.counters.bad[WireError.message.index] == 2)
    }

    /// A slave that hears no master is noted for people, and is no slave of this master.
    @Test func aSlaveThatHearsNobodyIsNoted() throws {
        let (master, _) = try Self.make()
        #expect(Self.receive(master, Self.slavePacket(.NACK, 0, epoch: 0)) == .none)
        #expect(master.stranger?.nodeID == 2)
        #expect(master.peers.isEmpty)
        #expect(master.counters.stale == 0)
        _ = Self.receive(master, Self.slavePacket(.NACK, 1, epoch: 99))
        #expect(master.drops[DropRecord.stale]?.peer == PacketBytes.peer)
    }
}
