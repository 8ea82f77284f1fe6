// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A flush of masqueraded connections, told from their end.
@Suite struct FlushHoldTests {
    private static let outside = Address(ipv4: 0x0A02_0001)
    private static let other = Address(ipv4: 0x0A02_0002)

    /// A master with six connections, half of them masqueraded to each address.
    private static func master(graceSeconds: UInt32 = 30) throws -> ListeningMaster {
        let master = try ListeningMaster(graceSeconds: graceSeconds)
        for number in UInt16(1)...6 {
            let entry = SampleEntries.entry(SampleEntries.tuple(17, number, 53)) {
                $0.reply.destination = number > 3 ? other : outside
            }
            _ = master.kernel.table.insert(entry, seconds: 100, .traffic)
        }
        _ = master.drain()
        return master
    }

    @Test func whatIsMasqueradedToALostAddressIsKeptBackUntilTheGraceIsOver() throws {
        let master = try Self.master()
        master.kernel.lose(Self.outside)
        var said = master.drain()
        #expect(said.messages == 0 && !said.isWalkWanted)
        let status = master.flush.status
        #expect(status.count == 3 && status.devices == ["wan0"])
        #expect(master.flush.due == status.until && master.flush.spares())
        // Another address is there: what ends at it is told.
        _ = master.kernel.table.remove(Key(SampleEntries.tuple(17, 4, 53)), .traffic)
        said = master.drain()
        #expect(said.messages == 1 && !said.isWalkWanted)
        master.now = status.until
        said = master.drain()
        #expect(said.messages == 0 && said.isWalkWanted)
        #expect(master.exchange.initsyncs.isRunning && !master.flush.spares())
        #expect(master.flush.status == FlushHold.Status(total: 3) && master.flush.due == nil)
    }

    /// The walk that purges when the grace is over does not take the loss for one of just now, and purge
    /// nothing once more; one that the listener has not read yet it does.
    @Test func aLossOpensOneGrace() throws {
        let engine = try MasterEngine(
            link: SealedNode.Port(linkCount: 1), filter: FilterBox(.everything), ringSlots: 64,
            slotByteCount: 1_400, packetsPerSecond: 0, reconcileSeconds: 0, flushGraceSeconds: 1)
        let kernel = SimulatedKernel(Chance(seed: 1))
        kernel.eventsSetting = 1
        var now = 10 * Duration.second
        kernel.advance(to: now)
        let term = try engine.open(
            MasterClaim(epoch: 100, nodeID: 1), holding: Holding(), lacks: false, kernel, now: now)
        engine.exchange.timersRun(lacksRoom: false)
        func walk() {
            repeat {
                now += Duration.millisecond
                _ = engine.initsync.step(term.walk, now: now)
            } while engine.exchange.initsyncs.isRunning
        }
        walk()
        kernel.lose(Self.outside)
        _ = engine.listen(term.events, term.sending, now: now, wallMicroseconds: 0)
        #expect(engine.flush.isOpen)
        now = engine.flush.status.until
        _ = engine.listen(term.events, term.sending, now: now, wallMicroseconds: 0)
        engine.exchange.requireInitsync()
        walk()
        #expect(!engine.flush.isOpen)
        kernel.lose(Self.other)
        engine.exchange.requireInitsync()
        walk()
        #expect(engine.flush.isOpen)
    }

    @Test func aFlushByHandIsTold() throws {
        let master = try Self.master()
        master.kernel.lose(Address(ipv4: 1))
        master.kernel.table.flush(.hand)
        #expect(master.drain().messages == 6)
    }

    /// The address came back, and its connections were opened again: what somebody deletes, or what runs out, has
    /// ended; what the kernel deletes before its time may be of a flush.
    @Test func whatEndsAtALostAddressIsTold() throws {
        let master = try Self.master()
        let keys = (UInt16(1)...3).map { Key(SampleEntries.tuple(17, $0, 53)) }
        master.kernel.lose(Self.outside)
        #expect(master.drain().messages == 0)
        for (key, seconds) in zip(keys, [100, 100, 5] as [UInt32]) {
            let entry = SampleEntries.entry(key.tuple) { $0.reply.destination = Self.outside }
            #expect(master.kernel.table.insert(entry, seconds: seconds, .traffic) == 0)
        }
        _ = master.drain()
        _ = master.kernel.table.remove(keys[0], .hand)
        #expect(master.drain().messages == 1)
        _ = master.kernel.table.remove(keys[1], .masquerade)
        #expect(master.drain().messages == 0)
        master.now += 5 * Duration.second
        master.kernel.advance(to: master.now)
        #expect(master.kernel.table.entry(keys[2]) == nil)
        #expect(master.drain().messages == 1)
        #expect(master.flush.isOpen && master.flush.status.count == 4)
    }

    @Test func withoutAGraceEverythingIsTold() throws {
        let master = try Self.master(graceSeconds: 0)
        master.kernel.lose(Self.outside)
        #expect(master.drain().messages == 3)
    }

    /// The slaves hold one of its key that is not there any more.
    @Test func aConnectionMadeMeanwhileReplacesTheOneThatWasFlushed() throws {
        let master = try Self.master()
        master.kernel.lose(Self.outside)
        _ = master.drain()
        let entry = SampleEntries.entry(SampleEntries.tuple(17, 1, 53))
        _ = master.kernel.table.insert(entry, seconds: 100, .traffic)
        #expect(master.drain().messages == 2)
    }

    /// A walk that saw nothing to purge need not be followed by one that does.
    @Test func anAddressThatNobodyUsedCallsForNothing() throws {
        let master = try Self.master()
        master.kernel.lose(Address(ipv4: 1))
        master.now += Duration.second
        _ = master.drain()
        master.now += 60 * Duration.second
        #expect(!master.drain().isWalkWanted)
    }
}
