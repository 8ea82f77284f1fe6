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

    /// What a packet calls for besides what the protocol does itself.
    enum Consequence: Equatable {
        /// Nothing.
        case none
        /// The master asks for what this node holds, from the first packet if `isFirst`, or for packets of
        /// it again.
        case handOver(PeerAddress, isFirst: Bool)
    }

    /// What came and what became of it.
    private(set) var counters = SlaveCounters()
    /// The last dropped packet of each reason.
    private(set) var drops = DropRecord()
    /// What this kernel is set to and lacks; told with the report of each second to a master that has
    /// told its own, so that no packet is answered by a larger one.
    var traits: Traits?
    /// The last slave that said that it hears no master.
    private(set) var stranger: Stranger?
    /// The fingerprint of this node's rules; 0 for one that is not compared.
    var rulesFingerprint: UInt32 = 0
    /// Whether the kernel's own entries have been read; until then no initsync is asked for.
    var hasAdopted = true

    /// Why this node's kernel may not have what the table says; nil if it has.
    var kernelDoubt: OutOfSync?
    /// The last word that it had before the stream that it follows: what its own kernel does is later.
    private(set) var ownLast = Basis.none

    private let nodeID: UInt8
    private let checksum: PacketChecksum?
    private let packet: SlavePacket
    private var foreign = ForeignCluster()
    private var intake: MessageIntake
    private var takenStreams = TakenStreams()
    private var followed = FollowedMaster()
    private var answer = ClaimAnswer()
    private var order: PacketOrder
    private var initsync = ReceivedInitsync()
    private var request = InitsyncRequest()
    private var holdings = HoldingBook()
    private var reports = ReportTimer()
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

    /// Starts again: as a slave that has heard no claim above this one.
    ///
    /// - Parameter holding: what the node holds.
    func restart(after claim: MasterClaim, holding: Holding) {
        forgetStream(expected: 1)
        followed.follow(claim)
        holdings = HoldingBook(holding)
        ownLast = holding.latest
        intake.beSlave()
        answer.forget()
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

    private func forgetStream(expected: UInt64) {
        holdings.leaveStream(here, isFollowing: isFollowing)
        ownLast = max(ownLast, holdings.latest)
        order.begin(at: expected)
        request = InitsyncRequest()
        initsync = ReceivedInitsync()
        followed.forgetAnnouncement()
    }

    // MARK: State

    /// What it holds of the master.
    var table: ReplicaTable { intake.table }

    /// Which connections are this node's own and are left alone.
    var filter: ReplicationFilter {
        get { intake.filter }
        set { intake.filter = newValue }
    }

    /// Whether this kernel's entry of a connection is newer than what is handed over, by a word that is
    /// so late.
    var isKeptHere: (Entry, Basis) -> Bool {
        get { intake.isKeptHere }
        set { intake.isKeptHere = newValue }
    }

    /// Whether this kernel has no entry of a connection.
    var isGoneHere: (Key) -> Bool {
        get { intake.isGoneHere }
        set { intake.isGoneHere = newValue }
    }

    /// Whether this kernel's entry of a connection is newer than what a predecessor still says of it.
    var hasMovedOn: (Key) -> Bool {
        get { intake.hasMovedOn }
        set { intake.hasMovedOn = newValue }
    }

    /// The claim that is followed; of its own epoch while it takes a table over.
    var master: MasterClaim { followed.claim }

    /// Where the master's packets come from; nil if none is heard.
    var masterAddress: PeerAddress? { followed.address }

    /// By which links the master's packets come.
    var paths: MasterPaths { followed.paths }

    /// When the master was last heard.
    var lastHeard: Instant { followed.lastHeard }

    /// The receiver's clock less the master's at its last packet, in microseconds.
    var lagMicroseconds: Int64 { followed.lagMicroseconds }

    /// What the master has announced of itself.
    var announced: Announcement { followed.announced }

    /// How an initsync gets on.
    var progress: InitsyncProgress { initsync.progress }

    /// Whom this node takes a table over from, as a master that lacks it; nil for a slave.
    var donor: MasterClaim? { intake.handover?.donor }

    /// Whether all of that is there.
    var hasTaken: Bool { intake.handover?.isComplete ?? false }

    /// Whether this node is master, and hears its predecessor out.
    var isHeir: Bool { intake.isHeir }

    private var isFollowing: Bool { donor == nil && masterAddress != nil }

    /// The sequence number up to which everything is applied.
    var applied: UInt64 { order.applied }

    private var here: Basis { Basis(epoch: master.epoch, sequence: applied) }

    /// The last word of the stream that it follows.
    var heard: Basis { isFollowing ? here : .none }

    /// How much this node holds.
    var basis: Basis { holdings.basis(here) }

    /// What this node holds.
    var holding: Holding { holdings.holding(here, isFollowing: isFollowing) }

    /// Whether it may lack something that its master has said, or knows of no master.
    var lacks: Bool { !holdings.hasBase || order.hasGap }

    /// Requests for an initsync that went out since one was last begun.
    var unansweredRequests: Int { request.unansweredCount }

    /// Nil while the table equals the master's, as far as anybody can know.
    func outOfSync(now: Instant) -> OutOfSync? {
        if masterAddress == nil { return .noMaster }
        if !hasAdopted { return .adopting }
        if followed.isSilent(now: now) { return .silent }
        if followed.announced.differs(from: rulesFingerprint) { return .rules }
        if followed.announced.areEventsOff { return .eventsOff }
        if !holdings.hasBase { return .initsync }
        if order.hasGap { return .gap }
        if table.insufficientCount > 0 { return .insufficient }
        if initsync.foundTableFull || table.isAdoptionPartial { return .full }
        if table.waiting.count > 0 { return .waiting }
        if table.refusedCount > 0 { return .refused }
        if initsync.foundExpectationTableFull { return .expectationsFull }
        if table.expectations.waitingCount > 0 { return .expectationsWaiting }
        if table.expectations.refusedCount > 0 { return .expectationsRefused }
        return kernelDoubt
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
            let isFirst = header.type == .SLAVE_INITSYNC && header.sequence == 1
            return .handOver(peer, isFirst: isFirst)
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
        table.follow(after: holding.latest)
        forgetStream(
            expected: header.type == .SYNC ? header.sequence : header.sequence &+ 1)
        followed.follow(claim)
        wantInitsync(at: now)
        reports.soon(now: now)
    }

    private func take(_ header: PacketHeader, _ packet: RawSpan, _ now: Instant) {
        if let start = order.restartPoint(header, now: now) {
            counters.restarts += 1
            forgetStream(expected: start)
            wantInitsync(at: now)
        }
        order.exists(header.sequence)
        if order.hasGap, header.oldest > order.expected {
            // Numbers are the master's word: however far they jump, nothing overflows.
            if donor == nil { table.losePackets(after: here) }
            counters.lost &+= order.skip(to: header.oldest)
            streamBroke(now)
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
        guard initsync.begin(begun, isHandover: donor != nil, now: now) else { return }
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
        let isEmptied = initsync.isUnlikelyEmpty(now: now) && table.hasUnconfirmed
        if isEmptied, isComplete { holdings.loseBase(here) }
        let isTold =
            ended.isProved && !isEmptied && !holdings.hasMore
            && (basis.epoch == master.epoch || ended.basis >= basis)
        let purges = isComplete && isTold && !ended.isSparing
        counters.purged += UInt64(table.endInitsync(isComplete: purges))
        guard isComplete, isTold else {
            wantInitsync(at: isComplete ? now + 1 * Duration.second : now)
            return
        }
        counters.initsyncs += 1
        initsync.wasBelieved()
        holdings.tookInitsync()
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

    /// Forgets all replicas and asks for an initsync: until it is complete the slave is not in sync.
    ///
    /// - Returns: how many there were.
    func flush(now: Instant) -> Int {
        let count = table.killAll()
        holdings = HoldingBook()
        // What a running initsync has confirmed is gone: its end proves nothing.
        streamBroke(now)
        return count
    }

    // MARK: Output

    /// When `output` has something next; nil if only a packet can bring that about.
    var deadline: Instant? {
        guard masterAddress != nil else { return answer.isDue ? 0 : nil }
        var earliest = answer.isDue ? 0 : reportDue
        if let nack = order.nackDue { earliest = min(earliest, nack) }
        if hasAdopted, let asked = request.deadline { earliest = min(earliest, asked) }
        return earliest
    }

    private var reportDue: Instant {
        reports.due(at: appliedEnd, isWalking: initsync.isRunning)
    }

    /// Whether an initsync is received, which waits for what is live.
    var isCopying: Bool { donor == nil && !isHeir && initsync.isRunning }

    /// The number after that of the last packet that is applied: the kernel may lack as much of an
    /// initsync as it is given in a few steps, or the master would wait for each of them.
    private var appliedEnd: UInt64 {
        table.kernel.copyCount <= Self.copiesBehind
            ? order.expected : min(reports.reported, order.expected)
    }
    private static let copiesBehind = 2 * SlaveEngine.copiesAtOnce

    /// Writes the next packet that is due to the master, if any.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length and where it goes.
    func output(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> (Int, PeerAddress)? {
        if let peer = answer.take(now: now) {
            return (write(.NACK, now, wallMicroseconds, target), peer)
        }
        guard let masterAddress else { return nil }
        if hasAdopted, let due = request.deadline, due <= now {
            request.sent(now: now)
            return (write(.SLAVE_INITSYNC, now, wallMicroseconds, target), masterAddress)
        }
        let isNackDue = order.nackDue.map { $0 <= now } ?? false
        guard isNackDue || reportDue <= now else { return nil }
        reports.sent(appliedEnd, now: now)
        var ranges = 0
        if isNackDue {
            counters.nacks += 1
            var bytes = target.mutableBytes
            ranges = order.writeNACK(&bytes, now: now)
        }
        let traits = ranges == 0 && followed.announced.traits != nil ? traits : nil
        return (write(.NACK, now, wallMicroseconds, target, ranges, traits), masterAddress)
    }

    /// Where else a packet for the master is to go: it may hear only one of the links.
    ///
    /// - Parameter peer: where `output` said that it goes.
    func otherAddresses(of peer: PeerAddress, _ body: (PeerAddress) -> Void) {
        guard peer == masterAddress else { return }
        followed.paths.others(than: peer, body)
    }

    /// Writes what a slave that hears no master tells everybody, so that people can see it: a NACK of
    /// no epoch, which nobody obeys or answers.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length; nil while a master is heard or was heard lately.
    func hello(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard donor == nil, masterAddress == nil || followed.isSilent(now: now),
            reports.takeHello(now: now)
        else { return nil }
        let content = SlavePacket.Content(type: .NACK, epoch: 0, expected: 0)
        return packet.write(content, wallMicroseconds: wallMicroseconds, target)
    }

    private func write(
        _ type: PacketHeader.PacketType, _ now: Instant, _ wallMicroseconds: UInt64,
        _ target: UnsafeMutableRawBufferPointer, _ rangeCount: Int = 0, _ traits: Traits? = nil
    ) -> Int {
        packet.write(
            SlavePacket.Content(
                type: type, epoch: master.epoch, expected: appliedEnd, rangeCount: rangeCount,
                report: report(now), traits: traits),
            wallMicroseconds: wallMicroseconds, target)
    }

    private func report(_ now: Instant) -> SlaveReport {
        var report = SlaveReport()
        // What the master itself has said is no news to it.
        report.holding = holdings.newsToMaster(here)
        report.known = master
        if masterAddress != nil {
            let silence = (max(now, lastHeard) - lastHeard) / Duration.millisecond
            report.silentMilliseconds = UInt32(clamping: silence)
        }
        report.entryCount = UInt32(clamping: table.aliveCount)
        report.isInSync = donor == nil && outOfSync(now: now) == nil
        report.links = followed.paths.links
        return report
    }
}
