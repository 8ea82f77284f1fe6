// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The steps of a node that does nothing but write them down.
private final class WrittenSteps: NodeParts {
    var steps: [String] = []
    var now: Instant = 1
    var slaveState = SlaveState(
        outOfSync: nil, isMasterSilent: false, master: .none, holding: Holding(), lacks: false)
    var next = Wholeness.Step.whole
    /// What was recorded of it as master.
    var last = Basis.none
    var hasMore = false
    /// What the node holds that became slave, or began a term, last.
    var held = Holding()
    var hasTakenOver = false
    /// Steps that fail.
    var failing: Set<String> = []

    private func attempt(_ step: String) throws(SystemError) {
        steps.append(step)
        if failing.contains(step) { throw SystemError(step, errno: 24) }
    }

    func take() -> [String] {
        defer { steps = [] }
        return steps
    }

    func stopReceiving(now: Instant) { steps.append("stop receiving") }
    func resumeReceiving(now: Instant) { steps.append("resume") }
    func record(epoch: UInt64) { steps.append("record \(epoch)") }
    func record(last word: Basis, hasMore: Bool) { (last, self.hasMore) = (word, hasMore) }
    func startTerm(
        _ claim: MasterClaim, holding: Holding, lacks: Bool, now: Instant
    ) throws(SystemError) {
        held = holding
        try attempt("term")
    }
    func open(now: Instant) { steps.append("open") }
    func announce(now: Instant) { steps.append("announce") }
    func nextOfWholeness(now: Instant) -> Wholeness.Step { next }
    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords, now: Instant) {
        steps.append("take from \(claim.nodeID)")
    }
    func endTakingOver(took nodeID: UInt8?, now: Instant) {
        steps.append(nodeID.map { "took from \($0)" } ?? "leave")
    }
    func startTimers(now: Instant) throws(SystemError) { try attempt("timers") }
    func close(now: Instant) { steps.append("close") }
    func stopTimers() { steps.append("stop timers") }
    func stopTerm(now: Instant) -> Holding {
        steps.append("end term")
        return Holding()
    }
    func becomeSlave(after claim: MasterClaim, holding: Holding, now: Instant) {
        held = holding
        steps.append("slave after \(claim.epoch)")
    }
}

@Suite struct NodeEngineTests {
    private let parts = WrittenSteps()
    private let engine: NodeEngine

    init() throws {
        engine = NodeEngine(nodeID: 4, parts, requireSyncSeconds: 0, now: 1)
        try engine.begin(as: .slave, now: 1, wallMicroseconds: 100)
        _ = parts.take()
    }

    private static func claim(_ epoch: UInt64, _ id: UInt8 = 4) -> MasterClaim {
        MasterClaim(epoch: epoch, nodeID: id)
    }

    private func order(_ role: Role, wall: UInt64 = 100) throws -> [String] {
        _ = try engine.order(role, now: 1, wallMicroseconds: wall)
        return parts.take()
    }

    @Test func aNodeObeysStepByStep() throws {
        #expect(try order(.slave).isEmpty)
        #expect(try order(.master) == ["stop receiving", "record 100", "term", "open"])
        #expect(engine.role == .master)
        #expect(try order(.master, wall: 200).isEmpty)
        #expect(try order(.slave) == ["close", "stop timers", "end term", "slave after 100"])
        // The clock went back: the epoch does not.
        #expect(try order(.master, wall: 50).contains("record 101"))
        _ = try order(.slave)
        #expect(try order(.master, wall: 500).contains("record 500"))
    }

    @Test func aPromotionThatFailsIsTakenBack() throws {
        parts.failing = ["term"]
        #expect(throws: SystemError.self) { try order(.master) }
        #expect(parts.take() == ["stop receiving", "record 100", "term", "resume"])
        #expect(engine.role == .slave && engine.claim == .none)
        parts.failing = []
        #expect(try order(.master).last == "open")
        #expect(engine.role == .master)
    }

