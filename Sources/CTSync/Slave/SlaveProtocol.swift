// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave does with packets: follows the master with the highest claim, puts its packets in
/// order, applies their messages to the replica table, asks for what is missing.
///
/// No input or output of its own: packets and the time come in through `receive`, packets to send
/// come out of `output`, and `deadline` says when to ask for them. One thread, the receiver's.
///
/// 1. A ladder of checks: malformed, of this node's own id, of a superseded master: dropped, counted.
/// 2. A higher claim makes its sender the master (`FollowedMaster`); the stream starts where it is
///    heard first, and an initsync is asked for (`InitsyncRequest`).
/// 3. In order (`PacketOrder`), messages are applied (`MessageIntake`). A gap is asked for again (NACK) until it is
///    filled or has left the master's backlog; then the slave is out of sync and asks for an initsync.
/// 4. The initsync (`ReceivedInitsync`) confirms or purges; what the slave then holds, or still holds
///    after a loss, is in the `HoldingBook`.
///
/// A node that is master uses it too: to take a table over from another node (`ReceivedHandover`), and
/// to hear its predecessor out.
final class SlaveProtocol {
    /// Silence of the master after which the slave no longer says that it is in sync.
    static let silence = 1 * Duration.second
    /// When to ask for an initsync if the replica table was full: there may be room again.
    static let fullRetry = 30 * Duration.second
    /// How long what a node holds is worth asking for after the last that it heard of it.
    static let branchPatience = 10 * Duration.second

    /// What a packet calls for besides what the protocol does itself.
    enum Consequence: Equatable {
        /// Nothing.
        case none
        /// The master asks for all that this node holds if it is a request, or for packets of
        /// it again; `expected` is the one that it expects next.
        case handOver(PeerAddress, isRequest: Bool, expected: UInt64)
    }

    /// What came and what became of it.
    var counters = SlaveCounters()
    /// The last dropped packet of each reason.
    private(set) var drops = DropRecord()
    /// What this kernel is set to and lacks; told with the report of each second to a master that has
    /// told its own, so that no packet is answered by a larger one.
    var traits: Traits?
    /// The last slave that said that it hears no master.
    private(set) var stranger: Stranger?
    /// Whether the kernel's own entries have been read; until then no initsync is asked for.
    var hasAdopted = true

    /// Why this node's kernel may not have what the table says; nil if it has.
    var kernelDoubt: OutOfSync?
    /// The last word that it had before the stream that it follows: what its own kernel does is later.
    private(set) var ownLast = Basis.none
    /// Until when at least what it holds was current, if it followed nobody: it was master.
    private var currentAt: Instant = 0

    /// Up to where the stream of the master to which this node gave way is older than what it saw itself.
    private var past: StreamPlace?

    private let nodeID: UInt8
    private let checksum: PacketChecksum?
    let packet: SlavePacket
    private var foreign = ForeignCluster()
    let intake: MessageIntake
    private var takenStreams = TakenStreams()
    private(set) var followed = FollowedMaster()
    var answer = ClaimAnswer()
    var order: PacketOrder
    private(set) var initsync = ReceivedInitsync()
    var request = InitsyncRequest()
    private(set) var holdings = HoldingBook()
    var reports = ReportTimer()
    private var message = Message()
    private var wantsCheck = false

    /// A slave that has heard nothing yet.
    ///
    /// - Parameter checksum: nil if it is looked at before, and written afterwards.
    /// - Throws: `SystemError` of mmap(2).
    init(
        nodeID: UInt8, table: ReplicaTable, filter: ReplicationFilter, ringSlots: Int,
        slotByteCount: Int, checksum: PacketChecksum? = PacketChecksum()
    ) throws(SystemError) {
        self.nodeID = nodeID
        self.checksum = checksum
        intake = MessageIntake(table, filter)
        packet = SlavePacket(nodeID: nodeID, checksum: checksum)
        order = try PacketOrder(slotCount: ringSlots, slotByteCount: slotByteCount)
    }

    /// Checks that its parts agree. For tests.
    ///
    /// - Parameters:
    ///   - isUsed: whether the node is slave, or takes over: what is missing is asked for.
    ///   - report: called with each contradiction.
    func assertValid(isUsed: Bool, _ report: (String) -> Void) {
        order.assertValid(asks: isUsed && !isHeir, report)
        followed.assertValid(report)
        holdings.assertValid(report)
        initsync.assertValid(report)
        takenStreams.assertValid(report)
        if holding.basis > holding.latest { report("\(holding): a basis above the last word") }
        if let donor, donor != master { report("\(donor) hands over, \(master) is followed") }
    }

