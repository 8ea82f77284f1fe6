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

    /// Takes all memory and sockets; starts nothing but the link's thread, idle.
    ///
    /// - Throws: `SystemError` of what cannot be had.
    init(
        _ configuration: Configuration, socket: SyncSocket, filter: FilterBox,
        darkness: Darkness?, superseded: WakeUp
    ) throws(SystemError) {
        self.darkness = darkness
        let kernel = Kernel()
        threads = try MasterThreads(
            socket: socket, kernel: kernel, filter: filter, ringSlots: configuration.ringSlots,
            packetsPerSecond: configuration.initsyncRate,
            reconcileSeconds: configuration.reconcileSeconds)
        link = try LinkThread(
            socket: socket, threads, filter: filter, superseded: superseded)
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
            ringSlots: configuration.ringSlots, slotByteCount: socket.packetByteCount)
        linkThread = try link.start(
            SlaveEngine(slave, kernel, reconcileSeconds: configuration.reconcileSeconds))
    }

    var now: Instant { Clock.now() }

    var slaveState: (outOfSync: SlaveProtocol.OutOfSync?, master: MasterClaim) {
        let status = link.status
        return (status.outOfSync, status.master)
    }

    func stopReceiving(now: Instant) {
        link.becomeMaster()
    }

    func startTerm(_ claim: MasterClaim, now: Instant) throws(SystemError) {
        try threads.start(claim)
    }

    func open(now: Instant) {
        darkness?.open(now: Clock.now())
    }

    func startTimers(now: Instant) throws(SystemError) {
        let (engine, wake) = (threads.engine, threads.walkWake)
        try timers.start(table) {
            engine.exchange.timersRun()
            wake.signal()
        }
    }

    func close(now: Instant) {
        darkness?.closeOrRetry()
    }

    func stopTimers() {
        timers.end()
    }

    func stopTerm(now: Instant) {
        threads.stop()
    }

    func becomeSlave(after claim: MasterClaim, now: Instant) {
        link.becomeSlave(after: claim)
    }

    /// Ends the link's thread, everything that has arrived applied.
    ///
    /// - Parameter startsTimers: starts the replicas' timers, for a few seconds at most.
    func end(startsTimers: Bool) {
        link.stop()
        linkThread.take()?.join()
        if startsTimers { timers.walk(table, until: Clock.now() + 3 * Duration.second) }
    }
}
