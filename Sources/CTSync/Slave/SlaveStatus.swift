// SPDX-License-Identifier: GPL-2.0-or-later

/// How the receiver is, for the status: copied after each batch.
struct SlaveStatus: Sendable {
    var master = MasterClaim.none
    var masterAddress: PeerAddress?
    var paths = MasterPaths()
    var lastHeard: Instant = 0
    var lagMicroseconds: Int64 = 0
    var applied: UInt64 = 0
    /// What it holds.
    var holding = Holding()
    var counters = SlaveCounters()
    var drops = DropRecord()
    var progress = InitsyncProgress()
    var unansweredRequests = 0
    /// What the master has announced of itself.
    var announced = Announcement()
    var stranger: Stranger?
    /// Why the slave is not in sync; nil while it is.
    var outOfSync: SlaveProtocol.OutOfSync? = .noMaster
    /// Since when that is so, and since when it is in sync or is not.
    var since: Instant = 0
    var syncSince: Instant = 0
    /// The last changes of it, without the brief ones.
    var transitions = SyncTransitions()
    var entriesHeld = 0
    /// Whether this kernel's own entries were not read whole since the node is slave.
    var hasUnread = true
    /// Whether it may lack something that its master has said, or knows of no master.
    var lacks = true
    var insufficient = 0
    var refusedEntries = 0
    var created: UInt64 = 0
    var updated: UInt64 = 0
    var deleted: UInt64 = 0
    var refusals: [UInt64] = []
    /// Entries of others that were in the way of replicas and were removed.
    var displaced: UInt64 = 0
    var injectionFailures: UInt64 = 0
    /// Comparisons of the kernel with the replica table, and what differed.
    var checks: UInt64 = 0
    var repaired: UInt64 = 0
    /// How often nf_conntrack_events was found to be off.
    var eventsOff: UInt64 = 0
    /// What the last comparison came to, without the differences.
    var proof = KernelProof()
    var related = RelatedStatus()
    var packetsSent: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Those of them that the network refused.
    var packetsRefused: UInt64 = 0

    /// Whether a master was heard and is not any more. The receiver sleeps while nothing comes: it does not
    /// notice by itself.
    func isMasterSilent(now: Instant) -> Bool {
        masterAddress != nil && now > lastHeard + SlaveProtocol.silence
    }

    /// Copies how an engine is; keeps the instant at which the reason last changed.
    mutating func copy(_ engine: SlaveEngine, now: Instant) {
        let reason = engine.slave.outOfSync(now: now)
        if (reason == nil) != (outOfSync == nil) || syncSince == 0 { syncSince = now }
        if reason != outOfSync || since == 0 {
            since = now
            if reason?.isBrief != true { transitions.note(reason, at: now) }
        }
        outOfSync = reason
        master = engine.slave.master
        masterAddress = engine.slave.masterAddress
        paths = engine.slave.paths
        lastHeard = engine.slave.lastHeard
        lagMicroseconds = engine.slave.lagMicroseconds
        applied = engine.slave.applied
        holding = engine.slave.holding
        lacks = engine.slave.lacks
        counters = engine.slave.counters
        drops = engine.slave.drops
        progress = engine.slave.progress
        unansweredRequests = engine.slave.unansweredRequests
        announced = engine.slave.announced
        stranger = engine.slave.stranger
        entriesHeld = engine.table.aliveCount
        hasUnread = engine.hasUnread
        insufficient = engine.table.insufficientCount
        refusedEntries = engine.table.refusedCount
        created = engine.injector.created
        updated = engine.injector.updated
        deleted = engine.injector.deleted
        refusals = engine.injector.refusals
        displaced = engine.injector.displaced
        injectionFailures = engine.injectionFailures
        checks = engine.check.checkCount
        proof = engine.check.proof
        proof.differences = []
        repaired = engine.check.repairedCount
        eventsOff = engine.watch.offCount
        related = RelatedStatus(engine.table, engine.injector, engine.expectations)
        packetsSent = engine.packetsSent
        bytesSent = engine.bytesSent
        packetsRefused = engine.packetsRefused
    }
}