    /// Starts again: as a slave that has heard no claim above this one.
    ///
    /// - Parameters:
    ///   - holding: what the node holds.
    ///   - now: if that is current.
    func restart(after claim: MasterClaim, holding: Holding, now: Instant? = nil) {
        if let now { currentAt = now }
        forgetStream(expected: 1)
        followed.follow(claim)
        holdings = HoldingBook(holding)
        ownLast = holding.latest
        intake.beSlave()
        answer.forget()
    }

    /// The node was master until this master had come so far: its stream begins after that. What it said before
    /// is older than what packets have done here, and an initsync says what is left of it.
    func gaveWay(to place: StreamPlace) {
        past = place
    }

    /// Goes on with the stream of the master that it follows, as its successor: what was on the way, and
    /// what that one saw until it knew of this one. Nothing else is heard.
    func hearOut() {
        if masterAddress == nil { intake.beSlave() } else { intake.beHeir() }
    }

    /// Ends that.
    func endHearingOut() {
        if isHeir { intake.beSlave() }
    }

    /// Begins to take over what another node holds; this node is master, and lacks it.
    ///
    /// - Parameters:
    ///   - claim: this node's epoch, and the other's id.
    ///   - others: where it is by other links.
    func takeOver(
        from claim: MasterClaim, at peer: PeerAddress, others: [PeerAddress] = [],
        _ words: LastWords, now: Instant
    ) {
        restart(after: claim, holding: holding)
        order.begin(at: takenStreams.next(of: claim, now: now))
        intake.handover = ReceivedHandover(from: claim, words, now: now)
        followed.found(at: peer, others: others, now: now)
        hasAdopted = true
        wantInitsync(at: now)
        reports.soon(now: now)
    }

    /// Asks again for all that another node holds, if it is not got on with: its daemon may be another
    /// one, whose stream is as long as that of the one before, or shorter.
    func askAgain(now: Instant) {
        let isAsking = request.deadline != nil
        guard intake.handover?.isStuck(applied: applied, isAsking: isAsking, now: now) == true
        else { return }
        forgetStream(expected: 1)
        takenStreams.forget(master)
        intake.handover?.restart(now: now)
        wantInitsync(at: now)
    }

    /// - Parameter last: up to where there is anything of it.
    private func forgetStream(expected: UInt64, upTo last: Basis? = nil) {
        holdings.leaveStream(min(here, last ?? here), isFollowing: isFollowing)
        ownLast = max(ownLast, holdings.latest)
        order.begin(at: expected)
        request = InitsyncRequest()
        initsync = ReceivedInitsync()
        followed.forgetAnnouncement()
    }

    // MARK: Input

    /// Takes a datagram.
    ///
    /// - Parameters:
    ///   - wallMicroseconds: the wall clock, for the lag and for what an epoch can be.
    @discardableResult
    func receive(
        _ packet: RawSpan, from peer: PeerAddress, now: Instant, wallMicroseconds: UInt64
    ) -> Consequence {
        counters.packets += 1
        counters.bytes += UInt64(packet.byteCount)
        let header: PacketHeader
        do throws(WireError) {
            header = try PacketHeader.readWhole(
                packet, checksum, wallMicroseconds: wallMicroseconds, foreign: &foreign,
                scratch: &message)
        } catch {
            counters.bad[error.index] += 1
            drops.note(error.index, packet, from: peer, now: now)
            return .none
        }
        guard header.nodeID != nodeID else {
            counters.ownID += 1
            drops.note(DropRecord.ownID, packet, from: peer, now: now)
            return .none
        }
        let claim = MasterClaim(epoch: header.epoch, nodeID: header.nodeID)
        guard header.type == .SYNC || header.type == .MASTER_ANNOUNCE else {
            if header.epoch == 0 {
                stranger = .heard(header.nodeID, from: peer, after: stranger, now: now)
            }
            guard claim == master, isFollowing else { return .none }
            let isRequest = header.type == .SLAVE_INITSYNC
            return .handOver(peer, isRequest: isRequest, expected: header.sequence)
        }
        guard header.flags.contains(.handover) == (donor != nil) else { return .none }
        if let donor, claim != donor { return .none }
        if isHeir {
            if claim == master { take(header, packet, now) }
            return .none
        }
        guard claim >= master else {
            counters.stale += 1
            drops.note(DropRecord.stale, packet, from: peer, now: now)
            if followed.isRival(header.nodeID, at: peer, now: now) {
                counters.sameID += 1
                drops.note(DropRecord.sameID, packet, from: peer, now: now)
            }
            answer.heard(peer, now: now)
            return .none
        }
        if claim > master || masterAddress == nil { follow(claim, header, now) }
        followed.heard(
            peer, now: now, wallMicroseconds: wallMicroseconds,
            clockMicroseconds: header.clockMicroseconds)
        take(header, packet, now)
        order.watchGap(now: now)
        return .none
    }

