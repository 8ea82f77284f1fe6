// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a slave notices of other hands at its kernel, and when it is in sync again.
@Suite struct KernelWatchTests {
    /// A slave with a simulated kernel, in sync with a table of some entries.
    private final class Bench {
        let kernel = SimulatedKernel(Chance(seed: 1))
        let engine: SlaveEngine
        var now: Instant = 10 * Duration.second
        static let entries = Array(SampleEntries.plain.prefix(4))

        /// - Parameters:
        ///   - capacity: events that the socket's buffer holds.
        ///   - leftovers: entries of a term before, whose own time ends before the initsync.
        init(capacity: Int = 64, leftovers: Int = 0) throws {
            kernel.eventsSetting = 1
            kernel.eventCapacity = capacity
            let slave = try SlaveProtocol.sample(capacity: 256)
            engine = try SlaveEngine(slave, kernel)
            kernel.advance(to: now)
            for port in 0..<leftovers {
                let tuple = SampleEntries.tuple(ProtocolNumber.udp, 3_000 + UInt16(port), 53)
                _ = kernel.table.insert(SampleEntries.entry(tuple), seconds: 1, .traffic)
            }
            engine.begin(after: .none, holding: Holding(), now: now)
            for _ in 0..<64 { work() }
            if leftovers > 0 {
                now += 2 * Duration.second
                kernel.advance(to: now)
                work()
            }
            receive(PacketBytes.announcement(0))
            receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)]))
            for (index, entry) in Self.entries.enumerated() {
                receive(
                    PacketBytes.sync(
                        UInt64(index) + 2, [PacketBytes.update(entry, bits: MessageKind.new)]))
            }
            receive(PacketBytes.sync(6, [PacketBytes.bracket(.DELETE, 1)]))
            pass(2 * Duration.second)
        }

        func receive(_ packet: [UInt8]) {
            _ = engine.receive(
                packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
            work()
        }

        /// The master changes the mark of the first entry.
        func updateFirst() -> Entry {
            var entry = Self.entries[0]
            entry.mark += 1
            entry.fields.insert(.mark)
            receive(PacketBytes.sync(7, [PacketBytes.update(entry)]))
            return entry
        }

        func work() { engine.work(now: now) }

        /// Lets time pass, with the master's announcements.
        func pass(_ time: UInt64, until isDone: () -> Bool = { false }) {
            let end = now + time
            while now < end, !isDone() {
                now += 5 * Duration.millisecond
                kernel.advance(to: now)
                receive(PacketBytes.announcement(6))
            }
        }

        var reason: SlaveProtocol.OutOfSync? { engine.slave.outOfSync(now: now) }
        var count: Int { kernel.table.slots.count }
    }

    private static func make(capacity: Int = 64) throws -> Bench {
        let bench = try Bench(capacity: capacity)
        try #require(bench.reason == nil && bench.count == 4, "\(bench.reason as Any)")
        return bench
    }

    @Test func aFlushedKernelIsNoticedWithinASecondAndFilledAgain() throws {
        let bench = try Self.make()
        bench.kernel.meddle { $0.flush(.hand) }
        bench.pass(Duration.second) { bench.reason != nil }
        #expect(bench.reason == .kernelChanged)
        bench.pass(Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil && bench.count == 4)
        #expect(bench.engine.check.repairedCount == 4)
    }

    /// The node is promoted before it would have looked.
    @Test func aKernelThatIsFlushedBeforeAPromotionIsFilledAgain() throws {
        let bench = try Self.make()
        bench.kernel.meddle { $0.flush(.hand) }
        bench.engine.finish(now: bench.now)
        #expect(bench.count == 4)
    }

    /// What would be deleted to be made again is left, as it could not be made.
    @Test func aTableThatIsOverItsLimitLosesNothing() throws {
        let bench = try Self.make()
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4_000, 22)) {
            $0.protocolInfo.originalFlags = TCPFlag.windowScale
        }
        _ = bench.kernel.table.insert(entry, seconds: 30, .traffic)
        bench.kernel.table.capacity = 2
        bench.engine.begin(
            after: MasterClaim(epoch: 5, nodeID: 2), holding: Holding(), now: bench.now)
        for _ in 0..<64 { bench.work() }
        #expect(bench.count == 5 && bench.engine.table.refusedCount > 0)
        bench.kernel.table.capacity = 100
        bench.pass(2 * Duration.second)
        #expect(bench.count == 5 && bench.engine.table.refusedCount == 0)
    }

    @Test func aChangedEntryIsPutRight() throws {
        let bench = try Self.make()
        let key = Bench.entries[0].key
        let mark = bench.kernel.table.entry(key)?.mark
        bench.kernel.meddle { $0.change(key, saying: .mark, .hand) { $0.mark = 4_711 } }
        bench.pass(Duration.second) { bench.reason != nil }
        #expect(bench.reason == .kernelChanged)
        bench.pass(Duration.second) { bench.reason == nil }
        #expect(bench.kernel.table.entry(key)?.mark == mark && bench.reason == nil)
    }

    /// More than the socket's buffer holds: the whole table is compared.
    @Test func lostEventsCallForAComparison() throws {
        let bench = try Self.make(capacity: 1)
        bench.kernel.meddle { $0.flush(.hand) }
        let checks = bench.engine.check.checkCount
        bench.pass(Duration.second) { bench.reason != nil }
        #expect(bench.reason == .kernelChanged)
        bench.pass(2 * Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil && bench.count == 4)
        #expect(bench.engine.check.checkCount > checks)
    }

    /// Also for what was written in the second of the loss.
    @Test func whatWasWrittenAMomentBeforeALossIsMissed() throws {
        let bench = try Self.make(capacity: 1)
        let entry = bench.updateFirst()
        #expect(bench.kernel.table.entry(entry.key)?.mark == entry.mark)
        bench.kernel.meddle { $0.flush(.hand) }
        bench.pass(Duration.second) { bench.reason != nil }
        bench.pass(2 * Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil && bench.count == 4)
    }

    @Test func whatWasChangedAMomentBeforeALossIsPutRight() throws {
        let bench = try Self.make(capacity: 1)
        let entry = bench.updateFirst()
        bench.kernel.meddle { table in
            for other in [Bench.entries[1], entry] {
                table.change(other.key, saying: .mark, .hand) { $0.mark = 4_711 }
            }
        }
        bench.pass(Duration.second) { bench.reason != nil }
        bench.pass(2 * Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil)
        #expect(bench.kernel.table.entry(entry.key)?.mark == entry.mark)
    }

    /// Also if another comparison is asked for meanwhile, which would begin earlier.
    @Test func anotherComparisonDoesNotBeginBeforeTheOneThatALossCallsFor() throws {
        let bench = try Self.make(capacity: 1)
        _ = bench.updateFirst()
        bench.kernel.meddle { $0.flush(.hand) }
        bench.pass(Duration.second) { bench.reason != nil }
        bench.engine.slave.requireCheck()
        bench.pass(2 * Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil && bench.count == 4)
    }

    /// Hundreds a second end so on a master that was demoted under load: they are kept until the master
    /// has spoken, and nothing is compared.
    @Test func whatEndsBeforeItIsConfirmedIsNobodysFault() throws {
        let bench = try Bench(capacity: 256, leftovers: 100)
        #expect(bench.count == 104 && bench.engine.watch.doubt == nil)
        #expect(bench.engine.check.checkCount == 0 && bench.engine.check.repairedCount == 0)
    }

    /// Neighbours that have not learned yet where the master's addresses are now.
    @Test func whatBeginsAfterADemotionIsHeldForTheNextMaster() throws {
        let bench = try Self.make()
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53))
        func begin(_ port: UInt16) -> Key {
            var other = entry
            other.key.tuple.sourcePort = port
            other.reply.destinationPort = port
            bench.kernel.meddle { _ = $0.insert(other, seconds: 30, .traffic) }
            return other.key
        }
        let holding = Holding(latest: Basis(epoch: 5, sequence: 7))
        let first = begin(4_000)
        bench.pass(Duration.second)
        #expect(bench.engine.table.reply(first) == nil && !bench.engine.slave.holding.hasMore)
        bench.engine.begin(
            after: MasterClaim(epoch: 5, nodeID: 2), holding: holding, now: bench.now)
        for _ in 0..<64 { bench.work() }
        #expect(!bench.engine.slave.holding.hasMore)
        let second = begin(4_001)
        bench.now += KernelWatch.beginInterval
        bench.work()
        #expect(bench.engine.table.reply(second) != nil)
        #expect(bench.engine.slave.holding.hasMore)
        #expect(bench.engine.slave.holding.latest == Basis(epoch: 5, sequence: 8))
        // Three seconds after a master was heard everybody has learned it.
        bench.pass(4 * Duration.second)
        let third = begin(4_002)
        bench.pass(Duration.second)
        #expect(bench.engine.table.reply(third) == nil)
    }

    /// What this process does itself, and what packets change, is nobody's hand.
    /// Also after a promotion that was refused.
    @Test func whatBeginsAfterARefusedPromotionIsHeld() throws {
        let bench = try Self.make()
        bench.engine.begin(
            after: MasterClaim(epoch: 5, nodeID: 2), holding: Holding(), now: bench.now)
        for _ in 0..<64 { bench.work() }
        bench.engine.finish(now: bench.now)
        bench.engine.resume(now: bench.now)
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53))
        _ = bench.kernel.table.insert(entry, seconds: 30, .traffic)
        bench.pass(4 * KernelWatch.beginInterval)
        #expect(bench.engine.table.reply(entry.key) != nil && bench.engine.slave.holding.hasMore)
    }

    /// The events of some are lost: the comparison that this calls for finds them.
    @Test func whatBeginsUnheardAfterADemotionIsFound() throws {
        let bench = try Self.make(capacity: 1)
        bench.engine.begin(
            after: MasterClaim(epoch: 5, nodeID: 2), holding: Holding(), now: bench.now)
        for _ in 0..<64 { bench.work() }
        let entries = (4_000...4_002).map {
            SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, $0, 53))
        }
        for entry in entries { _ = bench.kernel.table.insert(entry, seconds: 30, .traffic) }
        bench.pass(2 * Duration.second)
        for entry in entries { #expect(bench.engine.table.reply(entry.key) == entry.reply) }
        #expect(bench.engine.slave.holding.hasMore)
    }

    @Test func itsOwnChangesAreNoOthers() throws {
        let bench = try Self.make()
        bench.receive(PacketBytes.sync(7, [PacketBytes.delete(Bench.entries[0].key)]))
        bench.kernel.table.change(Bench.entries[1].key, saying: .status, .traffic) { _ in }
        for _ in 0..<100 {
            bench.now += 10 * Duration.millisecond
            bench.receive(PacketBytes.announcement(7))
            #expect(bench.reason == nil)
        }
        #expect(bench.count == 3 && bench.engine.check.repairedCount == 0)
    }

    /// nf_conntrack_events at 0: set again, and what was made meanwhile is made again, with events.
    @Test func eventsThatWereOffAreSwitchedOn() throws {
        let bench = try Self.make()
        bench.kernel.eventsSetting = 0
        let new = PacketBytes.update(SampleEntries.plain[4], bits: MessageKind.new)
        bench.receive(PacketBytes.sync(7, [new]))
        #expect(bench.kernel.table.slots[SampleEntries.plain[4].key]?.isMute == true)
        let end = bench.now + 5 * Duration.second
        while bench.now < end {
            bench.now += 5 * Duration.millisecond
            bench.kernel.advance(to: bench.now)
            bench.receive(PacketBytes.announcement(7))
        }
        #expect(bench.kernel.eventsSetting == 1 && bench.engine.watch.offCount == 1)
        #expect(bench.kernel.table.slots[SampleEntries.plain[4].key]?.isMute == false)
    }

    /// What was made while they were off and is found in the kernel would not tell of its end: on a slave that
    /// has not looked yet, and on a node that was master then.
    @Test(arguments: [false, true])
    func whatIsFoundOfATimeWithoutEventsIsMadeAgain(wasMaster: Bool) throws {
        let bench = try Self.make()
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53))
        bench.kernel.eventsSetting = 0
        _ = bench.kernel.table.insert(entry, seconds: 30, .traffic)
        if wasMaster {
            bench.kernel.eventsSetting = 1
            bench.engine.wasMuteAsMaster = { true }
        }
        bench.engine.begin(after: .none, holding: Holding(), now: bench.now)
        for _ in 0..<64 { bench.work() }
        #expect(bench.kernel.table.slots[entry.key]?.isMute == true)
        bench.receive(PacketBytes.sync(7, [PacketBytes.update(entry, bits: MessageKind.new)]))
        #expect(bench.kernel.table.slots[entry.key]?.isMute == false)
    }

    /// A process without descriptors cannot look: the slave is not in sync, and nobody has changed anything.
    @Test func aKernelThatCannotBeReadIsNobodysDoing() throws {
        let bench = try Self.make()
        bench.kernel.calls.fail(1, of: "recvmmsg of events")
        bench.pass(Duration.second) { bench.reason != nil }
        #expect(bench.kernel.calls.failures == 1 && bench.reason == .unwatched)
        bench.pass(30 * Duration.second) {
            bench.kernel.calls.fail(1, of: "send of a dump request")
            return bench.reason != .unwatched
        }
        #expect(bench.kernel.calls.failures > 2 && bench.reason == .unwatched)
        bench.kernel.calls.failing = 0
        bench.pass(40 * Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil && bench.engine.check.repairedCount == 0)
        bench.kernel.meddle { $0.flush(.hand) }
        bench.pass(Duration.second) { bench.reason != nil }
        #expect(bench.reason == .kernelChanged)
    }

    /// The same where nothing can be set: the slave does not say that it is in sync.
    @Test func eventsThatCannotBeSwitchedOnAreSaid() throws {
        let bench = try Self.make()
        bench.kernel.isReadOnly = true
        bench.kernel.eventsSetting = 0
        bench.pass(2 * Duration.second) { bench.reason != nil }
        #expect(bench.reason == .unwatched)
        bench.kernel.eventsSetting = 1
        bench.pass(3 * Duration.second) { bench.reason == nil }
        #expect(bench.reason == nil)
    }
}
