// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// The thread that reads the sync link, for both roles (`LinkWork`), and carries out what the control
/// thread orders (`LinkOrders`), which waits meanwhile.
///
/// Thread: `ct_sync_recv`, from start to stop. It owns the replica table while slave.
final class LinkThread: Sendable {
    private let links: SyncLinks
    private let threads: SendableBox<MasterThreads>
    private let filter: FilterBox
    private let nodeID: UInt8
    private let orders: LinkOrders
    private let reports: LinkReports

    /// A receiver whose thread has not begun.
    ///
    /// - Parameter superseded: signalled when there is news for a master.
    init(
        links: SyncLinks, _ threads: MasterThreads, filter: FilterBox, nodeID: UInt8,
        superseded: WakeUp
    ) throws(SystemError) {
        self.nodeID = nodeID
        self.links = links
        self.threads = SendableBox(threads)
        self.filter = filter
        orders = try LinkOrders()
        reports = LinkReports(superseded: superseded)
    }

    /// Whether all that another node holds has been taken over.
    var hasTakenOver: Bool { reports.hasTakenOver }

    /// Whether the kernel's own entries were not read whole since the node is slave.
    var hasUnread: Bool { reports.hasUnread }

    /// How it is as slave, as of its last batch.
    var status: SlaveStatus { reports.status }

    /// What this master has heard of others since it was asked last.
    func takeNews() -> MasterNews { reports.takeNews() }

    /// Starts the thread; it does nothing until it is told what to be.
    ///
    /// - Parameter reach: packets in a master's backlog.
    func start(
        _ engine: SlaveEngine, _ seal: LinkSeal, reach: Int
    ) throws(SystemError) -> WorkerThread {
        let work = SendableBox(
            LinkWork(
                LinkEngine(engine, threads.value.engine, filter: filter, nodeID: nodeID), links,
                try LinkTraffic(links, seal, reach: reach), threads.value, reports))
        return try WorkerThread(named: "ct_sync_recv") { [self] in run(work.value) }
    }

    // MARK: Orders, from the control thread

    /// Makes it slave, with the replica table empty; returns when it is.
    func becomeSlave(after claim: MasterClaim, holding: Holding) {
        orders.give(.slave(after: claim, holding))
    }

    /// Makes it the slave that it was before `becomeMaster`, the replica table as it is.
    func becomeSlaveAgain() {
        orders.give(.slaveAgain)
    }

    /// Has a master take over what another node holds.
    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords) {
        orders.give(.takeOver(from: claim, at: peer, words))
    }

    /// Ends that, and to hear the predecessor out; the replica table is left alone.
    func endTakingOver() {
        orders.give(.endTakingOver)
    }

    /// Applies everything that has arrived, and then what the predecessor still says, until
    /// `endTakingOver`.
    func becomeMaster() {
        orders.give(.master)
    }

    /// Lets the thread end, everything that has arrived applied.
    func stop() {
        orders.give(.stop)
    }

    /// As slave, applies everything that has arrived, as `becomeMaster` does, and stays slave.
    func catchUp() {
        orders.give(.catchUp)
    }

    /// Runs a short piece of work on the thread, which owns the replica table while slave; returns its
    /// result when the kernel has what it changed.
    func visit<Result: Sendable>(_ body: @escaping @Sendable (SlaveEngine) -> Result) -> Result {
        let result = SendableBox(UnsafeMutablePointer<Result>.allocate(capacity: 1))
        defer { result.value.deallocate() }
        orders.give(.visit { result.value.initialize(to: body($0)) })
        return result.value.move()
    }

    // MARK: The thread

    private func run(_ work: LinkWork) {
        while true {
            wait(work)
            if let next = orders.take() {
                if next.endsSlave { work.finish() }
                carryOut(next, work)
                orders.end()
                if case .stop = next { return }
            }
            work.turn()
        }
    }

    private func carryOut(_ order: LinkOrder, _ work: LinkWork) {
        let engine = work.engine
        switch order {
        case .visit(let body):
            body(engine.slave)
            if engine.isSlave { engine.slave.inject(Clock.now()) }
        case .catchUp: work.catchUp()
        case .slave(let claim, let holding):
            engine.becomeSlave(after: claim, holding: holding, now: Clock.now())
            reports.publish(engine.slave, now: Clock.now())
        case .slaveAgain: engine.becomeSlaveAgain(now: Clock.now())
        case .master: engine.becomeMaster()
        case .takeOver(let claim, let peer, let words):
            reports.takesOver()
            engine.takeOver(from: claim, at: peer, words, now: Clock.now())
        case .endTakingOver: work.endTakingOver()
        case .stop: break
        }
    }

    private func wait(_ work: LinkWork) {
        let now = Clock.now()
        let time: Int64 =
            switch work.engine.pause(now: now) {
            case .none: 0
            case .until(let instant): Int64(max(instant, now) - now)
            case .untilWoken: -1
            }
        _ = ctsync_wait(work.engine.isIdle ? -1 : links.raw, orders.raw, time)
    }
}
