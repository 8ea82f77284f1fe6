// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// The thread that reads the sync link, for both roles: as slave it applies what the master says, as
/// master it hears the slaves.
///
/// Thread: `ct_sync_recv`, from start to stop. It reads and opens packets (`LinkTraffic`), hands them to
/// the engine of the role, and does what that says. It owns the replica table while slave. The control
/// thread gives orders and waits.
final class LinkThread: Sendable {
    /// What the thread is to do.
    private enum Order {
        case slave(after: MasterClaim, Holding)
        case slaveAgain
        case master
        case takeOver(from: MasterClaim, at: PeerAddress, LastWords)
        case endTakingOver
        case stop
        case visit(@Sendable (SlaveEngine) -> Void)
        case catchUp

        var endsSlave: Bool {
            switch self {
            case .slave, .slaveAgain, .master, .stop: true
            case .takeOver, .endTakingOver, .visit, .catchUp: false
            }
        }
    }

    private enum Mode {
        case idle
        case slave
        case master
    }

    /// How long a promotion reads what had arrived.
    private static let lastReading = 5 * Duration.millisecond

    private let links: SyncLinks
    private let threads: SendableBox<MasterThreads>
    private let filter: FilterBox
    private let nodeID: UInt8
    private let taken = Atomic<Bool>(false)
    private let wake: WakeUp
    private let done: WakeUp
    private let superseded: WakeUp
    private let order = Mutex<Order?>(nil)
    private let snapshot = Mutex(SlaveStatus())
    private let news = Mutex(News())

