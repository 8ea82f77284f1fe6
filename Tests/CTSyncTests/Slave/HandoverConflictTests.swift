// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a master is handed over, and what its kernel has in the way of that.
@Suite struct HandoverConflictTests {
    private static let claim = MasterClaim(epoch: 7, nodeID: 2)
    private static let peer = SimulatedWire.address(1)
    private static let now = 10 * Duration.second

    private static func translated(_ sourcePort: UInt16, to port: UInt16) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, sourcePort, 53)) {
            $0.reply.destination = Address(ipv4: 0x0A02_0001)
            $0.reply.destinationPort = port
        }
    }

    private let kernel = SimulatedKernel(Chance(seed: 1))
    private let handed = translated(4_000, to: 2_001)

    /// How the kernel's entry came to be.
    enum Origin: CaseIterable {
        /// An earlier process held it, and no packet has touched it.
        case held
        /// Its time is its own; it is known not to have begun in the term, or to have, or neither.
        case older, newer, unknown
    }

    /// - Returns: whether what is handed over has taken the place of the kernel's entry.
    private func isReplaced(
        _ entry: Entry, _ origin: Origin, isAhead: Bool, with others: [Entry] = []
    ) throws -> Bool {
        kernel.advance(to: Self.now)
        let seconds = origin == .held ? ReplicaTable.holdSeconds : 60
        #expect(kernel.table.insert(entry, seconds: seconds, .traffic) == 0)
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let filter = ReplicationFilter(ownAddresses: [], syncNetworks: [])
        let engine = try SlaveEngine(
            try SlaveProtocol(
                nodeID: 1, table: table, filter: filter, ringSlots: 16, slotByteCount: 400),
            kernel)
        engine.beganInTerm = { _ in origin == .unknown ? nil : origin == .newer }
        let word = Basis(epoch: 6, sequence: 5)
        engine.takeOver(
            from: Self.claim, at: Self.peer,
            LastWords(donor: word, own: isAhead ? .none : word), now: Self.now)
        table.beginInitsync()
        for entry in [handed] + others {
            _ = table.update(entry, isNew: false, isCopy: true, now: 10)
            table.setHanded(entry.key, word)
        }
        engine.inject(Self.now)
        table.assertValid { Issue.record("\($0)") }
        let isThere = kernel.table.entry(handed.key)?.reply == handed.reply
        #expect(isThere != (kernel.table.entry(entry.key)?.reply == entry.reply))
        if isThere {
            for other in others { #expect(kernel.table.entry(other.key)?.reply == other.reply) }
        }
        return isThere
    }

    /// What ended here, as a packet said, lives with another node: it began again there.
    @Test func whatEndedHereIsTakenAgain() throws {
        kernel.advance(to: Self.now)
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let filter = ReplicationFilter(ownAddresses: [], syncNetworks: [])
        let engine = try SlaveEngine(
            try SlaveProtocol(
                nodeID: 1, table: table, filter: filter, ringSlots: 16, slotByteCount: 400),
            kernel)
        _ = table.update(handed, isNew: true, isCopy: false, now: 10)
        engine.inject(Self.now)
        engine.takeOver(
            from: Self.claim, at: Self.peer, LastWords(donor: .none, own: .none), now: Self.now)
        let other = Self.translated(4_000, to: 2_002)
        #expect(engine.slave.isKeptHere(other, .none))
        #expect(kernel.table.remove(handed.key, .traffic) != nil)
        #expect(!engine.slave.isKeptHere(other, .none))
    }

    /// It ended here in the term, which the replica does not say, and what is handed over is like it.
    @Test func whatEndedHereIsTakenAgainIfItIsTheSame() throws {
        let word = Basis(epoch: 6, sequence: 5)
        let (engine, seconds) = try taker(.older, own: Basis(epoch: 6, sequence: 4))
        #expect(kernel.table.insert(handed, seconds: seconds, .traffic) == 0)
        take(handed, word, engine)
        #expect(!engine.slave.isGoneHere(handed.key))
        #expect(kernel.table.remove(handed.key, .traffic) != nil)
        #expect(engine.slave.isGoneHere(handed.key))
        let intake = MessageIntake(engine.table, engine.slave.filter)
        intake.isGoneHere = engine.slave.isGoneHere
        intake.handover = ReceivedHandover(
            from: Self.claim, LastWords(donor: word, own: .none), now: Self.now)
        var message = Message()
        message.kind = MessageKind(.CONNTRACK, .UPDATE)
        message.entry = handed
        // By no later word of the same term it is the one that ended here; so it is if this master said it.
        let cases: [(Basis, Bool)] = [
            (word, false), (.none, false), (Basis(epoch: 5, sequence: 9), true),
            (Basis(epoch: 5, sequence: 9), false), (Basis(epoch: 6, sequence: 1), true),
        ]
        for (word, isTaken) in cases {
            intake.handover?.begin(Bracket(number: 1, basis: word))
            #expect(intake.take(message, now: 10) == .taken)
            engine.inject(Self.now)
            #expect((kernel.table.remove(handed.key, .traffic) != nil) == isTaken, "\(word)")
        }
        engine.table.assertValid { Issue.record("\($0)") }
    }

    /// A connection of the same tuple that this process has not read.
    @Test(arguments: Origin.allCases)
    func anOlderOneOfItsTupleGivesWay(_ origin: Origin) throws {
        let other = Self.translated(4_000, to: 2_002)
        let isOlder = origin == .held || origin == .older
        #expect(try isReplaced(other, origin, isAhead: true) == isOlder)
    }

    @Test(arguments: Origin.allCases)
    func anOlderOneOfItsReplyTupleGivesWay(_ origin: Origin) throws {
        let other = Self.translated(4_001, to: 2_001)
        let isOlder = origin == .held || origin == .older
        #expect(try isReplaced(other, origin, isAhead: true) == isOlder)
    }

    /// The port at which it is answered was another's, which is handed over too, with another port.
    @Test func aChainOfLaterOnesTakesTheirPlaces() throws {
        let other = Self.translated(4_001, to: 2_001)
        let later = Self.translated(4_001, to: 2_003)
        #expect(try isReplaced(other, .older, isAhead: true, with: [later]))
    }

    /// Each has the port at which the other is to be answered.
    @Test func twoTakeEachOthersPlaces() throws {
        let (engine, seconds) = try taker(.older, own: .none)
        for (source, port) in [(4_000, 2_002), (4_001, 2_001)] as [(UInt16, UInt16)] {
            let entry = Self.translated(source, to: port)
            #expect(kernel.table.insert(entry, seconds: seconds, .traffic) == 0)
        }
        let word = Basis(epoch: 6, sequence: 5)
        let all = [handed, Self.translated(4_001, to: 2_002)]
        for entry in all {
            _ = engine.table.update(entry, isNew: false, isCopy: true, now: 10)
            engine.table.setHanded(entry.key, word)
        }
        engine.inject(Self.now)
        for entry in all { #expect(kernel.table.entry(entry.key)?.reply == entry.reply) }
        engine.table.assertValid { Issue.record("\($0)") }
    }

    /// It is later than what has its tuple here, and not than what has its reply tuple: it cannot be made, so
    /// what has its tuple stays.
    @Test(arguments: [Origin.held, .older])
    func whatCannotBeMadeReplacesNothing(_ origin: Origin) throws {
        let (engine, seconds) = try taker(origin, own: Basis(epoch: 6, sequence: 4))
        let later = Self.translated(4_001, to: 2_001)
        let older = Self.translated(4_000, to: 2_002)
        take(later, Basis(epoch: 6, sequence: 6), engine)
        #expect(kernel.table.insert(older, seconds: seconds, .traffic) == 0)
        take(handed, Basis(epoch: 6, sequence: 5), engine)
        for entry in [later, older] {
            #expect(kernel.table.entry(entry.key)?.reply == entry.reply)
            #expect(engine.table.reply(entry.key) == entry.reply)
        }
        #expect(!engine.table.isDirty && engine.table.refusedCount == 0)
        // If it is the later one of all, both go.
        take(handed, Basis(epoch: 6, sequence: 7), engine)
        #expect(kernel.table.entry(handed.key)?.reply == handed.reply)
        #expect(kernel.table.entry(later.key) == nil)
    }

    /// What stays here is what is held from then on: the same is handed over again by a node of a later
    /// word, and takes its place.
    @Test(arguments: [Origin.held, .older])
    func whatStaysIsWhatIsHeld(_ origin: Origin) throws {
        let other = Self.translated(4_000, to: 2_002)
        let (engine, seconds) = try taker(origin, own: Basis(epoch: 6, sequence: 6))
        #expect(kernel.table.insert(other, seconds: seconds, .traffic) == 0)
        take(handed, Basis(epoch: 6, sequence: 5), engine)
        #expect(engine.table.reply(other.key) == other.reply)
        #expect(engine.table.lateness(other.key) == Basis(epoch: 6, sequence: 6))
        guard case .different = engine.table.comparison(with: handed) else {
            Issue.record("what is handed over is not what is here")
            return
        }
        take(handed, Basis(epoch: 6, sequence: 7), engine)
        #expect(kernel.table.entry(handed.key)?.reply == handed.reply)
    }

    /// Packets have passed by what another node has too: it is as late as that one says.
    @Test func whatIsTheSameHasTheLaterWord() throws {
        let word = Basis(epoch: 6, sequence: 5)
        let (engine, seconds) = try taker(.older, own: .none)
        #expect(kernel.table.insert(handed, seconds: seconds, .traffic) == 0)
        take(handed, word, engine)
        #expect(engine.table.lateness(handed.key) == word)
        #expect(engine.slave.isKeptHere(Self.translated(4_000, to: 2_002), word))
    }

    /// What began in the term is later than all that is handed over in it.
    @Test func whatBeganInTheTermIsOfIt() throws {
        let other = Self.translated(4_000, to: 2_002)
        let (engine, seconds) = try taker(.newer, own: .none)
        #expect(kernel.table.insert(other, seconds: seconds, .traffic) == 0)
        take(handed, Basis(epoch: 6, sequence: 5), engine)
        #expect(engine.table.lateness(other.key) == Basis(epoch: 7, sequence: 0))
        #expect(engine.table.reply(other.key) == other.reply)
    }

    /// A donor hands over what it has of this master itself, or of nobody knows when: that says nothing of when
    /// the one that is here began.
    @Test(arguments: Origin.allCases)
    func whatADonorHasOfThisMasterIsOfTheTermStill(_ origin: Origin) throws {
        for port in [2_002, 2_003] as [UInt16] {
            let here = Self.translated(4_000, to: 2_002)
            let (engine, seconds) = try taker(origin, own: .none)
            #expect(kernel.table.insert(here, seconds: seconds, .traffic) == 0)
            take(Self.translated(4_000, to: port), .none, engine)
            #expect(kernel.table.entry(here.key)?.reply == here.reply)
            let isOfTerm = origin == .newer || origin == .unknown
            #expect(engine.slave.isKeptHere(handed, Basis(epoch: 6, sequence: 5)) == isOfTerm)
            kernel.table.flush(.hand)
        }
    }

    /// All that the kernel had was read: what is no replica began in the term, also if its event was not read
    /// yet.
    @Test func whatBeganAMomentAgoStays() throws {
        for hasRead in [false, true] {
            let other = Self.translated(4_000, to: 2_002)
            let (engine, seconds) = try taker(.older, own: .none, hasRead: hasRead)
            #expect(engine.hasUnread != hasRead)
            #expect(kernel.table.insert(other, seconds: seconds, .traffic) == 0)
            take(handed, Basis(epoch: 6, sequence: 5), engine)
            let stays = hasRead ? other : handed
            #expect(kernel.table.entry(handed.key)?.reply == stays.reply)
            kernel.table.flush(.hand)
        }
    }

    /// Nobody reads what the rules leave out: it need not have begun since.
    @Test func whatTheRulesLeaveOutIsNotTakenForNew() throws {
        let other = SampleEntries.entry(handed.key.tuple) {
            $0.reply.destination = Address(ipv4: 0x0A02_0001)
            $0.reply.destinationPort = 2_002
            $0.mark = 7
            $0.fields.insert(.mark)
        }
        let (engine, seconds) = try taker(.older, own: .none, hasRead: true)
        engine.slave.filter = ReplicationFilter(
            ownAddresses: [], syncNetworks: [],
            rules: [
                try ReplicationRule(text: "ignore mark 7"), try ReplicationRule(text: "accept"),
            ])
        #expect(kernel.table.insert(other, seconds: seconds, .traffic) == 0)
        take(handed, Basis(epoch: 6, sequence: 5), engine)
        #expect(kernel.table.entry(handed.key)?.reply == handed.reply)
    }

    /// A master that takes over, and the seconds that its kernel's entries have left.
    ///
    /// - Parameter hasRead: whether it was slave until its kernel's entries were read.
    private func taker(
        _ origin: Origin, own: Basis, hasRead: Bool = false
    ) throws -> (SlaveEngine, UInt32) {
        kernel.advance(to: Self.now)
        let engine = try SlaveEngine(
            try SlaveProtocol.sample(nodeID: 1, capacity: 16, slotByteCount: 400),
            kernel)
        if hasRead {
            engine.begin(after: .none, holding: Holding(), now: Self.now)
            for _ in 0..<10 where !engine.slave.hasAdopted { engine.work(now: Self.now) }
            engine.finish(now: Self.now)
        }
        engine.beganInTerm = { _ in origin == .unknown ? nil : origin == .newer }
        engine.takeOver(
            from: Self.claim, at: Self.peer, LastWords(donor: .none, own: own), now: Self.now)
        return (engine, origin == .held ? ReplicaTable.holdSeconds : 60)
    }

    private func take(_ entry: Entry, _ word: Basis, _ engine: SlaveEngine) {
        if case .different = engine.table.comparison(with: entry) {
            #expect(!engine.slave.isKeptHere(entry, word))
        }
        _ = engine.table.update(entry, isNew: false, isCopy: true, now: 10)
        engine.table.setHanded(entry.key, word)
        engine.inject(Self.now)
        engine.table.assertValid { Issue.record("\($0)") }
    }

    @Test(arguments: Origin.allCases)
    func nothingGivesWayToANodeThatIsBehind(_ origin: Origin) throws {
        let other = Self.translated(4_000, to: 2_002)
        #expect(try !isReplaced(other, origin, isAhead: false))
    }
}