    /// What began here since the node gave way is handed over before its daemon ends, half a second at most;
    /// only who was master has such.
    @Test func aDaemonEndsWhenWhatBeganHereIsHandedOver() throws {
        func mayEnd(after milliseconds: UInt64) -> Bool {
            engine.mayEnd(orderedAt: 10, now: 10 + milliseconds * Duration.millisecond)
        }
        parts.slaveState.holding.hasMore = true
        #expect(mayEnd(after: 0))
        _ = try order(.master)
        #expect(mayEnd(after: 0))
        _ = try order(.slave)
        #expect(!mayEnd(after: 0) && !mayEnd(after: 499))
        #expect(mayEnd(after: 500))
        parts.slaveState.holding.hasMore = false
        // Its kernel's last events may be unread.
        let isRead = 2 * KernelWatch.beginInterval / Duration.millisecond
        #expect(!mayEnd(after: isRead - 1) && mayEnd(after: isRead))
    }

    /// What a master has heard of others is obeyed in one go.
    @Test func whatAMasterHasHeardIsObeyed() throws {
        _ = try order(.master)
        var news = MasterNews()
        news.add(.outbid(Self.claim(300, 2)))
        news.add(.beaten)
        let outbid = engine.hear(news, now: 2, wallMicroseconds: 100)
        #expect(outbid.outbid == Self.claim(300, 2) && outbid.gaveWayTo == nil)
        #expect(engine.role == .master && engine.claim == Self.claim(301))
        // It was announced with the promotion a moment ago.
        #expect(!parts.take().contains("announce"))
        news = MasterNews()
        news.add(.superseded(Self.claim(400, 2)))
        let higher = engine.hear(news, now: 2, wallMicroseconds: 100)
        #expect(higher.gaveWayTo == Self.claim(400, 2) && higher.outbid == nil)
        #expect(engine.role == .slave)
    }

