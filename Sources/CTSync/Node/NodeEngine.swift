// SPDX-License-Identifier: GPL-2.0-or-later

/// What the role engine has done, in the order of its steps: by the daemon's threads, sockets and
/// rules, or by a simulated node.
protocol NodeParts: AnyObject {
    /// The instant it is.
    var now: Instant { get }
    /// How the node is as slave.
    var slaveState: SlaveState { get }

    /// Ceases to be slave: what had arrived when the order came is applied.
    func stopReceiving(now: Instant)
    /// Is slave again, as before `stopReceiving`.
    func resumeReceiving(now: Instant)
    /// Keeps an epoch where it outlives the process; where that fails the clock has to do.
    func record(epoch: UInt64)
    /// Keeps the last word of what the node saw as master, and whether nobody else may have that, for a
    /// process that follows this one.
    func record(last word: Basis, hasMore: Bool)
    /// Begins a term as master with what the node holds; its first packet announces it.
    ///
    /// - Parameter lacks: whether its predecessor had said what it lacks, or is not known.
    /// - Throws: `SystemError` where a socket or a thread cannot be had; nothing of it runs then.
    func startTerm(
        _ claim: MasterClaim, holding: Holding, lacks: Bool, now: Instant
    ) throws(SystemError)
    /// Lifts l2drop and tells the neighbours.
    func open(now: Instant)
    /// Tells the neighbours again.
    func announce(now: Instant)

    /// What a master lacks, and from whom it can be had.
    func nextOfWholeness(now: Instant) -> Wholeness.Step
    /// Begins to take over what another node holds.
    ///
    /// - Parameter words: by which it is told who knows better where both hold a connection.
    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords, now: Instant)
    /// Whether all of that is there.
    var hasTakenOver: Bool { get }
    /// Ends it; the master is told from whom all was taken, if it was all.
    func endTakingOver(took nodeID: UInt8?, now: Instant)
    /// Begins to start the replicas' timers, in the background; the master walks its table after it.
    func startTimers(now: Instant) throws(SystemError)

    /// Puts l2drop on.
    func close(now: Instant)
    /// Ends what `startTimers` began.
    func stopTimers()
    /// Ends a term as master: what the kernel has said is sent, within 200 ms.
    ///
    /// - Returns: what the node holds.
    func stopTerm(now: Instant) -> Holding
    /// Becomes slave with what it holds, to follow what is above this claim.
    func becomeSlave(after claim: MasterClaim, holding: Holding, now: Instant)
}

/// How a node is as slave, as far as its role hangs on it.
struct SlaveState {
    /// Why it is not in sync.
    var outOfSync: SlaveProtocol.OutOfSync?
    /// Whether a master was heard and is not any more; whatever else is said of it.
    var isMasterSilent: Bool
    /// The highest claim that it follows or followed.
    var master: MasterClaim
    /// What it holds.
    var holding: Holding
    /// Whether it may lack something that its master has said, or knows of no master.
    var lacks: Bool
}

/// Decides the role: takes the manager's orders and the claims heard, and has the parts of the node
/// carried from one role to the other.
///
/// Thread: control. It is the only place that knows the role. A change is planned, carried out, then
/// committed; a step that fails takes back the steps before it, and the role that is reported is the
/// role that is.
///
/// Promotion: stop receiving, take a claim and record it, begin the term (its first packet announces
/// it), lift l2drop. Nothing of it depends on the size of the table. Then, in the background: take
/// over what other nodes hold and this one lacks; when that is there, start the replicas' timers;
/// then walk the table for the slaves. Demotion: put l2drop on, end the timers and the term, receive.
final class NodeEngine {
    /// What became of an order.
    enum Outcome: Equatable {
        /// The role is the one ordered.
        case done
        /// The promotion waits for the end of an initsync (`--require-sync`).
        case waits
    }

    /// The instants of a promotion.
    struct Promotion: Equatable {
        var orderedAt: Instant
        /// The term had begun, its claim was on the way.
        var claimedAt: Instant
        /// The node was open.
        var openedAt: Instant
    }

