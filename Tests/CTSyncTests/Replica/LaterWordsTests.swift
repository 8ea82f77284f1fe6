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

    /// Words as a master has them that takes from another: its own last one is 9:9.
    private func takeOver(heard: Basis = .none, adopted: Basis = .none) {
        table.beginInitsync()
        table.takeWords(heard: heard, adopted: adopted, own: Self.word(9, 9))
    }

    @Test func hearingAStreamMakesNothingLaterThatItDidNotName() {
        table.beginWords(adopted: Self.word(3, 3))
        _ = table.adopt(Self.entry(1), now: 1)
        table.follow(after: .none)
        hear(2)
        takeOver()
        #expect(lateness(1) == Self.word(3, 3))
        #expect(lateness(2) == Self.word(9, 9))
        #expect(!table.isHeard(Self.entry(1).key))
        #expect(table.isHeard(Self.entry(2).key))
    }

    @Test(arguments: [Basis(epoch: 9, sequence: 4), nil])
    func whatWasSaidBeforeALossIsOlder(_ last: Basis?) {
        table.beginWords(adopted: Self.word(3, 3))
        table.follow()
        hear(1)
        table.losePackets(after: last)
        hear(2)
        takeOver()
        #expect(lateness(1) == last ?? Self.word(3, 3))
        #expect(lateness(2) == Self.word(9, 9))
    }

    @Test func theStreamBeforeTheLastIsOlder() {
        table.beginWords(adopted: .none)
        table.follow(after: .none)
        hear(1)
        table.follow(after: .none)
        hear(2)
        // What the stream before the last has said is as late as any, until another begins.
        #expect(table.isHeard(Self.entry(1).key))
        table.follow(after: Self.word(5, 5))
        takeOver()
        #expect(lateness(1) == Self.word(5, 5))
        #expect(lateness(2) == Self.word(9, 9))
    }

    @Test func whatIsHandedOverKeepsTheDonorsWords() {
        table.beginWords(adopted: .none)
        takeOver(heard: Self.word(7, 7), adopted: Self.word(2, 2))
        _ = table.update(Self.entry(1), isNew: false, isCopy: true, now: 1)
        _ = table.update(Self.entry(2), isNew: false, isCopy: true, now: 1)
        table.setAdopted(Self.entry(2).key)
        takeOver(heard: Self.word(8, 8), adopted: Self.word(1, 1))
        #expect(lateness(1) == Self.word(7, 7))
        #expect(lateness(2) == Self.word(2, 2))
        #expect(lateness(3) == .none)
    }
}