    private func follow(_ claim: MasterClaim, _ header: PacketHeader, _ now: Instant) {
        table.follow(after: holding.latest, to: claim.epoch)
        // What its rules have left out was kept here.
        if isFollowing, hasOtherRules { holdings.hasOwn(upTo: here) }
        let lastCurrent = max(currentAt, isFollowing ? lastHeard : 0)
        holdings.cutShort(
            here, isFollowing: isFollowing,
            isRecent: lastCurrent != 0 && now < lastCurrent + Self.branchPatience)
        var expected = header.type == .SYNC ? header.sequence : header.sequence &+ 1
        // What is heard first may be what another slave has asked for again.
        if let past, past.claim == claim { expected = max(expected, past.sequence &+ 1) }
        forgetStream(expected: expected)
        followed.follow(claim)
        wantInitsync(at: now)
        reports.soon(now: now)
    }

    private func take(_ header: PacketHeader, _ packet: RawSpan, _ now: Instant) {
        if let start = order.restartPoint(header, now: now) {
            counters.restarts += 1
            // What is beyond it was never there, whatever has counted so far.
            forgetStream(expected: start, upTo: Basis(epoch: master.epoch, sequence: start - 1))
            wantInitsync(at: now)
        }
        order.exists(header.sequence)
        if order.hasGap, header.oldest > order.expected {
            // Numbers are the master's word: however far they jump, nothing overflows. What is held without a
            // hole ends here, and not behind the loss.
            if donor == nil { table.losePackets(after: here) }
            streamBroke(now)
            let lost = order.skip(to: header.oldest)
            // Those before the first of a handover were never there.
            if donor == nil { counters.lost &+= lost }
        }
        if header.type == .SYNC {
            switch order.accept(header.sequence, packet) {
            case .next:
                if order.wasAskedFor(header.sequence) { counters.recovered += 1 }
                apply(packet, header, now)
                order.advance()
            case .kept:
                if order.wasAskedFor(header.sequence) { counters.recovered += 1 }
            case .duplicate:
                counters.duplicates += 1
            case .beyond:
                counters.beyond += 1
            }
        } else {
            if header.type == .MASTER_ANNOUNCE { hear(packet, now) }
            // An announcement that was overtaken says nothing of now.
            if header.sequence &+ 1 == order.expected { heed(header.flags, now) }
        }
        while let kept = order.kept {
            applyKept(kept.bytes, now)
            order.advancePastKept()
        }
    }

    private func hear(_ announcement: RawSpan, _ now: Instant) {
        if followed.take(announcement, now: now) { reportSoon(now: now) }
        initsync.announced(entryCount: followed.announced.entryCount, at: lastHeard)
        holdings.masterHolds(followed.announced.basis)
    }

    private func applyKept(_ packet: RawSpan, _ now: Instant) {
        do throws(WireError) {
            apply(packet, try PacketHeader.read(packet, checksum), now)
        } catch {
            preconditionFailure("a kept packet was checked when it came: \(error)")
        }
    }

    private func streamBroke(_ now: Instant) {
        holdings.loseBase(here)
        initsync.broke()
        wantInitsync(at: now)
    }

    private func heed(_ flags: PacketHeader.Flags, _ now: Instant) {
        guard flags.contains(.incomplete) else { return }
        holdings.loseBase(here)
        // The master begins one unasked; this is for the case that it did so unheard.
        if !initsync.isRunning { wantInitsync(at: now + 1 * Duration.second) }
    }

    private func wantInitsync(at instant: Instant) {
        if request.want(at: instant) { counters.initsyncRequests += 1 }
    }

    private func apply(_ packet: RawSpan, _ header: PacketHeader, _ now: Instant) {
        let seconds = UInt32(truncatingIfNeeded: now / Duration.second)
        table.isMasterPartial = header.flags.contains(.partial)
        var offset = PacketHeader.byteCount
        for _ in 0..<header.messageCount {
            do throws(WireError) {
                try MessageReader.read(packet, at: &offset, into: &message)
            } catch {
                counters.bad[error.index] += 1
                return
            }
            counters.messages += 1
            holdings.tookMessage()
            if message.kind.has(MessageKind.initsync) { initsync.tookCopy() }
            if header.flags.contains(.partial), intake.takesAway(message) { continue }
            switch (message.kind.resource, message.kind.type) {
            case (.INITSYNC, .UPDATE): begin(message.bracket, now)
            case (.INITSYNC, .DELETE): end(message.bracket, now)
            case (.CONNTRACK, .UPDATE):
                let outcome = intake.take(message, now: seconds)
                if outcome != .leftOut { initsync.heardOfEntry(now: now) }
                react(to: outcome, now)
            default: react(to: intake.take(message, now: seconds), now)
            }
        }
        heed(header.flags, now)
    }

