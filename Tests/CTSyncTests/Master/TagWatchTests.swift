// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Verification tags of SCTP that change without an event.
@Suite struct TagWatchTests {
    private static let key = Key(SampleEntries.tuple(ProtocolNumber.sctp, 7, 8))

    @Test func newTagsAreToldOnceWithinASecond() throws {
        let master = try ListeningMaster()
        master.insert(Self.key.tuple)
        #expect(master.drain().messages == 1)
        master.reopen(Self.key, tag: 77)
        #expect(master.drain(after: TagWatch.interval / 2) == 0)
        #expect(master.drain(after: TagWatch.interval / 2) == 1)
        #expect(master.drain(after: TagWatch.interval) == 0)
    }

    /// It was there before the term began: there was no event of it.
    @Test func whatAWalkHasToldIsWatched() throws {
        let master = try ListeningMaster()
        master.insert(Self.key.tuple)
        master.term = try master.intake.open(master.kernel)
        try master.walkTable()
        #expect(master.drain(after: TagWatch.interval) == 0)
        master.reopen(Self.key, tag: 77)
        #expect(master.drain(after: TagWatch.interval) == 1)
    }

    @Test func oneThatHasEndedIsForgotten() throws {
        let master = try ListeningMaster()
        #expect(master.term.due < .max)
        let idle = master.now + 10 * TagWatch.interval
        master.insert(Self.key.tuple)
        _ = master.drain()
        _ = master.kernel.table.remove(Self.key, .traffic)
        _ = master.drain()
        master.now = idle
        #expect(master.drain().messages == 0)
        // Nothing of SCTP is looked for any more.
        _ = master.drain()
        #expect(master.term.due > idle)
    }

    /// Many are read in pieces, so that events do not wait.
    @Test func eachOfManyIsReadOnceARound() throws {
        let lookup = CountingLookup()
        let watch = TagWatch()
        let count = 2 * TagWatch.pieceCount + 1
        for port in 1...UInt16(count) {
            let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.sctp, port, 8))
            lookup.entries[entry.key] = entry
            watch.said(entry, now: 0)
        }
        var asked: [Int] = []
        while watch.due <= TagWatch.interval {
            try watch.look(lookup, now: TagWatch.interval) { _ in Issue.record("a change") }
            asked.append(lookup.takeCount())
        }
        #expect(asked == [TagWatch.pieceCount, TagWatch.pieceCount, 1])
    }

    private final class CountingLookup: EntryLookup {
        var entries: [Key: Entry] = [:]
        private var count = 0

        func entry(_ key: borrowing Key) throws(SystemError) -> Entry? {
            count += 1
            return entries[copy key]
        }

        func takeCount() -> Int {
            defer { count = 0 }
            return count
        }
    }
}

extension ListeningMaster {
    /// How many messages follow from what happened, a while later.
    fileprivate func drain(after wait: UInt64) -> UInt64 {
        now += wait
        kernel.advance(to: now)
        return drain().messages
    }

    fileprivate func insert(_ tuple: Tuple) {
        _ = kernel.table.insert(SampleEntries.entry(tuple), seconds: 1_000, .traffic)
    }

    /// An association is opened again on the same ports.
    fileprivate func reopen(_ key: Key, tag: UInt32) {
        kernel.eventsSetting = 0
        kernel.table.change(key, saying: .protocolInfo, .traffic) {
            $0.protocolInfo.originalTag = tag
        }
        kernel.eventsSetting = 1
    }

    /// The whole table is told.
    fileprivate func walkTable() throws {
        exchange.requireInitsync()
        let part = walk.open(
            try kernel.makeWalk(), try kernel.makeLookup(), try kernel.openAddressLosses(),
            now: now)
        try #require(
            (0..<100).contains { _ in
                now += Duration.millisecond
                _ = walk.step(part, now: now)
                return walk.isDone(part)
            })
    }
}
