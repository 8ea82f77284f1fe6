// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave does with packets: follows the master with the highest claim, puts its packets in
/// order, applies their messages to the replica table, asks for what is missing.
///
/// No input or output of its own: packets and the time come in through `receive`, packets to send
/// come out of `output`, and `deadline` says when to ask for them. One thread, the receiver's.
///
/// 1. A ladder of checks: malformed, of this node's own id, of a superseded master: dropped, counted.
/// 2. A higher claim makes its sender the master; the stream starts where it is heard first, and an
///    initsync is asked for.
/// 3. In order, messages are applied. A gap is asked for again (NACK) until it is filled or has left
///    the master's backlog; then the slave is out of sync and asks for an initsync.
final class SlaveProtocol {
    /// Silence of the master after which the slave no longer says that it is in sync.
    static let silence = 1 * Duration.second
    /// How often a slave tells the master how far it is, with a NACK that names nothing.
    static let reportInterval = 1 * Duration.second
    /// ... and during an initsync, which goes as fast as it says.
    static let walkReportInterval = 10 * Duration.millisecond
    /// When to ask for an initsync where the replica table was full: there may be room again.
    static let fullRetry = 30 * Duration.second

    /// How often a node of a lower claim is told of the one that is followed.
    static let answerInterval = 100 * Duration.millisecond
    /// How long the master may say less than was heard before its stream is begun anew.
    static let regressionPatience = 1 * Duration.second
    /// For how long after a master had something its empty initsync is not believed.
    static let emptinessPatience = 10 * Duration.second

    /// What a packet calls for besides what the protocol does itself.
    enum Consequence: Equatable {
        /// Nothing.
        case none
        /// The master asks for what this node holds, or for packets of it again.
        case handOver(PeerAddress)
    }

    /// Why a slave is not in sync.
    enum OutOfSync: String, Sendable {
        /// No master has been heard.
        case noMaster = "no master heard"
        /// The master is silent.
        case silent = "master silent"
        /// The master replicates by other rules than this node.
        case rules = "replication rules differ"
        /// The entries found in the kernel are being read.
        case adopting = "reading the kernel's table"
        /// An initsync is wanted or running.
        case initsync = "initsync not complete"
        /// Packets are missing.
        case gap = "packets missing"
        /// Updates came of connections that no message has described.
        case insufficient = "incomplete entries"
        /// Related entries have come before their parents.
        case waiting = "entries waiting for their parent"
        /// The kernel refused entries.
        case refused = "entries refused by the kernel"
        /// The table is full.
        case full = "replica table full"
        /// Expectations have come before their parents.
        case expectationsWaiting = "expectations waiting for their parent"
        /// The kernel refused expectations.
        case expectationsRefused = "expectations refused by the kernel"
        /// The table of expectations is full.
        case expectationsFull = "expectation table full"
        /// The master's kernel sends no events.
        case eventsOff = "events off at the master"
        /// This node's kernel sends no events: what others change in it is not heard.
        case unwatched = "changes of the kernel's table not heard"
        /// Somebody has changed this node's kernel table.
        case kernelChanged = "kernel's table changed by others"
    }

    /// The master that is followed.
    private(set) var master = MasterClaim.none
    /// Where its packets come from.
    var masterAddress: PeerAddress? { preferred.address }
    private var preferred = PreferredAddress()
    /// By which links its packets come.
    private(set) var paths = MasterPaths()
    /// When it was last heard.
    private(set) var lastHeard: Instant = 0
    /// The receiver's clock less the master's at its last packet, in microseconds.
    private(set) var lagMicroseconds: Int64 = 0
    /// What came and what became of it.
    private(set) var counters = SlaveCounters()
    /// The last dropped packet of each reason.
    private(set) var drops = DropRecord()
    /// How an initsync gets on.
    private(set) var progress = InitsyncProgress()
    /// What the master has announced of itself.
    private(set) var announced = Announcement()
    /// What this kernel is set to and lacks; told with the report of each second to a master that has
    /// told its own, so that no packet is answered by a larger one.
    var traits: Traits?
    /// The last slave that said that it hears no master.
    private(set) var stranger: Stranger?
    /// The fingerprint of this node's rules; 0 for one that is not compared.
    var rulesFingerprint: UInt32 = 0
    /// What it holds of the master.
    let table: ReplicaTable
    /// Which connections are this node's own and are left alone.
    var filter: ReplicationFilter
    /// Whether the kernel's own entries have been read; until then no initsync is asked for.
    var hasAdopted = true

