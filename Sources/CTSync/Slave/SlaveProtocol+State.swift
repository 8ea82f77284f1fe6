// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave knows: of its master, of what it holds, and why it is not in sync.
extension SlaveProtocol {
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

    var isFollowing: Bool { donor == nil && masterAddress != nil }

    /// The sequence number up to which everything is applied.
    var applied: UInt64 { order.applied }

    var here: Basis { Basis(epoch: master.epoch, sequence: applied) }

    /// The last word of the stream that it follows.
    var heard: Basis { isFollowing ? here : .none }

    /// How much this node holds.
    var basis: Basis { holdings.basis(here) }

    /// What this node holds.
    var holding: Holding { holdings.holding(here, isFollowing: isFollowing) }

    /// Whether it may lack something that its master has said, or knows of no master.
    var lacks: Bool { !holdings.hasBase || order.hasGap }

    /// Whether the master replicates by other rules than this node: what it does not name it may leave out.
    var hasOtherRules: Bool { followed.differs(from: filter.fingerprint) }

    /// Requests for an initsync that went out since one was last begun.
    var unansweredRequests: Int { request.unansweredCount }

    /// Whether a master was heard and is not any more.
    func isMasterSilent(now: Instant) -> Bool {
        masterAddress != nil && followed.isSilent(now: now)
    }

    /// Nil while the table equals the master's, as far as anybody can know.
    func outOfSync(now: Instant) -> OutOfSync? {
        if masterAddress == nil { return .noMaster }
        if !hasAdopted { return .adopting }
        if isMasterSilent(now: now) { return .silent }
        if hasOtherRules { return .rules }
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
}
