// SPDX-License-Identifier: GPL-2.0-or-later

/// The steps of the daemon's role changes: threads, sockets, rules.
///
/// Thread: control. Its memory is taken when the daemon starts, so that a promotion takes little.
final class RoleSteps: NodeParts {
    let threads: MasterThreads
    let link: LinkThread
    let timers: TimerThread
    let table: ReplicaTable
    /// Nil with `l2drop=0`.
    let darkness: Darkness?
    private var linkThread: WorkerThread?
    /// Keeps an epoch where it outlives the process.
    var recordEpoch: (UInt64) -> Void = { _ in }
    var recordLast: (Basis, Bool) -> Void = { _, _ in }

    /// Takes all memory and sockets; starts nothing but the link's thread, idle.
    ///
    /// - Throws: `SystemError` of what cannot be had.
    init(
        _ configuration: Configuration, links: SyncLinks, seal: LinkSeal, filter: FilterBox,
        darkness: Darkness?, superseded: WakeUp
    ) throws(SystemError) {
        self.darkness = darkness
        let kernel = Kernel()
        threads = try MasterThreads(
            links: links, kernel: kernel, filter: filter, ringSlots: configuration.ringSlots,
            packetsPerSecond: configuration.initsyncRate,
            reconcileSeconds: configuration.reconcileSeconds,
            flushGraceSeconds: configuration.flushGraceSeconds, seal: seal)
        link = try LinkThread(
            links: links, threads, filter: filter, nodeID: configuration.nodeID,
            superseded: superseded)
        timers = try TimerThread(kernel)
        let capacity: Int
        if let given = configuration.maxEntries {
            capacity = given
        } else {
            capacity = Int(clamping: try KernelSettings.conntrackMax())
        }
        var random = SystemRandomNumberGenerator()
        table = try ReplicaTable(capacity: max(capacity, 1), seed: random.next())
        let slave = try SlaveProtocol(
            nodeID: configuration.nodeID, table: table, filter: filter.current,
            ringSlots: configuration.ringSlots, slotByteCount: SyncSocket.largestPacket,
            checksum: nil)
        linkThread = try link.start(
            SlaveEngine(slave, kernel, reconcileSeconds: configuration.reconcileSeconds), seal,
            reach: configuration.ringSlots)
    }

    var now: Instant { Clock.now() }

    var slaveState: SlaveState {
        let status = link.status
        return SlaveState(
            outOfSync: status.outOfSync, isMasterSilent: status.isMasterSilent(now: now),
            master: status.master, holding: status.holding, lacks: status.lacks)
    }

    func stopReceiving(now: Instant) {
        link.becomeMaster()
    }

    func resumeReceiving(now: Instant) {
        link.becomeSlaveAgain()
    }

    func record(epoch: UInt64) {
        recordEpoch(epoch)
    }

    func record(last word: Basis, hasMore: Bool) {
        recordLast(word, hasMore)
    }

    func startTerm(
        _ claim: MasterClaim, holding: Holding, lacks: Bool, now: Instant
    ) throws(SystemError) {
        try threads.start(claim, holding: holding, lacks: lacks)
    }

    func open(now: Instant) {
        darkness?.open(now: Clock.now())
    }

    func announce(now: Instant) {
        darkness?.announceAgain(now: Clock.now())
    }

    func nextOfWholeness(now: Instant) -> Wholeness.Step {
        threads.engine.exchange.nextOfWholeness(applied: link.status.applied, now: now)
    }

    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords, now: Instant) {
        link.takeOver(from: claim, at: peer, words)
    }

    var hasTakenOver: Bool { link.hasTakenOver }

    func endTakingOver(took nodeID: UInt8?, now: Instant) {
        link.endTakingOver()
        if let nodeID { threads.engine.exchange.took(from: nodeID) }
    }

    func startTimers(now: Instant) throws(SystemError) {
        link.endTakingOver()
        let (engine, wake) = (threads.engine, threads.walkWake)
        try timers.start(table, includesUnread: link.hasUnread) { lacksRoom in
            engine.exchange.timersRun(lacksRoom: lacksRoom)
            wake.signal()
        }
    }

    func close(now: Instant) {
        darkness?.closeOrRetry()
    }

    func stopTimers() {
        timers.end()
    }

    func stopTerm(now: Instant) -> Holding {
        threads.stop()
        return threads.engine.exchange.finalHolding
    }

    func becomeSlave(after claim: MasterClaim, holding: Holding, now: Instant) {
        link.becomeSlave(after: claim, holding: holding)
    }

    /// Ends the link's thread, everything that has arrived applied, and starts the timers of replicas
    /// that no packet has touched, for a few seconds at most.
    func end() {
        let hasUnread = link.hasUnread
        link.stop()
        linkThread.take()?.join()
        timers.walk(table, includesUnread: hasUnread, until: Clock.now() + 3 * Duration.second)
    }
}
