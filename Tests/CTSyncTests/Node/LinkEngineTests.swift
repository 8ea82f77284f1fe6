// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What the link's thread decides, by its role.
@Suite struct LinkEngineTests {
    /// Node 2, slave of node 1, with a connection in its kernel.
    private final class Bench {
        let kernel = SimulatedKernel(Chance(seed: 1))
        let port = SealedNode.Port(linkCount: 1)
        let master: MasterEngine
        let link: LinkEngine
        var now: Instant = 10 * Duration.second
        private let target = UnsafeMutableRawBufferPointer.allocate(
            byteCount: 2_048, alignment: 8)

        /// - Parameter isSlave: whether it has a role already.
        init(isSlave: Bool = true) throws {
            kernel.eventsSetting = 1
            kernel.advance(to: now)
            _ = kernel.table.insert(SampleEntries.plain[0], seconds: 100, .traffic)
            let slave = try SlaveProtocol.sample(ringSlots: 64)
            master = try MasterEngine(
                link: port, filter: FilterBox(.everything), ringSlots: 64, slotByteCount: 1_400,
                packetsPerSecond: 0, reconcileSeconds: 0)
            link = LinkEngine(
                try SlaveEngine(slave, kernel), master, filter: FilterBox(.everything), nodeID: 2)
            guard isSlave else { return }
            link.becomeSlave(
                after: MasterClaim(epoch: 50, nodeID: 2),
                holding: Holding(latest: Basis(epoch: 50, sequence: 5)), now: now)
            _ = take(PacketBytes.announcement(0))
            for _ in 0..<10 where !link.slave.slave.hasAdopted { turn() }
        }

        deinit { target.deallocate() }

        func take(_ packet: [UInt8]) -> MasterProtocol.Consequence {
            link.beginReading()
            return link.receive(
                packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
        }

        func turn() {
            now += Duration.millisecond
            kernel.advance(to: now)
            link.turn(now: now, wallMicroseconds: 0, target) { _, _ in }
        }

        /// Its master asks for what it holds.
        func ask() {
            let header = PacketHeader(type: .SLAVE_INITSYNC, nodeID: 1, epoch: 100, sequence: 1)
            _ = take(PacketBytes.sealed(header, PacketBytes.report()))
        }
    }

    /// Also by a request that was read with what had arrived when the order came: the ring is the next
    /// term's.
    @Test func whatIsAskedForAtTheLastMomentIsHandedOverNoMore() throws {
        let bench = try Bench()
        bench.ask()
        #expect(bench.link.isHandingOver)
        bench.link.finish(now: bench.now)
        #expect(!bench.link.isHandingOver)
        bench.link.becomeMaster()
        bench.ask()
        #expect(!bench.link.isHandingOver)
    }

    /// A slave tells a master nothing, and one that is asked for something is none.
    @Test func onlyAMasterHearsWhatAMasterIsTold() throws {
        let bench = try Bench()
        let claim = MasterClaim(epoch: 200, nodeID: 3)
        let higher = PacketBytes.announcement(0, from: claim.nodeID, epoch: claim.epoch)
        #expect(bench.take(higher) == .none && bench.link.slave.slave.master == claim)
        bench.link.finish(now: bench.now)
        bench.link.becomeMaster()
        bench.master.exchange.start(MasterClaim(epoch: 150, nodeID: 2), now: bench.now)
        #expect(bench.take(higher) == .superseded(claim))
    }

