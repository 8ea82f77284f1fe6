// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// How late the word of a connection is.
@Suite struct LaterWordsTests {
    private let table: ReplicaTable

    init() throws {
        table = try ReplicaTable(capacity: 16, seed: 1)
    }

    private static func entry(_ port: UInt16) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53)) { _ in }
    }

    private static func word(_ epoch: UInt64, _ sequence: UInt64) -> Basis {
        Basis(epoch: epoch, sequence: sequence)
    }

    private func hear(_ port: UInt16) {
        _ = table.update(Self.entry(port), isNew: true, isCopy: false, now: 1)
    }

    private func lateness(_ port: UInt16) -> Basis { table.lateness(Self.entry(port).key) }

    @Test func hearingAStreamMakesNothingLaterThatItDidNotName() {
        table.beginWords(adopted: Self.word(3, 3))
        _ = table.adopt(Self.entry(1), now: 1)
        table.follow(after: .none)
        hear(2)
        table.goOn(to: Self.word(9, 9))
        #expect(lateness(1) == Self.word(3, 3))
        #expect(lateness(2) == Self.word(9, 9))
        #expect(lateness(3) == Self.word(3, 3))
    }

    @Test func whatWasSaidBeforeALossIsOlder() {
        table.beginWords(adopted: Self.word(3, 3))
        table.follow()
        for (port, last) in [(1, 4), (2, 6)] as [(UInt16, UInt64)] {
            hear(port)
            table.losePackets(after: Self.word(9, last))
        }
        hear(3)
        table.goOn(to: Self.word(9, 9))
        #expect(lateness(1) == Self.word(9, 4))
        #expect(lateness(2) == Self.word(9, 6))
        #expect(lateness(3) == Self.word(9, 9))
        // Spoken of again, it is as late as what is heard now.
        hear(1)
        #expect(lateness(1) == Self.word(9, 9))
    }

    @Test func aStreamBeforeIsAsLateAsItsEnd() {
        table.beginWords(adopted: .none)
        table.follow(after: .none)
        hear(1)
        table.follow(after: Self.word(5, 5))
        hear(2)
        table.goOn(to: Self.word(9, 9))
        #expect(lateness(1) == Self.word(5, 5))
        #expect(lateness(2) == Self.word(9, 9))
    }

    @Test func whatIsHandedOverKeepsItsWord() {
        table.beginWords(adopted: .none)
        for (port, word) in [(1, 7), (2, 2), (3, 7)] as [(UInt16, UInt64)] {
            _ = table.update(Self.entry(port), isNew: false, isCopy: true, now: 1)
            table.setHanded(Self.entry(port).key, Self.word(word, 1))
        }
        #expect(lateness(1) == Self.word(7, 1))
        #expect(lateness(2) == Self.word(2, 1))
        #expect(lateness(3) == Self.word(7, 1))
        #expect(lateness(4) == .none)
    }

    /// Another node has the same, and knows it for longer.
    @Test func whatIsConfirmedIsAsLateAsTheLaterWord() {
        table.beginWords(adopted: Self.word(3, 3))
        _ = table.adopt(Self.entry(1), now: 1)
        table.confirm(Self.entry(1).key, Self.word(2, 9))
        #expect(lateness(1) == Self.word(3, 3))
        table.confirm(Self.entry(1).key, Self.word(4, 1))
        #expect(lateness(1) == Self.word(4, 1))
    }

    /// However often packets are lost, nothing is taken for later than it is.
    @Test func manyLossesMakeNothingLater() {
        table.beginWords(adopted: .none)
        table.follow()
        hear(1)
        table.losePackets(after: Self.word(9, 1))
        for count in 2..<400 as Range<UInt64> {
            if count == 300 { hear(2) }
            table.losePackets(after: Self.word(9, count))
        }
        hear(3)
        table.goOn(to: Self.word(9, 500))
        #expect(lateness(1) <= Self.word(9, 1))
        #expect(lateness(2) <= Self.word(9, 300))
        #expect(lateness(3) == Self.word(9, 500))
    }

    /// A donor hands out together what has one word, and what its master itself has said as the oldest.
    @Test func aWalkTellsTheWordOfWhatItHandsOut() throws {
        table.beginWords(adopted: Self.word(3, 3))
        for port in [1, 4] as [UInt16] { _ = table.adopt(Self.entry(port), now: 1) }
        table.follow()
        hear(2)
        table.follow(after: Self.word(5, 5))
        hear(3)
        let walk = ReplicaWalk(table)
        try walk.start()
        var found: [UInt16: Basis] = [:]
        var pieces: [Int] = []
        var isMore = true
        while isMore {
            var ports: [UInt16] = []
            isMore = try walk.step { ports.append($0.key.tuple.sourcePort) }
            for port in ports { found[port] = walk.word }
            if !ports.isEmpty { pieces.append(ports.count) }
        }
        #expect(
            found == [1: Self.word(3, 3), 4: Self.word(3, 3), 2: Self.word(5, 5), 3: .none])
        #expect(pieces == [2, 1, 1])
    }
}
