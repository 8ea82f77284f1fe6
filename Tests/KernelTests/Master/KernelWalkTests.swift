// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync
@testable import CTSyncTests

/// How a master walks the kernel's table, and how fast, by a hand clock: counts, not times.
@Suite(.serialized) struct KernelWalkTests {
    /// Fills the table; what becomes of the entries makes events, though nobody has listened when they were made.
    private static func create(_ entries: [Entry]) throws {
        try KernelSettings.write("nf_conntrack_events", 1)
        try NetworkNamespace.create(entries, timeoutSeconds: 600)
    }

    /// Packets a second are packets a second, also if expectations are in them.
    @Test func expectationsArePacedAsEntriesAre() throws {
        let (count, rate) = (400, 50)
        try NetworkNamespace.run(isTracking: true) {
            let parents = (0..<count).map { SampleExpectations.control("ftp", 4_000 + UInt16($0)) }
            try Self.create(parents)
            let batch = try RequestBatch()
            for parent in parents {
                let port = parent.key.tuple.sourcePort
                let expectation = SampleExpectations.expectation(of: parent, port: port)
                #expect(batch.create(expectation, tag: 0))
            }
            try batch.send { Issue.record("\($0) \($1)") }
            let master = try KernelMaster(packetsPerSecond: UInt32(rate))
            let (began, before) = (master.now, master.sent)
            master.engine.exchange.requireInitsync()
            while let due = master.walk() { master.now = max(master.now, due) }
            #expect(master.engine.initsync.entryCount == UInt64(2 * count))
            let packets = Int(master.sent - before)
            let paid = Int((master.now - began) * UInt64(rate) / Duration.second)
            // Begin and end have packets of their own; one more may be the pace's first.
            #expect(packets > 20 && (packets - 3...packets).contains(paid), "\(packets), \(paid)")
        }
    }

    /// Of two slaves one is slow: as long as it gets on the walk is no more than a window ahead of it, and
    /// what is live goes out at once all the same. When it stands the walk goes on for the other.
    @Test func aSlowSlaveHoldsUpAWalkAsLongAsItGetsOnAndNothingElse() throws {
        let (count, slow, other): (Int, UInt8, UInt8) = (8_000, 2, 3)
        try NetworkNamespace.run(isTracking: true) {
            let entries = (0..<count).map {
                let tuple = SampleEntries.tuple(ProtocolNumber.udp, 1_000 + UInt16($0), 53)
                return SampleEntries.entry(tuple)
            }
            try Self.create(entries)
            let master = try KernelMaster()
            let changes = try RequestBatch(isTold: true)
            let (window, start) = (master.engine.exchange.window, master.sent)
            var applied = start
            for id in [slow, other] { master.hear(id, applied: start) }
            master.engine.exchange.requireInitsync()
            var heldUp = 0
            while master.engine.initsync.entryCount < count / 2 {
                let before = master.sent
                let due = try #require(master.walk())
                if before > applied + window {
                    #expect(master.sent == before, "\(before - applied) packets ahead")
                    heldUp += 1
                    var changed = entries[heldUp]
                    changed.mark += 1
                    #expect(changes.update(changed, timeoutSeconds: 600, tag: 0))
                    try changes.send { Issue.record("\($0) \($1)") }
                    master.listen()
                    #expect(master.sent == before + 1)
                    applied += 8
                    master.hear(slow, applied: applied)
                }
                master.hear(other, applied: master.sent)
                master.now = max(due, master.now + Duration.millisecond)
            }
            #expect(heldUp > 2)
            let patience = master.now + 10 * MasterProtocol.walkPatience
            while let due = master.walk(), master.now < patience {
                master.hear(other, applied: master.sent)
                master.now = max(due, master.now + Duration.millisecond)
            }
            #expect(!master.walks.isRunning && master.walks.begun == 1)
            #expect(master.engine.initsync.entryCount == UInt64(count))
            #expect(master.sent > applied + 2 * window)
        }
    }

    /// Events are lost again and again: the walks that repair that are 1, 2, 4, ... 30 s apart.
    @Test func walksThatRepairLossesBackOff() throws {
        try NetworkNamespace.run(isTracking: true) {
            var entries = (0..<50).map {
                SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 1_000 + $0, 53))
            }
            try Self.create(entries)
            var kernel = MeddledKernel()
            kernel.eventBufferBytes = 1
            let master = try KernelMaster(kernel)
            let changes = try RequestBatch(isTold: true)
            func pass(_ seconds: UInt64, losing: Bool) throws {
                let end = master.now + seconds * Duration.second
                while master.now < end {
                    if losing {
                        for index in entries.indices {
                            entries[index].mark += 1
                            #expect(changes.update(entries[index], timeoutSeconds: 600, tag: 0))
                        }
                        try changes.send { Issue.record("\($0) \($1)") }
                    }
                    master.listen()
                    while let due = master.walk(), due <= master.now {}
                    master.now += 100 * Duration.millisecond
                }
            }
            try pass(60, losing: true)
            #expect(master.engine.intake.overrunCount >= 600)
            #expect(master.walks.begun == 6)
            // The last loss is repaired once, and that is all.
            try pass(120, losing: false)
            #expect(master.walks.begun == 7 && !master.walks.isRunning)
        }
    }

    /// Somebody switches events off while the table is walked: what ends meanwhile is in no event.
    @Test(arguments: [false, true]) func aWalkWithoutEventsProvesNothing(_ areOff: Bool) throws {
        try NetworkNamespace.run(isTracking: true) {
            try Self.create(SampleEntries.plain.filter { !$0.fields.contains(.parent) })
            var kernel = MeddledKernel()
            kernel.afterPiece = { count throws(SystemError) in
                if areOff, count > 0 { try KernelSettings.write("nf_conntrack_events", 0) }
            }
            let master = try KernelMaster(kernel)
            master.listen()
            master.engine.exchange.requireInitsync()
            while let due = master.walk() { master.now = max(master.now, due) }
            #expect(master.engine.initsync.unprovedCount == (areOff ? 1 : 0))
        }
    }
}