    /// A master gives way to another, whose slaves have lost packets: what goes to all once more was said
    /// before, and is older than what packets have done at the one that gave way.
    @Test func whatItsSuccessorSaidBeforeItGaveWayIsOver() throws {
        let bench = try Bench()
        bench.link.finish(now: bench.now)
        bench.link.becomeMaster()
        let own = MasterClaim(epoch: 150, nodeID: 2)
        let successor = MasterClaim(epoch: 200, nodeID: 3)
        bench.master.exchange.start(own, now: bench.now)
        func take(_ sequence: UInt64, _ messages: [[UInt8]]) -> MasterProtocol.Consequence {
            bench.take(
                PacketBytes.sync(
                    sequence, messages, from: successor.nodeID, epoch: successor.epoch,
                    flags: .partial))
        }
        let announcement = PacketBytes.announcement(
            18, from: successor.nodeID, epoch: successor.epoch)
        #expect(bench.take(announcement) == .superseded(successor))
        // One that is sent again says no less of how far it is.
        #expect(take(11, []) == .superseded(successor))
        bench.link.becomeSlave(
            after: own, holding: Holding(latest: Basis(epoch: 150, sequence: 5), hasMore: true),
            now: bench.now)
        let entry = SampleEntries.plain[0]
        _ = take(17, [PacketBytes.update(entry, bits: MessageKind.new)])
        _ = take(18, [PacketBytes.delete(entry.key)])
        for _ in 0..<10 { bench.turn() }
        #expect(bench.link.slave.slave.master == successor)
        #expect(bench.link.slave.slave.applied == 18)
        #expect(bench.kernel.table.entry(entry.key) != nil)
        // What it says from then on is its word.
        _ = take(19, [PacketBytes.update(entry, bits: MessageKind.new)])
        _ = take(20, [PacketBytes.delete(entry.key)])
        bench.turn()
        #expect(bench.kernel.table.entry(entry.key) == nil)
    }

    /// How far one master was says nothing of the stream of another.
    @Test func theStreamOfAHigherClaimBeginsWhereItIsHeard() throws {
        let bench = try Bench()
        bench.link.finish(now: bench.now)
        bench.link.becomeMaster()
        bench.master.exchange.start(MasterClaim(epoch: 150, nodeID: 2), now: bench.now)
        _ = bench.take(PacketBytes.announcement(18, from: 3, epoch: 200))
        bench.link.becomeSlave(
            after: MasterClaim(epoch: 150, nodeID: 2), holding: Holding(), now: bench.now)
        _ = bench.take(PacketBytes.sync(4, [], from: 4, epoch: 201))
        #expect(bench.link.slave.slave.applied == 4)
    }

    /// A daemon that begins as master has been no slave: what begins in its term is recorded all the same.
    @Test func aMasterThatWasNeverSlaveKnowsWhatBegan() throws {
        let bench = try Bench(isSlave: false)
        let (first, second) = (SampleEntries.plain[0].key, SampleEntries.plain[1].key)
        #expect(bench.link.slave.beganInTerm(first) == nil)
        bench.link.becomeMaster()
        bench.master.exchange.births.insert(first)
        #expect(bench.link.slave.beganInTerm(first) == true)
        #expect(bench.link.slave.beganInTerm(second) == false)
    }

    /// What a handover had to do when its node was promoted does not keep the thread of a master busy that
    /// takes over: only its own work does.
    @Test func aMasterThatTakesOverSleepsUntilItsOwnWorkIsDue() throws {
        let bench = try Bench()
        bench.ask()
        bench.turn()
        #expect(bench.link.pause(now: bench.now) == .none)
        bench.link.finish(now: bench.now)
        bench.link.becomeMaster()
        #expect(bench.link.pause(now: bench.now) == .untilWoken)
        bench.link.takeOver(
            from: MasterClaim(epoch: 300, nodeID: 1), at: PacketBytes.peer,
            LastWords(donor: .none, own: .none), now: bench.now)
        bench.turn()
        #expect(bench.link.pause(now: bench.now) == bench.link.slave.pause(now: bench.now))
        #expect(bench.link.pause(now: bench.now) != .none)
    }
}

/// What a master has heard of others.
@Suite struct MasterNewsTests {
    @Test func theHighestClaimIsKept() {
        var news = MasterNews()
        for epoch: UInt64 in [5, 7, 6] {
            news.add(.superseded(MasterClaim(epoch: epoch, nodeID: 1)))
            news.add(.outbid(MasterClaim(epoch: epoch + 10, nodeID: 2)))
        }
        #expect(news.higher == MasterClaim(epoch: 7, nodeID: 1))
        #expect(news.outbid == MasterClaim(epoch: 17, nodeID: 2))
        #expect(!news.hasBeaten)
        for consequence: MasterProtocol.Consequence in [.none, .sendAgain, .initsync] {
            news.add(consequence)
        }
        #expect(!news.hasBeaten)
        news.add(.beaten)
        #expect(news.hasBeaten)
    }
}