    @Test func theFirstRoleThatFailsIsNone() throws {
        let parts = WrittenSteps()
        parts.failing = ["term"]
        let engine = NodeEngine(nodeID: 4, parts, requireSyncSeconds: 0, now: 1)
        #expect(throws: SystemError.self) {
            try engine.begin(as: .master, now: 1, wallMicroseconds: 100)
        }
        #expect(engine.role == .slave)
    }

    @Test func anEpochIsAboveEveryOneHeard() throws {
        parts.slaveState.master = Self.claim(1_000, 9)
        #expect(try order(.master).contains("record 1001"))
        #expect(engine.claim == Self.claim(1_001))
    }

    @Test(
        arguments: [
            // The other's epoch and id, whether it is given way to.
            (101, 1, true), (100, 5, true), (100, 3, false), (99, 200, false),
        ] as [(UInt64, UInt8, Bool)])
    func aMasterGivesWayToAHigherClaim(_ epoch: UInt64, _ id: UInt8, _ givesWay: Bool) throws {
        _ = try order(.master)
        #expect(engine.giveWay(to: Self.claim(epoch, id), now: 2) == givesWay)
        #expect(engine.role == (givesWay ? .slave : .master))
        // Promoted again it is above the other.
        _ = try order(.slave)
        _ = try order(.master)
        #expect(engine.claim > Self.claim(epoch, id))
    }

    /// A split heals while the other's manager makes it a slave: this one's has nothing to say.
    /// What else there is to say of a slave, that it still reads its kernel, hides no silence.
    @Test(
        arguments: [
            (.noMaster, false, true), (.silent, true, true), (.adopting, true, true),
            (.adopting, false, false), (.initsync, false, false),
        ] as [(SlaveProtocol.OutOfSync, Bool, Bool)])
    func theRoleIsTakenBackFromAMasterThatIsGone(
        _ state: SlaveProtocol.OutOfSync, _ isSilent: Bool, _ isTaken: Bool
    ) throws {
        _ = try order(.master)
        _ = engine.giveWay(to: Self.claim(7_000, 9), now: 2)
        (parts.slaveState.outOfSync, parts.slaveState.isMasterSilent) = (state, isSilent)
        _ = try engine.tick(now: 2 + Duration.second, wallMicroseconds: 5)
        #expect((engine.role == .master) == isTaken)
        #expect(!isTaken || engine.claim == Self.claim(7_001))
    }

    /// No descriptor is free for a moment: the node tries again as long as nobody is master.
    @Test func whatFailsOnceIsTakenBackLater() throws {
        _ = try order(.master)
        _ = engine.giveWay(to: Self.claim(7_000, 9), now: 2)
        parts.slaveState.isMasterSilent = true
        parts.failing = ["term"]
        for second in 1...9 as ClosedRange<UInt64> {
            #expect(throws: SystemError.self) {
                try engine.tick(now: 2 + second * Duration.second, wallMicroseconds: 5)
            }
        }
        parts.failing = []
        _ = try engine.tick(now: 2 + 10 * Duration.second, wallMicroseconds: 5)
        #expect(engine.role == .master)
    }

    @Test func noRoleIsTakenBackLaterOrAgainstAnOrder() throws {
        _ = try order(.master)
        _ = engine.giveWay(to: Self.claim(7_000, 9), now: 2)
        parts.slaveState.outOfSync = .initsync
        _ = try engine.tick(now: 2 + NodeEngine.returnPatience, wallMicroseconds: 5)
        parts.slaveState.isMasterSilent = true
        _ = try engine.tick(now: 3 + NodeEngine.returnPatience, wallMicroseconds: 5)
        #expect(engine.role == .slave)
        _ = try order(.master)
        _ = engine.giveWay(to: Self.claim(8_000, 9), now: 2)
        _ = try order(.slave)
        _ = try engine.tick(now: 2 + Duration.second, wallMicroseconds: 5)
        #expect(engine.role == .slave)
    }

    @Test func aSlaveIsNotSuperseded() throws {
        #expect(!engine.giveWay(to: Self.claim(100, 5), now: 2))
        #expect(try !engine.outbid(Self.claim(100, 5), now: 2, wallMicroseconds: 1))
        #expect(parts.take().isEmpty)
        #expect(try order(.master, wall: 1).contains("record 101"))
    }

    @Test func aClaimThatNobodyMakesIsOutbid() throws {
        _ = try order(.master)
        #expect(try !engine.outbid(Self.claim(99, 9), now: 2, wallMicroseconds: 1))
        _ = try engine.tick(now: 2, wallMicroseconds: 1)
        #expect(parts.take() == ["timers"])
        #expect(try engine.outbid(Self.claim(7_000, 9), now: 2, wallMicroseconds: 1))
        #expect(parts.take() == ["stop timers", "end term", "record 7001", "term"])
        #expect(engine.role == .master && engine.claim == Self.claim(7_001))
        _ = try engine.tick(now: 3, wallMicroseconds: 1)
        #expect(parts.take() == ["timers"])
    }

    /// What it saw as master nobody else may have; its last order is master still.
    @Test func withoutATermItIsNoMasterUntilThereIsOne() throws {
        _ = try order(.master)
        parts.failing = ["term"]
        #expect(throws: SystemError.self) {
            try engine.outbid(Self.claim(8_000, 9), now: 2, wallMicroseconds: 1)
        }
        #expect(engine.role == .slave)
        #expect(parts.take().suffix(2) == ["close", "slave after 100"])
        #expect(parts.held.isBranch && parts.hasMore)
        parts.failing = []
        parts.slaveState.outOfSync = .noMaster
        _ = try engine.tick(now: 2 + Duration.second, wallMicroseconds: 1)
        #expect(engine.role == .master && engine.claim == Self.claim(8_001))
    }

    /// What the kernel has after a daemon was killed as master is as late as the end of that term.
    @Test(arguments: [Role.master, .slave])
    func theTermOfAKilledProcessIsRemembered(_ role: Role) throws {
        engine.remember(epoch: 90, last: .end(of: 70), wallMicroseconds: 100)
        try engine.begin(as: role, now: 1, wallMicroseconds: 100)
        #expect(parts.held.latest == .end(of: 70))
        // What its kernel does later is told from that.
        #expect(parts.held.latest.later(by: 1) > parts.held.latest)
        #expect(parts.held.basis == .none)
        #expect(parts.last == (role == .master ? .end(of: 100) : .none))
        #expect(parts.hasMore == (role == .master))
    }

    /// What a node saw as master it has alone until another has taken it, whatever process runs.
    @Test func whatNobodyElseMayHaveIsRemembered() throws {
        let last = Basis(epoch: 70, sequence: 5)
        engine.remember(epoch: 90, last: last, hasMore: true, wallMicroseconds: 100)
        try engine.begin(as: .slave, now: 1, wallMicroseconds: 100)
        #expect(parts.held == Holding(latest: last, hasMore: true, hasUnproved: true))
        parts.slaveState.holding = parts.held
        parts.hasMore = true
        #expect(try engine.tick(now: 2, wallMicroseconds: 100) != .untilWoken)
        #expect(parts.hasMore)
        parts.slaveState.holding.hasMore = false
        _ = try engine.tick(now: 3, wallMicroseconds: 100)
        #expect(!parts.hasMore && parts.last == last)
    }

    /// So has a slave that heard a part of a stream, once nobody is heard to say the rest.
    @Test func whatASlaveHasOfAMasterThatIsGoneIsRemembered() throws {
        try engine.begin(as: .slave, now: 1, wallMicroseconds: 100)
        let latest = Basis(epoch: 70, sequence: 5)
        parts.slaveState.holding = Holding(latest: latest, hasMore: true)
        parts.slaveState.outOfSync = .initsync
        _ = try engine.tick(now: 2, wallMicroseconds: 100)
        #expect(!parts.hasMore)
        parts.slaveState.isMasterSilent = true
        #expect(try engine.tick(now: 3, wallMicroseconds: 100) != .untilWoken)
        #expect(parts.hasMore && parts.last == latest)
        (parts.slaveState.holding, parts.slaveState.outOfSync) = (Holding(), nil)
        _ = try engine.tick(now: 4, wallMicroseconds: 100)
        #expect(!parts.hasMore)
    }

    /// Another master, of a split, need not have heard what this one has said.
    @Test func whatAMasterSawMayBeABranch() throws {
        _ = try order(.master)
        #expect(engine.giveWay(to: Self.claim(9_000, 9), now: 2))
        #expect(parts.held.isBranch && parts.hasMore)
        parts.slaveState.holding = Holding(isBranch: true)
        #expect(try engine.tick(now: 3, wallMicroseconds: 100) != .untilWoken)
        #expect(parts.hasMore)
    }

    @Test func theTimersWaitForWhatOthersHold() throws {
        _ = try order(.master)
        let peer = PacketBytes.peer
        let words = LastWords(donor: .none, own: .none)
        let steps: [(Wholeness.Step, [String])] = [
            (.wait(until: 5), []),
            (.take(7, peer, words), ["stop timers", "take from 7"]),
            (.wait(until: 9), []),
            (.leave, ["leave"]),
            (.take(8, peer, words), ["stop timers", "take from 8"]),
        ]
        for (next, expected) in steps {
            parts.next = next
            _ = try engine.tick(now: 3, wallMicroseconds: 1)
            #expect(parts.take() == expected)
        }
        parts.next = .becameWhole
        parts.hasTakenOver = true
        // What cannot be started is tried again.
        parts.failing = ["timers"]
        _ = try engine.tick(now: 3, wallMicroseconds: 1)
        #expect(parts.take() == ["took from 8", "timers"])
        parts.failing = []
        parts.next = .whole
        _ = try engine.tick(now: 4, wallMicroseconds: 1)
        #expect(parts.take() == ["timers"])
        _ = try engine.tick(now: 5, wallMicroseconds: 1)
        #expect(parts.take().isEmpty)
    }

    @Test func aMasterThatHasBeatenAnotherTellsTheNeighbours() throws {
        engine.hasBeaten(now: 1)
        #expect(parts.take().isEmpty)
        _ = try order(.master)
        engine.hasBeaten(now: 1 + 2 * Duration.second)
        engine.hasBeaten(now: 2 + 2 * Duration.second)
        #expect(parts.take() == ["announce"])
    }
}
