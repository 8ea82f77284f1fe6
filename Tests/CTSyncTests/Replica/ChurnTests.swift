// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What connections that come and go during an initsync leave behind.
@Suite struct ChurnTests {
    private static func entry(_ number: UInt32) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53)) {
            $0.key.tuple.source = Address(ipv4: 0x0A00_0000 + number)
            $0.reply = $0.key.tuple.inverse
        }
    }

    /// The connections that have gone take no room from those that come.
    @Test func theDeadOfAnInitsyncLeaveRoomForTheLiving() throws {
        let kernel = ReplicaKernel(Chance(seed: 1))
        let table = try ReplicaTable(capacity: 300, seed: 1)
        let injector = try Injector(kernel, kernel)
        table.beginInitsync()
        let alive: UInt32 = 125
        for number in 0..<4_000 as Range<UInt32> {
            let came = table.update(Self.entry(number), isNew: true, isCopy: false, now: 1)
            #expect(came == .applied, "\(number)")
            guard came == .applied else { return }
            if number >= alive {
                #expect(table.delete(Self.entry(number - alive).key, now: 1) == .applied)
            }
            if number % 50 == 0 { try injector.apply(table, now: 1) }
        }
        // None of those that have gone is brought back by the walk that saw them.
        for number in 0..<4_000 as Range<UInt32> {
            _ = table.update(Self.entry(number), isNew: false, isCopy: true, now: 1)
        }
        #expect(table.aliveCount == Int(alive))
        #expect(table.endInitsync(isComplete: true) == 0)
        try injector.apply(table, now: 1)
        #expect(kernel.entries.count == Int(alive) && table.book.pool.count == Int(alive))
    }

    /// An operator's `flush` comes while an initsync runs, before or after its copies were injected.
    @Test(arguments: [true, false])
    func aFlushDuringAnInitsyncFreesEveryPlace(_ isInjected: Bool) throws {
        let kernel = ReplicaKernel(Chance(seed: 1))
        let table = try ReplicaTable(capacity: 300, seed: 1)
        let injector = try Injector(kernel, kernel)
        for number in 0..<100 as Range<UInt32> {
            _ = table.update(Self.entry(number), isNew: true, isCopy: false, now: 1)
        }
        table.beginInitsync()
        for number in 0..<200 as Range<UInt32> {
            _ = table.update(Self.entry(number), isNew: false, isCopy: true, now: 1)
        }
        if isInjected { try injector.apply(table, now: 1) }
        #expect(table.killAll() == 200)
        try injector.apply(table, now: 1)
        table.endInitsync(isComplete: false)
        try injector.apply(table, now: 1)
        #expect(kernel.entries.isEmpty)
        #expect(table.book.pool.count == 0)
    }

    /// More have ended than can be remembered: the slave has to ask for another initsync.
    @Test func whatCannotBeRememberedIsSaid() throws {
        let table = try ReplicaTable(capacity: 300, tombstones: 10, seed: 1)
        for number in 0..<20 as Range<UInt32> {
            #expect(table.delete(Self.entry(number).key, now: 1) == .applied)
        }
        table.beginInitsync()
        for number in 0..<20 as Range<UInt32> {
            _ = table.update(Self.entry(number), isNew: true, isCopy: false, now: 1)
            let outcome = table.delete(Self.entry(number).key, now: 1)
            #expect(outcome == (number < 10 ? .applied : .full))
            // It is gone all the same.
            #expect(table.aliveCount == 0)
        }
        table.endInitsync(isComplete: true)
        #expect(table.delete(Self.entry(99).key, now: 1) == .applied)
    }

    @Test func theDeadOfAnInitsyncLeaveRoomForExpectations() throws {
        let table = try ExpectationTable(seed: 1)
        let control = SampleExpectations.control("sip", 4_000)
        table.beginInitsync()
        for port in 1...6_000 as ClosedRange<UInt16> {
            let expected = SampleExpectations.expectation(of: control, port: port)
            #expect(table.update(expected, isCopy: false, now: 1), "\(port)")
            #expect(table.delete(expected, now: 1))
            // Nothing was asked of the kernel yet, and what is queued keeps its place.
            var round = table.kernel.beginRound()
            #expect(table.nextRequest(&round, now: 1) == nil)
            _ = table.update(expected, isCopy: true, now: 1)
        }
        #expect(table.aliveCount == 0 && table.highWater == 0)
        table.assertValid { Issue.record("\($0)") }
    }
}