    private func react(to outcome: MessageIntake.Outcome, _ now: Instant) {
        switch outcome {
        case .taken: break
        case .leftOut: counters.leftOut += 1
        case .insufficient:
            counters.insufficient += 1
            if !initsync.isRunning { wantInitsync(at: now) }
        case .full, .expectationsFull:
            counters.tableFull += 1
            if outcome == .full {
                initsync.tableWasFull()
            } else {
                initsync.expectationTableWasFull()
            }
            wantInitsync(at: now + Self.fullRetry)
        }
    }

    private func begin(_ begun: Bracket, _ now: Instant) {
        intake.handover?.begin(begun)
        // Who asks for a stream again may come into the midst of the walk that he has heard the begin of before.
        guard !begun.isContinuing, initsync.begin(begun, isHandover: donor != nil, now: now)
        else { return }
        request.begun()
        table.beginInitsync()
    }

    private func end(_ ended: Bracket, _ now: Instant) {
        guard let isWhole = initsync.end(ended) else { return }
        // What is adopted after this end would never be confirmed.
        let isComplete = isWhole && hasAdopted
        if let donor {
            table.endInitsync(isComplete: false)
            intake.handover?.end(isComplete: isComplete)
            if isComplete {
                takenStreams.took(donor, before: order.expected &+ 1, now: now)
            } else {
                wantInitsync(at: now)
            }
            return
        }
        // What has happened since the promotion is in no walk of the predecessor.
        guard !isHeir else {
            table.endInitsync(isComplete: false)
            return
        }
        // A master that holds less than this node does not speak for what it has never had.
        holdings.masterHolds(ended.basis)
        let isEmptied = initsync.isUnlikelyEmpty(now: now) && table.hasUnconfirmed
        if isEmptied, isComplete { holdings.loseBase(here) }
        let isTold =
            ended.isProved && !isEmptied && !holdings.hasMore && !holdings.isBranch
            && (basis.epoch == master.epoch || ended.basis >= basis)
        followed.told(rules: ended.rules)
        let purges = isComplete && isTold && !ended.isSparing && !hasOtherRules
        counters.purged += UInt64(table.endInitsync(isComplete: purges))
        if isComplete, isTold, !purges { table.keepUnnamed() }
        guard isComplete, isTold else {
            wantInitsync(at: isComplete ? now + 1 * Duration.second : now)
            return
        }
        counters.initsyncs += 1
        initsync.wasBelieved()
        // By other rules it is a part of what the master has.
        if !hasOtherRules { holdings.tookInitsync() }
        if table.insufficientCount > 0 { wantInitsync(at: now + InitsyncRequest.shortest) }
    }

    // MARK: Orders

    /// The kernel's own entries are read.
    func adopted() {
        hasAdopted = true
        if table.aliveCount == 0 { holdings.foundNothing() }
    }

    /// The next output is a report, whenever the last was.
    func reportSoon(now: Instant) {
        reports.soon(now: now)
    }

    /// Packets have made something in this kernel that nobody else may have: the master is to ask for it.
    func hasOwn(now: Instant) {
        holdings.hasOwn(upTo: ownLast.later(by: table.ownCount))
        reports.soon(now: now)
    }

    /// The master has taken all of it.
    func wasTaken() {
        holdings.wasTaken()
    }

    /// The master has taken a walk, and there is more since. It may have been told of that before it took the
    /// walk, which is then not the one that it asked for, and count it as taken: it is told by a later word.
    func wasTakenInPart(now: Instant) {
        table.tellOwnAgain()
        hasOwn(now: now)
    }

    /// Asks for an initsync; the replicas stay meanwhile.
    func requireInitsync(now: Instant) {
        wantInitsync(at: now)
        wantsCheck = true
    }

    /// Has the kernel's table compared: something may be missing from it.
    func requireCheck() {
        wantsCheck = true
    }

    /// Whether the kernel's table is to be compared now; not to be told again.
    func takeWantsCheck() -> Bool {
        defer { wantsCheck = false }
        return wantsCheck
    }

    /// Forgets all replicas, those that the kernel has and that are not read yet too, and asks for an initsync:
    /// until it is complete the slave is not in sync.
    ///
    /// - Returns: how many were read.
    func flush(now: Instant) -> Int {
        let count = table.killAll(isAllRead: hasAdopted)
        holdings = HoldingBook()
        // What a running initsync has confirmed is gone: its end proves nothing.
        streamBroke(now)
        return count
    }
}