    /// What a master has heard of other masters.
    struct News {
        /// A claim by which it is superseded.
        var higher: MasterClaim?
        /// A claim that a slave knows of, and that nobody makes any more.
        var outbid: MasterClaim?
        /// Another node was master, with a lower claim.
        var hasBeaten = false
    }

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
        self.superseded = superseded
        wake = try WakeUp()
        done = try WakeUp()
    }

    /// Whether all that another node holds has been taken over.
    var hasTakenOver: Bool { taken.load(ordering: .acquiring) }

    /// Whether the kernel's own entries were not read whole since the node is slave.
    var hasUnread: Bool { snapshot.withLock { $0.hasUnread } }

    /// How it is as slave, as of its last batch.
    var status: SlaveStatus { snapshot.withLock { $0 } }

    /// What this master has heard of others since it was asked last.
    func takeNews() -> News {
        news.withLock { news in
            defer { news = News() }
            return news
        }
    }

    /// Starts the thread; it does nothing until it is told what to be.
    ///
    /// - Parameter reach: packets in a master's backlog.
    func start(
        _ engine: SlaveEngine, _ seal: LinkSeal, reach: Int
    ) throws(SystemError) -> WorkerThread {
        let births = threads.value.engine.exchange.births
        engine.beganInTerm = { births.began($0) }
        engine.recordBeginnings = { births.begin() }
        let state = SendableBox(
            State(
                engine, Handover(threads.value.engine, engine, nodeID: nodeID),
                try LinkTraffic(links, seal, reach: reach)))
        return try WorkerThread(named: "ct_sync_recv") { [self] in run(state.value) }
    }

    // MARK: Orders, from the control thread

    /// Makes it slave, with the replica table empty; returns when it is.
    func becomeSlave(after claim: MasterClaim, holding: Holding) {
        give(.slave(after: claim, holding))
    }

    /// Makes it the slave that it was before `becomeMaster`, the replica table as it is.
    func becomeSlaveAgain() {
        give(.slaveAgain)
    }

    /// Has a master take over what another node holds.
    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords) {
        give(.takeOver(from: claim, at: peer, words))
    }

    /// Ends that, and to hear the predecessor out; the replica table is left alone.
    func endTakingOver() {
        give(.endTakingOver)
    }

    /// Applies everything that has arrived, and then what the predecessor still says, until
    /// `endTakingOver`.
    func becomeMaster() {
        give(.master)
    }

    /// Lets the thread end, everything that has arrived applied.
    func stop() {
        give(.stop)
    }

    /// As slave, applies everything that has arrived, as `becomeMaster` does, and stays slave.
    func catchUp() {
        give(.catchUp)
    }

    /// Runs a short piece of work on the thread, which owns the replica table while slave; returns its
    /// result when the kernel has what it changed.
    func visit<Result: Sendable>(_ body: @escaping @Sendable (SlaveEngine) -> Result) -> Result {
        let result = SendableBox(UnsafeMutablePointer<Result>.allocate(capacity: 1))
        defer { result.value.deallocate() }
        give(.visit { result.value.initialize(to: body($0)) })
        return result.value.move()
    }

    private func give(_ next: Order) {
        order.withLock { $0 = next }
        wake.signal()
        while ctsync_wait(done.raw, -1, -1) == 0 {}
        done.clear()
    }

    // MARK: The thread

    /// What the thread alone uses.
    private final class State {
        let engine: SlaveEngine
        let handover: Handover
        let traffic: LinkTraffic
        /// When the handover has something to do.
        var pause = Pause.untilWoken

        init(_ engine: SlaveEngine, _ handover: Handover, _ traffic: LinkTraffic) {
            self.engine = engine
            self.handover = handover
            self.traffic = traffic
        }
    }

    private func run(_ state: State) {
        var mode = Mode.idle
        while true {
            wait(mode, state)
            if let next = order.withLock({ $0.take() }) {
                wake.clear()
                if mode == .slave, next.endsSlave { finish(state) }
                switch next {
                case .visit(let body):
                    body(state.engine)
                    if mode == .slave { state.engine.inject(Clock.now()) }
                case .catchUp:
                    if mode == .slave { catchUp(state) }
                case .slave(let claim, let holding):
                    mode = .slave
                    state.engine.begin(after: claim, holding: holding, now: Clock.now())
                    publish(state, Clock.now())
                case .slaveAgain:
                    mode = .slave
                    state.engine.resume(now: Clock.now())
                case .master:
                    mode = .master
                    state.engine.hearOut()
                case .takeOver(let claim, let peer, let words):
                    taken.store(false, ordering: .releasing)
                    let others = threads.value.engine.exchange.addresses(of: claim.nodeID)
                    state.engine.takeOver(
                        from: claim, at: peer, others: others, words, now: Clock.now())
                case .endTakingOver:
                    endTakingOver(state)
                case .stop:
                    done.signal()
                    return
                }
                done.signal()
            }
            switch mode {
            case .idle: break
            case .slave: workAsSlave(state)
            case .master: workAsMaster(state)
            }
        }
    }

    private func wait(_ mode: Mode, _ state: State) {
        var time: Int64 = -1
        if mode == .slave || state.engine.slave.donor != nil {
            let now = Clock.now()
            let pause = state.engine.pause(now: now).sooner(state.pause)
            switch pause {
            case .none: time = 0
            case .until(let instant): time = Int64(max(instant, now) - now)
            case .untilWoken: break
            }
        }
        _ = ctsync_wait(mode == .idle ? -1 : links.raw, wake.raw, time)
    }

    /// Applies what had arrived when the order came; under a flood, what is read in a short time.
    private func finish(_ state: State) {
        state.handover.end()
        readWaiting(state)
        let now = Clock.now()
        state.engine.finish(now: now)
        publish(state, now)
    }

    private func catchUp(_ state: State) {
        readWaiting(state)
        let now = Clock.now()
        state.engine.inject(now)
        publish(state, now)
    }

    private func readWaiting(_ state: State) {
        let deadline = Clock.now() + Self.lastReading
        while receive(state) == LinkTraffic.batch, Clock.now() < deadline {}
    }

    private func workAsSlave(_ state: State) {
        _ = receive(state)
        let now = Clock.now()
        state.engine.work(now: now)
        output(state, now)
        state.pause = state.handover.step(now: now, wallMicroseconds: Clock.wallMicroseconds())
        publish(state, now)
    }

    private func output(_ state: State, _ now: Instant) {
        let nacks = state.engine.slave.counters.nacks
        while let (length, peer) = state.engine.output(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), state.traffic.target)
        {
            send(state, length, peer, now)
        }
        if state.engine.slave.counters.nacks != nacks { state.traffic.askedAgain(now: now) }
        if let length = state.engine.hello(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), state.traffic.target)
        {
            send(state, length, nil, now)
        }
    }

    private func endTakingOver(_ state: State) {
        let now = Clock.now()
        state.engine.endTakingOver(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), state.traffic.target
        ) { length, peer in send(state, length, peer, now) }
    }

    private func send(_ state: State, _ length: Int, _ peer: PeerAddress?, _ now: Instant) {
        // It is refused if none of its ways takes it.
        var isRefused = true
        if let peer, links.linkCount > 1 {
            state.engine.slave.otherAddresses(of: peer) { other in
                if state.traffic.sendCopy(length, to: other, now: now) { isRefused = false }
            }
        }
        if state.traffic.send(length, to: peer, now: now) { isRefused = false }
        if isRefused { state.engine.packetsRefused += 1 }
    }

    /// Reads a batch of each link.
    ///
    /// - Returns: packets of the longest one.
    private func receive(_ state: State) -> Int {
        state.engine.slave.filter = filter.current
        return state.traffic.read { receive($0, state) }
    }

    private func receive(_ count: Int, _ state: State) {
        let now = Clock.now()
        let wall = Clock.wallMicroseconds()
        for index in 0..<count {
            guard let (packet, peer) = state.traffic.packet(index, now: now) else { continue }
            let consequence = state.engine.receive(
                packet.bytes, from: peer, now: now, wallMicroseconds: wall)
            if case .handOver(let peer, let isFirst) = consequence {
                state.handover.receive(
                    packet.bytes, from: peer, isFirst: isFirst, now: now, wallMicroseconds: wall)
            }
        }
    }

    private func workAsMaster(_ state: State) {
        let isTaking = state.engine.slave.donor != nil
        _ = state.traffic.read { hear($0, state, isTaking) }
        guard isTaking else { return }
        let now = Clock.now()
        state.engine.work(now: now)
        output(state, now)
        if state.engine.slave.hasTaken, !hasTakenOver {
            taken.store(true, ordering: .releasing)
            superseded.signal()
        }
    }

    private func hear(_ count: Int, _ state: State, _ isTaking: Bool) {
        let now = Clock.now()
        for index in 0..<count {
            guard let (packet, peer) = state.traffic.packet(index, now: now) else { continue }
            if isTaking {
                _ = state.engine.receive(
                    packet.bytes, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
            } else if state.engine.slave.isHeir,
                let holding = state.engine.hearOut(
                    packet.bytes, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
            {
                threads.value.engine.exchange.inherited(holding)
            }
            hear(packet.bytes, peer, now)
        }
    }

    /// Takes what another node says to a master.
    private func hear(_ packet: RawSpan, _ peer: PeerAddress, _ now: Instant) {
        let threads = threads.value
        switch threads.engine.exchange.receive(
            packet, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
        {
        case .none: return
        case .sendAgain: return threads.sendWake.signal()
        case .initsync: return threads.walkWake.signal()
        case .superseded(let claim):
            news.withLock { $0.higher = max($0.higher ?? claim, claim) }
        case .outbid(let claim):
            news.withLock { $0.outbid = max($0.outbid ?? claim, claim) }
        case .beaten:
            news.withLock { $0.hasBeaten = true }
        }
        superseded.signal()
    }

    private func publish(_ state: State, _ now: Instant) {
        snapshot.withLock { $0.copy(state.engine, now: now) }
    }
}
