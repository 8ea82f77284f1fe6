// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A master whose kernel has no room for all that it holds.
@Suite struct UnmadeReplicasTests {
    /// Four replicas, some of which the kernel has made, after the promotion.
    private final class Bench {
        let kernel = SimulatedKernel(Chance(seed: 1))
        let table: ReplicaTable
        private let aftermath: Aftermath
        /// What the master was told.
        private(set) var told: [Bool] = []
        private var now = 10 * Duration.second

        /// - Parameters:
        ///   - room: of the kernel's table.
        ///   - isAsked: whether the kernel was asked for them before; else those batches have failed.
        init(room: Int = 2, isAsked: Bool = true) throws {
            kernel.advance(to: now)
            kernel.table.capacity = room
            table = try ReplicaTable(capacity: 16, seed: 1)
            for entry in SampleEntries.plain.prefix(4) {
                _ = table.update(entry, isNew: true, isCopy: false, now: 10)
            }
            if isAsked {
                let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
                try injector.apply(table, now: 10)
            }
            aftermath = try Aftermath(
                kernel, TimerStart(), WindowMender(), table, includesUnread: false,
                promotedAt: now)
            // Before the timers have started a walk would tell the slaves of long timeouts.
            #expect(aftermath.takeRoom() == nil)
            pass(Duration.second)
        }

        var count: Int { kernel.table.slots.count }
        var lacksRoom: Bool { aftermath.lacksRoom }

        func pass(_ time: UInt64) {
            let end = now + time
            while now < end {
                now += 20 * Duration.millisecond
                kernel.advance(to: now)
                _ = aftermath.step(now: now)
                if let lacksRoom = aftermath.takeRoom() { told.append(lacksRoom) }
                table.assertValid { Issue.record("\($0)") }
            }
        }
    }

    @Test func theyAreMadeWhenThereIsRoom() throws {
        let bench = try Bench()
        #expect(bench.count == 2 && bench.lacksRoom)
        bench.kernel.table.capacity = 3
        bench.pass(2 * Duration.second)
        #expect(bench.count == 3 && bench.lacksRoom)
        bench.kernel.table.capacity = 100
        bench.pass(2 * Duration.second)
        #expect(bench.count == 4 && !bench.lacksRoom)
        #expect(bench.told == [true, false])
        let times = bench.kernel.table.slots.keys.map { bench.kernel.table.secondsLeft($0) }
        #expect(times.allSatisfy { (590...600).contains($0) }, "\(times)")
    }

    /// The batches that they were in have failed at the promotion, each time: the kernel refuses none of them.
    @Test func whatNoBatchHasReachedIsAskedForAgain() throws {
        let bench = try Bench(room: 100, isAsked: false)
        #expect(bench.count == 4 && !bench.lacksRoom && bench.told == [false])
        let times = bench.kernel.table.slots.keys.map { bench.kernel.table.secondsLeft($0) }
        #expect(times.allSatisfy { (590...600).contains($0) }, "\(times)")
    }

    /// As slave it would have made again an entry that packets had passed, and had no room for that; then,
    /// as master, another has begun in its place.
    @Test func whatIsThereIsNotReplacedAnyMore() throws {
        let kernel = SimulatedKernel(Chance(seed: 1))
        kernel.advance(to: 10 * Duration.second)
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4_000, 22))
        #expect(kernel.table.insert(entry, seconds: 600, .traffic) == 0)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let table = try ReplicaTable(capacity: 16, seed: 1)
        (table.remakesWorn, table.hasRoom) = (true, { false })
        _ = table.adopt(entry, now: 10)
        try injector.apply(table, now: 10)
        #expect(table.refusedCount == 1)

        var other = entry
        other.mark += 1
        _ = kernel.table.remove(entry.key, .traffic)
        #expect(kernel.table.insert(other, seconds: 600, .traffic) == 0)
        (table.isCreateOnly, table.hasRoom) = (true, { true })
        table.beginInitsync()
        table.endInitsync(isComplete: false)
        table.retryRefused()
        try injector.apply(table, now: 11)
        #expect(kernel.table.entry(other.key)?.mark == other.mark)
        table.assertValid { Issue.record("\($0)") }
    }

    /// The kernel's table has room for one more than is deleted, or for none.
    @Test(arguments: [1, 2]) func whatIsMadeAgainIsNotLeftWithoutRoom(_ capacity: Int) throws {
        let kernel = SimulatedKernel(Chance(seed: 1))
        kernel.advance(to: 10 * Duration.second)
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4_000, 22))
        #expect(kernel.table.insert(entry, seconds: 600, .traffic) == 0)
        kernel.table.capacity = capacity
        let table = try ReplicaTable(capacity: 16, seed: 1)
        for new in SampleEntries.plain.prefix(3) {
            _ = table.update(new, isNew: true, isCopy: false, now: 10)
        }
        table.remakesWorn = true
        _ = table.adopt(entry, now: 10)
        try Injector(try kernel.makeRequests(), try kernel.makeLookup()).apply(table, now: 10)
        #expect(kernel.table.entry(entry.key) != nil && kernel.table.slots.count == capacity)
        #expect(table.refusedCount == 4 - capacity)
        table.assertValid { Issue.record("\($0)") }
    }

    /// Packets have made one of them meanwhile.
    @Test func whatTheKernelHasByThenStays() throws {
        let bench = try Bench()
        let table = bench.kernel.table
        var other = try #require(
            SampleEntries.plain.prefix(4).first { table.entry($0.key) == nil })
        other.mark += 1
        table.capacity = 3
        #expect(table.insert(other, seconds: 30, .traffic) == 0)
        table.capacity = 100
        bench.pass(2 * Duration.second)
        #expect(bench.count == 4 && !bench.lacksRoom)
        #expect(table.entry(other.key)?.mark == other.mark && table.secondsLeft(other.key) < 30)
    }
}