    /// Why this node's kernel may not have what the table says; nil if it has.
    var kernelDoubt: OutOfSync?

    private let nodeID: UInt8
    private let checksum: PacketChecksum?
    private var foreign = ForeignCluster()
    private var ring: ReceiveRing
    private var gap = GapTimer()
    private var request = InitsyncRequest()
    private var reportAt: Instant = 0
    private var reportedAt: Instant = 0
    private var helloAt: Instant = 0
    private var message = Message()
    /// Whether an initsync of this epoch is complete and nothing was lost since.
    private var hasBase = false
    /// How much it held when it last held a stream without a gap.
    private var lastBasis = Basis.none
    /// Whether it holds what nobody else may have: what it saw itself, as a master that was not whole,
    /// or a part of a stream whose master is gone ...
    private var hasMore = false
    /// ... and a part of the stream that it follows.
    private var hasPart = false
    /// The last word that it has of anything, before the stream that it follows.
    private var latest = Basis.none
    /// The last word that it had when it became slave.
    private(set) var ownLast = Basis.none
    /// Its kernel's entries are those that an earlier process left, and no master has confirmed them.
    private var hasUnproved = false
    /// Whom this node takes a table over from, as a master that lacks it; nil for a slave.
    private(set) var donor: MasterClaim?
    /// Whether this kernel's entry of a connection is newer than what is handed over, by a word that is
    /// so late.
    var isKeptHere: (Entry, Basis) -> Bool = { _, _ in false }
    /// The last word of whom it takes from, and its own; and how late what it is handed now is.
    private var lastWords = LastWords(donor: .none, own: .none)
    private var handedWord = Basis.none
    /// How far the handover had come, and since when.
    private var advanced: (to: UInt64, at: Instant) = (0, 0)
    /// Whether all of that is there.
    private(set) var hasTaken = false
    /// Whether this node is master, and hears its predecessor out.
    private(set) var isHeir = false
    /// Whether this kernel's entry of a connection is newer than what a predecessor still says of it.
    var hasMovedOn: (Key) -> Bool = { _ in false }
    private var bracket: Bracket?
    /// When this master was last heard to have anything, and whether its last whole initsync had.
    private var heldAt: Instant = 0
    private var hadCopies = false
    /// Where a lower claim came from, until it is answered.
    private var answerTo: PeerAddress?
    private var answeredAt: Instant = 0
    /// Since when the master says less than was heard, and the most that it said since.
    private var regression: (since: Instant, sequence: UInt64)?
    private var isInitsyncBroken = false
    private var isFull = false
    private var isExpectationTableFull = false
    private var wantsCheck = false
    private var highestNacked: UInt64 = 0

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
        self.table = table
        self.filter = filter
        ring = try ReceiveRing(slotCount: ringSlots, slotByteCount: slotByteCount)
    }

    /// Starts anew: as a slave that has heard no claim above this one.
    ///
    /// - Parameter holding: what the node holds.
    func restart(after claim: MasterClaim, holding: Holding) {
        forgetStream(expected: 1)
        master = claim
        forgetAddresses()
        lastBasis = holding.basis
        latest = holding.latest
        ownLast = holding.latest
        hasMore = holding.hasMore
        hasUnproved = holding.hasUnproved
        hasPart = false
        donor = nil
        hasTaken = false
        isHeir = false
        answerTo = nil
    }

    /// Goes on with the stream of the master that it follows, as its successor: what was on the way, and
    /// what that one saw until it knew of this one. Nothing else is heard.
    func hearOut() {
        isHeir = masterAddress != nil
    }

    /// Ends that.
    func endHearingOut() {
        isHeir = false
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
        donor = claim
        lastWords = words
        handedWord = .none
        advanced = (applied, now)
        preferred.heard(peer, now: now)
        for path in others + [peer] { paths.heard(path, now: now) }
        lastHeard = now
        hasAdopted = true
        wantInitsync(at: now)
        reportAt = now
    }

    /// Asks again for all that another node holds, if it is not got on with: its daemon may be another
    /// one, whose stream is as long as that of the one before, or shorter.
    func askAgain(now: Instant) {
        if advanced.to != applied { advanced = (applied, now) }
        guard donor != nil, !hasTaken, request.deadline == nil,
            now > advanced.at + Self.silence
        else { return }
        forgetStream(expected: 1)
        advanced = (applied, now)
        wantInitsync(at: now)
    }

    private func forgetAddresses() {
        preferred = PreferredAddress()
        paths = MasterPaths()
    }

    private func forgetStream(expected: UInt64) {
        lastBasis = basis
        latest = holding.latest
        hasMore = hasMore || hasPart
        hasPart = false
        ring.reset(expected: expected)
        gap = GapTimer()
        request = InitsyncRequest()
        hasBase = false
        bracket = nil
        isFull = false
        isExpectationTableFull = false
        highestNacked = 0
        regression = nil
        progress = InitsyncProgress()
        announced = Announcement()
        (heldAt, hadCopies) = (0, false)
    }

    /// The last word of the stream that it follows.
    var heard: Basis {
        let isFollowing = donor == nil && masterAddress != nil
        return isFollowing ? Basis(epoch: master.epoch, sequence: applied) : .none
    }

    /// What this node holds.
    var holding: Holding {
        Holding(
            basis: basis, latest: max(latest, heard), hasMore: hasMore || hasPart,
            hasUnproved: hasUnproved)
    }

    /// Whether it may lack something that its master has said, or knows of no master.
    var lacks: Bool { !hasBase || ring.hasGap }

    /// Takes note that the kernel's own entries are read.
    func adopted() {
        hasAdopted = true
        if table.aliveCount == 0 { hasUnproved = false }
    }

    /// The next output is a report, whenever the last was.
    func reportSoon(now: Instant) {
        reportAt = now
    }

    /// Packets have made something in this kernel that nobody else may have: the master is to ask for it.
    func hasOwn(now: Instant) {
        latest = max(latest, ownLast.later(by: table.ownCount))
        hasMore = true
        reportSoon(now: now)
    }

    /// The master has taken all of it.
    func wasTaken() {
        (hasMore, hasUnproved) = (false, false)
    }

    /// How much this node holds.
    var basis: Basis {
        hasBase ? Basis(epoch: master.epoch, sequence: applied) : lastBasis
    }

    // MARK: State

    /// The sequence number up to which everything is applied.
    var applied: UInt64 { ring.expected - 1 }

    /// Nil while the table equals the master's, as far as anybody can know.
    func outOfSync(now: Instant) -> OutOfSync? {
        if masterAddress == nil { return .noMaster }
        if !hasAdopted { return .adopting }
        if now > lastHeard + Self.silence { return .silent }
        if announced.differs(from: rulesFingerprint) { return .rules }
        if announced.areEventsOff { return .eventsOff }
        if !hasBase { return .initsync }
        if ring.hasGap { return .gap }
        if table.insufficientCount > 0 { return .insufficient }
        if isFull || table.isAdoptionPartial { return .full }
        if table.waiting.count > 0 { return .waiting }
        if table.refusedCount > 0 { return .refused }
        if isExpectationTableFull { return .expectationsFull }
        if table.expectations.waitingCount > 0 { return .expectationsWaiting }
        if table.expectations.refusedCount > 0 { return .expectationsRefused }
        return kernelDoubt
    }

    /// Requests for an initsync that went out since one was last begun.
    var unansweredRequests: Int { request.unansweredCount }

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
            let isMaster = claim == master && masterAddress != nil && donor == nil
            return isMaster ? .handOver(peer) : .none
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
            if isRival(header, peer, now) {
                counters.sameID += 1
                drops.note(DropRecord.sameID, packet, from: peer, now: now)
            }
            if now >= answeredAt + Self.answerInterval { answerTo = peer }
            return .none
        }
        if claim > master || masterAddress == nil { follow(claim, header, now) }
        preferred.heard(peer, now: now)
        paths.heard(peer, now: now)
        lastHeard = now
        lagMicroseconds = Int64(bitPattern: wallMicroseconds &- header.clockMicroseconds)
        take(header, packet, now)
        gap.update(hasGap: ring.hasGap, expected: ring.expected, now: now)
        return .none
    }

    /// Whether a master of a lower claim is another node with the id of the one that is heard.
    private func isRival(_ header: PacketHeader, _ peer: PeerAddress, _ now: Instant) -> Bool {
        guard header.nodeID == master.nodeID, let known = masterAddress,
            now <= lastHeard + Self.silence
        else { return false }
        return known.link == peer.link && known.family == peer.family
            && known.address != peer.address
    }

    private func follow(_ claim: MasterClaim, _ header: PacketHeader, _ now: Instant) {
        table.follow(after: holding.latest)
        forgetStream(
            expected: header.type == .SYNC ? header.sequence : header.sequence &+ 1)
        master = claim
        forgetAddresses()
        wantInitsync(at: now)
        reportAt = now
    }

    /// Begins the stream anew where its master says, for a second and in every packet, less than was
    /// heard: one packet in the master's name has counted too far.
    private func notice(_ header: PacketHeader, _ now: Instant) {
        let said = header.type == .SYNC ? header.sequence : header.sequence &+ 1
        guard said &+ 1 < ring.expected || header.sequence < ring.highest, said < ring.highest
        else {
            regression = nil
            return
        }
        let most = max(regression?.sequence ?? 0, said)
        let since = regression?.since ?? now
        regression = (since, most)
        guard now >= since + Self.regressionPatience else { return }
        counters.restarts += 1
        forgetStream(expected: most)
        wantInitsync(at: now)
    }

    private func take(_ header: PacketHeader, _ packet: RawSpan, _ now: Instant) {
        notice(header, now)
        ring.exists(header.sequence)
        if ring.hasGap, header.oldest > ring.expected {
            // Numbers are the master's word: however far they jump, nothing overflows.
            if donor == nil {
                table.losePackets(after: Basis(epoch: master.epoch, sequence: applied))
            }
            counters.lost &+= ring.skip(to: header.oldest)
            streamBroke(now)
        }
        if header.type == .SYNC {
            switch ring.accept(header.sequence, packet) {
            case .next:
                if header.sequence <= highestNacked { counters.recovered += 1 }
                apply(packet, header, now)
                ring.advance()
            case .kept:
                if header.sequence <= highestNacked { counters.recovered += 1 }
            case .duplicate:
                counters.duplicates += 1
            case .beyond:
                counters.beyond += 1
            }
        } else {
            if header.type == .MASTER_ANNOUNCE { hear(packet, now) }
            // An announcement that was overtaken says nothing of now.
            if header.sequence &+ 1 == ring.expected { heed(header.flags, now) }
        }
        while let kept = ring.kept {
            applyKept(kept.bytes, now)
            ring.advancePastKept()
        }
    }

    private func hear(_ announcement: RawSpan, _ now: Instant) {
        do throws(WireError) {
            var next = try Announcement.read(announcement)
            next.addresses = announced.addresses
            Announcement.readAddresses(announcement, into: &next.addresses)
            announced = next
            if hadCopies, next.entryCount > 0 { heldAt = lastHeard }
            if paths.announced(next.link, now: now) { reportSoon(now: now) }
        } catch {
            preconditionFailure("an announcement was checked when it came: \(error)")
        }
    }

    private func applyKept(_ packet: RawSpan, _ now: Instant) {
        do throws(WireError) {
            apply(packet, try PacketHeader.read(packet, checksum), now)
        } catch {
            preconditionFailure("a kept packet was checked when it came: \(error)")
        }
    }

    private func loseBase() {
        lastBasis = basis
        hasBase = false
    }

    private func streamBroke(_ now: Instant) {
        loseBase()
        isInitsyncBroken = true
        wantInitsync(at: now)
    }

    private func heed(_ flags: PacketHeader.Flags, _ now: Instant) {
        guard flags.contains(.incomplete) else { return }
        loseBase()
        // The master begins one unasked; this is for the case that it did so unheard.
        if bracket == nil { wantInitsync(at: now + 1 * Duration.second) }
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
            if !hasBase { hasPart = true }
            if bracket != nil, message.kind.has(MessageKind.initsync) { progress.count += 1 }
            if header.flags.contains(.partial), takesAway(message) { continue }
            apply(message, seconds, now)
        }
        heed(header.flags, now)
    }

    private func apply(_ message: Message, _ seconds: UInt32, _ now: Instant) {
        guard let resource = message.kind.resource, let type = message.kind.type else { return }
        switch (resource, type) {
        case (.CONNTRACK, .UPDATE):
            guard filter.mayAdmit(message.entry) else {
                counters.leftOut += 1
                return
            }
            heldAt = now
            let isHanded = donor != nil
            // An earlier version tells in another way what it has heard last.
            let word = message.kind.has(MessageKind.heard) ? lastWords.donor : handedWord
            if isHanded, isNewerHere(message.entry, word) { return }
            if isHeir, hasMovedOn(message.entry.key) { return }
            switch table.update(
                message.entry, isNew: !isHanded && message.kind.has(MessageKind.new),
                isCopy: message.kind.has(MessageKind.initsync), now: seconds)
            {
            case .applied: if isHanded { table.setHanded(message.entry.key, word) }
            case .insufficient:
                counters.insufficient += 1
                if bracket == nil { wantInitsync(at: now) }
            case .full:
                tableIsFull(now)
            }
        case (.CONNTRACK, .DELETE):
            if isHeir, hasMovedOn(message.entry.key) { return }
            if table.delete(message.entry.key, now: seconds) == .full { tableIsFull(now) }
        case (.INITSYNC, .UPDATE):
            begin(message.bracket)
            progress = InitsyncProgress(isRunning: true, beganAt: now)
        case (.INITSYNC, .DELETE):
            end(message.bracket, now)
        case (.EXPECT, .UPDATE):
            guard filter.mayAdmit(message.expectation) else {
                counters.leftOut += 1
                return
            }
            if !table.expectations.update(
                message.expectation, isCopy: message.kind.has(MessageKind.initsync), now: seconds)
            {
                expectationTableIsFull(now)
            }
        case (.EXPECT, .DELETE):
            if !table.expectations.delete(message.expectation, now: seconds) {
                expectationTableIsFull(now)
            }
        }
    }

    /// Whether a message would end, or replace, what this node holds, and the master may never have
    /// had: it has not spoken of the connection before, or speaks of an older one.
    private func takesAway(_ message: Message) -> Bool {
        switch (message.kind.resource, message.kind.type) {
        case (.CONNTRACK, .DELETE): return !table.isMastersWord(message.entry.key)
        case (.EXPECT, .DELETE): return !table.expectations.isMastersWord(message.expectation)
        case (.CONNTRACK, .UPDATE):
            guard !message.kind.has(MessageKind.new) else { return false }
            let reply = table.reply(message.entry.key)
            return reply != nil && reply != message.entry.reply
        default: return false
        }
    }

    /// Whether what this master has of a connection is to stay as it is: it is what it is handed, or
    /// packets have passed since the promotion.
    private func isNewerHere(_ handed: Entry, _ word: Basis) -> Bool {
        switch table.comparison(with: handed) {
        // One that the kernel has not taken yet is tried again in the end.
        case .lacking:
            return table.isSufficient(handed.key) && word < table.lateness(handed.key)
        case .same:
            table.confirm(handed.key, word)
            return true
        case .different:
            guard isKeptHere(handed, word) else { return false }
            // The same connection, whatever it has become here.
            if table.reply(handed.key) == handed.reply { table.confirm(handed.key, word) }
            return true
        }
    }

    private func expectationTableIsFull(_ now: Instant) {
        counters.tableFull += 1
        isExpectationTableFull = true
        wantInitsync(at: now + Self.fullRetry)
    }

    private func tableIsFull(_ now: Instant) {
        counters.tableFull += 1
        isFull = true
        wantInitsync(at: now + Self.fullRetry)
    }

    private func begin(_ begun: Bracket) {
        handedWord = begun.basis
        // In the middle of a handover: what follows has another word.
        guard donor == nil || bracket?.number != begun.number else { return }
        bracket = begun
        isInitsyncBroken = false
        isFull = false
        isExpectationTableFull = false
        request.begun()
        table.beginInitsync()
    }

    private func end(_ ended: Bracket, _ now: Instant) {
        guard bracket?.number == ended.number else { return }
        bracket = nil
        progress.isRunning = false
        // What is adopted after this end would never be confirmed.
        let isComplete = !isInitsyncBroken && hasAdopted
        guard donor == nil else {
            table.endInitsync(isComplete: false)
            hasTaken = isComplete
            if !isComplete { wantInitsync(at: now) }
            return
        }
        // What has happened since the promotion is in no walk of the predecessor.
        guard !isHeir else {
            table.endInitsync(isComplete: false)
            return
        }
        // A master that holds less than this node does not speak for what it has never had.
        let isEmptied = isUnlikelyEmpty(now)
        if isEmptied, isComplete { loseBase() }
        let isTold =
            ended.isProved && !isEmptied && !hasMore
            && (basis.epoch == master.epoch || ended.basis >= basis)
        let purges = isComplete && isTold && !ended.isSparing
        counters.purged += UInt64(table.endInitsync(isComplete: purges))
        guard isComplete, isTold else {
            wantInitsync(at: isComplete ? now + 1 * Duration.second : now)
            return
        }
        counters.initsyncs += 1
        hadCopies = progress.count > 0
        hasBase = true
        (hasPart, hasUnproved) = (false, false)
        if table.insufficientCount > 0 { wantInitsync(at: now + InitsyncRequest.shortest) }
    }

    /// Whether the initsync that has ended named nothing, would take something, and this master had
    /// something a moment ago.
    private func isUnlikelyEmpty(_ now: Instant) -> Bool {
        progress.count == 0 && heldAt != 0 && now < heldAt + Self.emptinessPatience
            && table.hasUnconfirmed
    }

    // MARK: An operator's orders

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
        hasBase = false
        (lastBasis, latest) = (.none, .none)
        (hasMore, hasPart, hasUnproved) = (false, false, false)
        // What a running initsync has confirmed is gone: its end proves nothing.
        streamBroke(now)
        return count
    }

    // MARK: Output

    /// When the next report is due.
    private var reportDue: Instant {
        bracket == nil ? reportAt : min(reportAt, reportedAt + Self.walkReportInterval)
    }

    /// When `output` has something next; nil where only a packet can bring that about.
    var deadline: Instant? {
        guard masterAddress != nil else { return answerTo == nil ? nil : 0 }
        var earliest = answerTo == nil ? reportDue : 0
        if let nack = gap.deadline { earliest = min(earliest, nack) }
        if hasAdopted, let asked = request.deadline { earliest = min(earliest, asked) }
        return earliest
    }

    /// Writes the next packet that is due to the master, if any.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length and where it goes.
    func output(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> (Int, PeerAddress)? {
        if let peer = answerTo {
            answerTo = nil
            answeredAt = now
            return (seal(.NACK, ranges: 0, now, wallMicroseconds, target), peer)
        }
        guard let masterAddress else { return nil }
        if hasAdopted, let due = request.deadline, due <= now {
            request.sent(now: now)
            let length = seal(.SLAVE_INITSYNC, ranges: 0, now, wallMicroseconds, target)
            return (length, masterAddress)
        }
        let isNackDue = gap.deadline.map { $0 <= now } ?? false
        guard isNackDue || reportDue <= now else { return nil }
        reportAt = now + Self.reportInterval
        reportedAt = now
        var ranges = 0
        if isNackDue {
            gap.nackSent(now: now)
            counters.nacks += 1
            var bytes = target.mutableBytes
            ring.forEachMissing(maximum: SequenceRange.maximumCount) { range in
                highestNacked = max(highestNacked, range.first + UInt64(range.count) - 1)
                range.write(&bytes, index: ranges)
                ranges += 1
            }
        }
        let traits = ranges == 0 && announced.traits != nil ? traits : nil
        return (
            seal(.NACK, ranges: ranges, now, wallMicroseconds, target, traits), masterAddress
        )
    }

    /// Where else a packet for the master is to go: it may hear only one of the links.
    ///
    /// - Parameter peer: where `output` said that it goes.
    func otherAddresses(of peer: PeerAddress, _ body: (PeerAddress) -> Void) {
        guard peer == masterAddress else { return }
        paths.others(than: peer, body)
    }

    /// Writes what a slave that hears no master tells everybody, so that people can see it: a NACK of
    /// no epoch, which nobody obeys or answers.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length; nil while a master is heard or was heard lately.
    func hello(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard donor == nil, now >= helloAt else { return nil }
        guard masterAddress == nil || now > lastHeard + Self.silence else { return nil }
        helloAt = now + Self.reportInterval
        var header = PacketHeader(type: .NACK, nodeID: nodeID, epoch: 0, sequence: 0)
        let length = PacketHeader.byteCount + SlaveReport.byteCount
        header.length = UInt16(length)
        header.clockMicroseconds = wallMicroseconds
        var bytes = UnsafeMutableRawBufferPointer(rebasing: target[..<length]).mutableBytes
        SlaveReport().write(&bytes, at: PacketHeader.byteCount)
        header.seal(&bytes, checksum)
        return length
    }

    private func seal(
        _ type: PacketHeader.PacketType, ranges: Int, _ now: Instant, _ wallMicroseconds: UInt64,
        _ target: UnsafeMutableRawBufferPointer, _ traits: Traits? = nil
    ) -> Int {
        var header = PacketHeader(
            type: type, nodeID: nodeID, epoch: master.epoch, sequence: ring.expected)
        let place = PacketHeader.byteCount + ranges * SequenceRange.byteCount
        let end = place + SlaveReport.byteCount
        let length = end + (traits == nil ? 0 : Traits.byteCount)
        header.length = UInt16(length)
        header.messageCount = UInt16(ranges)
        header.clockMicroseconds = wallMicroseconds
        var bytes = UnsafeMutableRawBufferPointer(rebasing: target[..<length]).mutableBytes
        report(now).write(&bytes, at: place)
        traits?.write(&bytes, at: end)
        header.seal(&bytes, checksum)
        return length
    }

    private func report(_ now: Instant) -> SlaveReport {
        var report = SlaveReport()
        // What the master itself has said is no news to it.
        report.holding = Holding(
            basis: basis, latest: latest, hasMore: hasMore, hasUnproved: hasUnproved)
        report.known = master
        if masterAddress != nil {
            let silence = (max(now, lastHeard) - lastHeard) / Duration.millisecond
            report.silentMilliseconds = UInt32(clamping: silence)
        }
        report.entryCount = UInt32(clamping: table.aliveCount)
        report.isInSync = donor == nil && outOfSync(now: now) == nil
        report.links = paths.links
        return report
    }
}