    private unowned let parts: any NodeParts
    private(set) var machine: RoleMachine
    private var gate: PromotionGate
    /// When the role was taken.
    private(set) var roleSince: Instant
    /// What the last promotion took, from the order to the announcement; 0 before the first.
    private(set) var promotionMicroseconds: UInt64 = 0
    /// Its instants.
    private(set) var promotion: Promotion?
    /// Whether the replicas' timers were started in this term as master.
    private var haveTimersBegun = false
    /// Whether it lacked, when it was promoted, what its predecessor had said.
    private var lacks = true
    /// The last word of an earlier process: what its kernel has is that of its last term as master,
    /// to the end, or later.
    private var remembered = Basis.none
    /// What is recorded of that, and whether nobody else may have it.
    private var recorded: (last: Basis, hasMore: Bool) = (.none, false)
    /// When it gave way to a master that nobody has heard for long since, or could not go on; nil for one
    /// that did not, or has an order since.
    private var gaveWayAt: Instant?
    /// From whom this master takes a table over.
    private var donorID: UInt8?
    private var announcedAt: Instant = 0
    /// How long after it gave way a master takes its role back where the other is gone.
    static let returnPatience = 3 * Duration.second
    /// How often a master that has beaten another tells the neighbours so.
    private static let announceInterval = 1 * Duration.second
    /// How soon timers that could not be started are tried again.
    private static let timerRetry = 250 * Duration.millisecond
    /// The longest that a daemon which is to end goes on to hand over what began here.
    private static let handOverTime = 500 * Duration.millisecond

    init(
        nodeID: UInt8, _ parts: any NodeParts, requireSyncSeconds: UInt32, now: Instant
    ) {
        self.parts = parts
        machine = RoleMachine(nodeID: nodeID)
        gate = PromotionGate(seconds: requireSyncSeconds)
        roleSince = now
    }

    /// The role.
    var role: Role { machine.role }
    /// The claim this node makes or made last.
    var claim: MasterClaim { machine.claim }
    /// Whether a promotion waits; `tick` looks whether it still has to.
    var isWaiting: Bool { gate.deadline != nil }

