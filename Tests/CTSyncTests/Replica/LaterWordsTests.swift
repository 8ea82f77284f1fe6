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

    /// What has happened since may be among them.
    @Test func aCopyIsAsLateAsTheBeginOfItsWalkIfPacketsWereLostSince() {
        func copy(_ port: UInt16) {
            _ = table.update(Self.entry(port), isNew: false, isCopy: true, now: 1)
        }
        table.beginWords(adopted: Self.word(3, 3))
        table.follow(after: Self.word(5, 5), to: 9)
        // Of a walk that began before the stream was heard.
        copy(1)
        hear(2)
        table.losePackets(after: Self.word(9, 4))
        // Its begin may be among those.
        copy(3)
        table.beginInitsync()
        copy(4)
        table.losePackets(after: Self.word(9, 6))
        copy(5)
        hear(6)
        table.goOn(to: Self.word(9, 9))
        let words: [Basis] = [(9, 0), (9, 4), (9, 4), (9, 6), (9, 6), (9, 9)].map(Self.word)
        #expect((1...6).map { lateness($0) } == words)
        table.beginInitsync()
        copy(5)
        #expect(lateness(5) == Self.word(9, 9))
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

    /// A node becomes slave again: what its kernel has is of its term, but for the replicas that no packet
    /// has touched in it, and until then they were as late as what was heard of them.
    @Test func whatNoPacketHasTouchedKeepsItsWord() {
        func found(_ port: UInt16, seconds: UInt32, to reply: UInt16? = nil) {
            var entry = Self.entry(port)
            entry.timeoutSeconds = seconds
            if let reply { entry.reply.destinationPort = reply }
            _ = table.adopt(entry, now: 1)
        }
        table.beginWords(adopted: Self.word(3, 3))
        found(1, seconds: ReplicaTable.holdSeconds)
        table.follow()
        for port in 2...4 as ClosedRange<UInt16> { hear(port) }
        for term in 6...7 as ClosedRange<UInt64> {
            table.beginAnew(after: Self.word(5, 5), adopted: Self.word(term, 6))
            for port in 1...2 as ClosedRange<UInt16> {
                found(port, seconds: ReplicaTable.holdSeconds)
            }
            // A packet has set its time, another is in its place, it was none.
            found(3, seconds: 60)
            found(4, seconds: ReplicaTable.holdSeconds, to: 99)
            found(5, seconds: ReplicaTable.holdSeconds)
            table.endAdoption()
            #expect(lateness(1) == Self.word(3, 3))
            #expect(lateness(2) == Self.word(5, 5))
            for port in 3...4 as ClosedRange<UInt16> {
                #expect(lateness(port) == Self.word(term == 6 || port == 3 ? term : 6, 6))
            }
            #expect(lateness(6) == Self.word(term, 6))
            table.assertValid { Issue.record("\($0)") }
        }
    }

    /// The kernel has still what another has taken the place of in the books, as it had no room for that, and
    /// what has ended: neither is of the term.
    @Test func whatCouldNotBeDeletedIsNotOfTheTerm() throws {
        let kernel = SimulatedKernel(Chance(seed: 1))
        table.hasRoom = { false }
        table.beginWords(adopted: Self.word(3, 3))
        table.follow()
        for port in 1...3 as ClosedRange<UInt16> { hear(port) }
        try Injector(try kernel.makeRequests(), try kernel.makeLookup()).apply(table, now: 1)
        for port in 1...3 as ClosedRange<UInt16> { table.delete(Self.entry(port).key, now: 1) }
        for port in 1...2 as ClosedRange<UInt16> {
            var other = Self.entry(port)
            other.reply.destinationPort = 99 + port
            _ = table.update(other, isNew: true, isCopy: false, now: 1)
        }
        for term in 6...7 as ClosedRange<UInt64> {
            table.beginAnew(after: Self.word(5, 5), adopted: Self.word(term, 6))
            for port in 1...3 as ClosedRange<UInt16> {
                var entry = Self.entry(port)
                // Packets may have passed by one of them.
                entry.timeoutSeconds = port == 2 ? 60 : ReplicaTable.holdSeconds
                #expect(kernel.table.entry(entry.key)?.reply == entry.reply)
                _ = table.adopt(entry, now: 1)
            }
            table.endAdoption()
            #expect(lateness(1) == Self.word(3, 3))
            #expect(lateness(2) == Self.word(term, 6))
            #expect(lateness(3) == Self.word(3, 3))
            table.assertValid { Issue.record("\($0)") }
        }
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

    // MARK: What packets do in the kernel of a node that was master

    private func hearOwn(_ entry: Entry, isNew: Bool = true) -> ReplicaTable.OwnChange {
        table.hearOwn(entry, isNew: isNew, after: Self.word(3, 3), heard: Self.word(9, 9), now: 1)
    }

    private func isConfirmed(_ port: UInt16) -> Bool {
        guard let place = table.book.alivePlace(Self.entry(port).key) else { return false }
        return table.book.isConfirmed(place)
    }

    @Test func whatThisKernelMakesIsLaterThanAllThatItSaidAndNobodysWordYet() {
        table.beginWords(adopted: Self.word(3, 3))
        _ = table.adopt(Self.entry(1), now: 1)
        table.follow(after: .none)
        hear(2)
        #expect(hearOwn(Self.entry(3)) == .taken)
        hear(4)
        table.goOn(to: Self.word(9, 12))
        #expect(lateness(1) == Self.word(3, 3))
        #expect(lateness(2) == Self.word(9, 9))
        #expect(lateness(3) == Self.word(3, 4))
        #expect(lateness(4) == Self.word(9, 12))
        #expect(isConfirmed(2) && !isConfirmed(3))
        // The master has spoken: it knows better.
        hear(3)
        #expect(hearOwn(Self.entry(3), isNew: false) == .none)
        #expect(lateness(3) == Self.word(9, 12))
    }

    @Test func aChangeAloneDescribesNothingButWhatIsKnown() {
        table.beginWords(adopted: Self.word(3, 3))
        #expect(hearOwn(Self.entry(1), isNew: false) == .unknown)
        #expect(hearOwn(Self.entry(1)) == .taken)
        var change = Self.entry(1)
        change.fields = [.status, .mark]
        change.mark = 7
        #expect(hearOwn(change, isNew: false) == .taken)
        #expect(table.said(change.key)?.mark == 7)
        #expect(table.ownCount == 1)
    }

    /// A handover takes all; the next one what came since.
    @Test func whatWasTakenIsNotHandedOverAgain() throws {
        table.beginWords(adopted: Self.word(3, 3))
        for port in UInt16(1)...3 { _ = table.adopt(Self.entry(port), now: 1) }
        table.follow(after: .none)
        hear(4)
        let first = ReplicaWalk(table)
        #expect(try ports(first) == [1, 2, 3, 4])
        #expect(first.wasTaken().isAll)
        #expect(try ports(first) == [])
        #expect(hearOwn(Self.entry(5)) == .taken)
        #expect(!first.wasTaken().isAll)
        let generation = first.wasTaken().generation
        hear(6)
        let second = ReplicaWalk(table, after: generation)
        // What came meanwhile has a later word, and is asked for again.
        try second.start()
        #expect(hearOwn(Self.entry(7)) == .taken)
        #expect(!second.wasTaken().isAll)
        #expect(lateness(5) == Self.word(3, 4) && lateness(7) == Self.word(3, 5))
        #expect(try ports(ReplicaWalk(table, after: generation)).isSuperset(of: [5, 7]))
        #expect(try ports(ReplicaWalk(table, after: generation)).isDisjoint(with: [1, 2, 3, 4]))
        // The kernel's table is read anew: nothing of it was taken.
        table.beginWords(adopted: Self.word(9, 9))
        _ = table.adopt(Self.entry(8), now: 1)
        #expect(try ports(ReplicaWalk(table, after: generation)).contains(8))
    }

    private func ports(_ walk: ReplicaWalk) throws -> Set<UInt16> {
        var ports: Set<UInt16> = []
        try walk.start()
        while try walk.step({ ports.insert($0.key.tuple.sourcePort) }) {}
        return ports
    }
}