    /// Checks that what is under way is of the role. For tests, between two calls.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        machine.assertValid(report)
        if role == .master {
            if isWaiting { report("a master waits for its promotion") }
            if gaveWayAt != nil { report("a master wants its role back") }
            if donorID != nil, haveTimersBegun { report("the timers run while it takes over") }
        } else {
            if donorID != nil { report("a slave takes over") }
            if haveTimersBegun { report("the timers of a slave run") }
        }
    }

    // MARK: Epochs

    /// Records the highest epoch of an earlier run.
    ///
    /// - Parameters:
    ///   - last: the last word of what it saw as master since the boot.
    ///   - hasMore: whether nobody else may have that.
    func remember(
        epoch: UInt64, last: Basis = .none, hasMore: Bool = false, wallMicroseconds: UInt64
    ) {
        if last.epoch <= epoch {
            remembered = last
            recorded = (last, hasMore && last != .none)
        }
        let claim = MasterClaim(epoch: epoch, nodeID: machine.nodeID)
        guard claim.isPlausible(wallMicroseconds: wallMicroseconds) else { return }
        machine.heard(claim)
    }

    /// The highest epoch that this node has made or followed.
    var highestEpoch: UInt64 {
        max(machine.claim, machine.highest, parts.slaveState.master).epoch
    }

    // MARK: Orders

    /// Takes up the first role.
    ///
    /// - Throws: `SystemError` where the master's threads or sockets cannot be had; it has no role.
    func begin(as role: Role, now: Instant, wallMicroseconds: UInt64) throws(SystemError) {
        if role == .master {
            try promote(now, wallMicroseconds)
        } else {
            parts.becomeSlave(
                after: .none,
                holding: Holding(
                    latest: remembered, hasMore: recorded.hasMore, hasUnproved: true),
                now: now)
        }
    }

    /// Obeys the cluster manager, at once or, with `--require-sync`, when an initsync has ended.
    ///
    /// - Throws: `SystemError` where it cannot; the role is the one that it was.
    func order(
        _ wanted: Role, now: Instant, wallMicroseconds: UInt64
    ) throws(SystemError) -> Outcome {
        gaveWayAt = nil
        guard wanted != role else {
            gate.cancel()
            return .done
        }
        if wanted == .master {
            if gate.mustWait(parts.slaveState.outOfSync, now: now) { return .waits }
            gate.cancel()
            try promote(now, wallMicroseconds)
        } else {
            gate.cancel()
            demote(now)
        }
        return .done
    }

    // MARK: Claims heard as master

    /// What became of what a master has heard of others.
    struct Answer {
        /// The claim that it gave way to.
        var gaveWayTo: MasterClaim?
        /// The claim that it has taken a new one above ...
        var outbid: MasterClaim?
        /// ... or why it could not, and is a slave.
        var failure: SystemError?
    }

    /// Does what follows from what this master has heard of others.
    func hear(_ news: MasterNews, now: Instant, wallMicroseconds: UInt64) -> Answer {
        var answer = Answer()
        if let claim = news.higher, giveWay(to: claim, now: now) { answer.gaveWayTo = claim }
        if let claim = news.outbid {
            do throws(SystemError) {
                let isOutbid = try outbid(claim, now: now, wallMicroseconds: wallMicroseconds)
                if isOutbid { answer.outbid = claim }
            } catch {
                (answer.outbid, answer.failure) = (claim, error)
            }
        }
        if news.hasBeaten { hasBeaten(now: now) }
        return answer
    }

    /// Gives way to a higher claim.
    ///
    /// - Returns: whether the role changed.
    func giveWay(to other: MasterClaim, now: Instant) -> Bool {
        machine.heard(other)
        guard role == .master, other > claim else { return false }
        demote(now)
        gaveWayAt = now
        return true
    }

    /// Takes a new claim above one that a slave knows of and nobody makes any more.
    ///
    /// - Returns: whether there is a new one.
    /// - Throws: `SystemError` where its term cannot begin: without one the node is a slave. It takes its
    ///   role back when it can.
    func outbid(
        _ other: MasterClaim, now: Instant, wallMicroseconds: UInt64
    ) throws(SystemError) -> Bool {
        machine.heard(other)
        guard role == .master, other > claim else { return false }
        let holding = endWork(now)
        let next = machine.nextClaim(wallMicroseconds: wallMicroseconds)
        parts.record(epoch: next.epoch)
        do throws(SystemError) {
            try parts.startTerm(next, holding: holding, lacks: lacks, now: now)
        } catch {
            parts.close(now: now)
            becomeSlave(holding, now)
            gaveWayAt = now
            throw error
        }
        machine.commit(.master, next)
        record(last: .end(of: next.epoch), hasMore: true)
        return true
    }

    /// Another node was master, and gives way: where it was forwarding, the neighbours must learn that
    /// this one is.
    func hasBeaten(now: Instant) {
        guard role == .master, now >= announcedAt + Self.announceInterval else { return }
        announcedAt = now
        parts.announce(now: now)
    }

    // MARK: What is due

    /// Does what is due.
    ///
    /// - Returns: when it is to be called again.
    func tick(now: Instant, wallMicroseconds: UInt64) throws(SystemError) -> Pause {
        if isWaiting, try order(.master, now: now, wallMicroseconds: wallMicroseconds) == .waits {
            return .until(now + PromotionGate.interval)
        }
        guard role == .master else {
            recordWhatIsAlone()
            let next = Pause.until(now + 1 * Duration.second)
            return try comeBack(now, wallMicroseconds).sooner(next)
        }
        if let donorID, parts.hasTakenOver { endTakingOver(took: donorID, now) }
        switch parts.nextOfWholeness(now: now) {
        case .wait(let until): return .until(until)
        case .take(let nodeID, let peer, let words):
            donorID = nodeID
            // What is taken needs the replica table, which the timers own.
            parts.stopTimers()
            haveTimersBegun = false
            parts.takeOver(
                from: MasterClaim(epoch: claim.epoch, nodeID: nodeID), at: peer, words, now: now)
            return .none
        case .leave:
            endTakingOver(took: nil, now)
            return .none
        case .becameWhole, .whole: return beginTimers(now)
        }
    }

    /// Takes the role back from a master that was gone already: a split heals while the other's manager
    /// makes it a slave, and this one's manager, whose last word is master, has nothing to say.
    private func comeBack(_ now: Instant, _ wallMicroseconds: UInt64) throws(SystemError) -> Pause {
        guard let since = gaveWayAt else { return .untilWoken }
        let state = parts.slaveState
        let wasNeverHeard = state.outOfSync == .noMaster && now >= since + 1 * Duration.second
        guard wasNeverHeard || state.isMasterSilent else {
            if now >= since + Self.returnPatience { gaveWayAt = nil }
            return .until(now + PromotionGate.interval)
        }
        // What fails is tried again as long as nobody is master.
        gaveWayAt = now
        try promote(now, wallMicroseconds)
        gaveWayAt = nil
        return .none
    }

    /// Records when another node has what this one saw as master; or that nobody else may have what it heard
    /// as slave, as the master that said it is gone.
    private func recordWhatIsAlone() {
        let state = parts.slaveState
        guard state.holding.mayBeAlone else {
            if recorded.hasMore { record(last: recorded.last, hasMore: false) }
            return
        }
        guard !recorded.hasMore, state.isMasterSilent else { return }
        record(last: max(recorded.last, state.holding.latest), hasMore: true)
    }

    private func record(last word: Basis, hasMore: Bool) {
        recorded = (word, hasMore)
        parts.record(last: word, hasMore: hasMore)
    }

    /// Ends a term; a process that follows knows what it came to.
    private func stopTerm(_ now: Instant) -> Holding {
        let holding = parts.stopTerm(now: now)
        record(last: holding.latest, hasMore: holding.hasMore)
        return holding
    }

    private func beginTimers(_ now: Instant) -> Pause {
        guard !haveTimersBegun else { return .until(now + 1 * Duration.second) }
        do throws(SystemError) {
            try parts.startTimers(now: now)
            haveTimersBegun = true
            return .until(now + 1 * Duration.second)
        } catch {
            return .until(now + Self.timerRetry)
        }
    }

    private func endTakingOver(took nodeID: UInt8?, _ now: Instant) {
        guard donorID != nil else { return }
        donorID = nil
        parts.endTakingOver(took: nodeID, now: now)
    }

    // MARK: Role changes

    private func promote(_ now: Instant, _ wallMicroseconds: UInt64) throws(SystemError) {
        let slave = parts.slaveState
        machine.heard(slave.master)
        let next = machine.nextClaim(wallMicroseconds: wallMicroseconds)
        parts.stopReceiving(now: now)
        parts.record(epoch: next.epoch)
        do throws(SystemError) {
            let last = parts.slaveState
            lacks = last.lacks
            var held = last.holding
            held.latest = max(held.latest, remembered)
            try parts.startTerm(next, holding: held, lacks: lacks, now: now)
        } catch {
            parts.resumeReceiving(now: now)
            throw error
        }
        let claimedAt = parts.now
        parts.open(now: now)
        machine.commit(.master, next)
        record(last: .end(of: next.epoch), hasMore: true)
        roleSince = now
        announcedAt = now
        let openedAt = max(parts.now, now)
        promotionMicroseconds = (openedAt - now) / Duration.microsecond
        promotion = Promotion(orderedAt: now, claimedAt: claimedAt, openedAt: openedAt)
    }

    private func demote(_ now: Instant) {
        parts.close(now: now)
        becomeSlave(endWork(now), now)
    }

    /// Ends what a term has running, and the term.
    private func endWork(_ now: Instant) -> Holding {
        endTakingOver(took: nil, now)
        parts.stopTimers()
        haveTimersBegun = false
        return stopTerm(now)
    }

    private func becomeSlave(_ held: Holding, _ now: Instant) {
        var holding = held
        // Another master may be at work, which has not heard all of it.
        holding.isBranch = true
        record(last: holding.latest, hasMore: true)
        machine.commit(.slave)
        roleSince = now
        parts.becomeSlave(after: claim, holding: holding, now: now)
    }

    /// Whether a daemon that was told to end may do so. What packets have made here since this node gave way
    /// is handed over first, if there is a master: nobody else has it, and a reboot may follow.
    ///
    /// - Parameter orderedAt: when it was told.
    func mayEnd(orderedAt: Instant, now: Instant) -> Bool {
        guard role == .slave, promotion != nil, now < orderedAt + Self.handOverTime else {
            return true
        }
        // By then its kernel's last events are read.
        guard now >= orderedAt + 2 * KernelWatch.beginInterval else { return false }
        return !parts.slaveState.holding.mayBeAlone
    }

    /// Ends everything in order: what has happened is sent.
    func end(now: Instant) {
        guard role == .master else { return }
        _ = endWork(now)
    }
}
