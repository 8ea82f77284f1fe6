// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// The thread that reads the sync link, for both roles: as slave it applies what the master says, as
/// master it hears the slaves.
///
/// Thread: `ct_sync_recv`, from start to stop. It reads up to 64 packets a system call, hands them to
/// the engine of the role, and does what that says. It owns the replica table while slave. When the
/// socket's buffer is full the kernel drops packets, which are asked for again. The control thread
/// gives orders and waits.
final class LinkThread: Sendable {
    /// What the thread is to do.
    private enum Order {
        case slave(after: MasterClaim)
        case master
        case stop
        case visit(@Sendable (SlaveEngine) -> Void)

        var endsMode: Bool {
            if case .visit = self { false } else { true }
        }
    }

    private enum Mode {
        case idle
        case slave
        case master
    }

    private static let batch = 64

    private let socket: SyncSocket
    private let threads: SendableBox<MasterThreads>
    private let filter: FilterBox
    private let wake: WakeUp
    private let done: WakeUp
    private let superseded: WakeUp
    private let order = Mutex<Order?>(nil)
    private let snapshot = Mutex(SlaveStatus())
    private let higher = Mutex<MasterClaim?>(nil)

    /// A receiver whose thread has not begun.
    ///
    /// - Parameter superseded: signalled when another node's higher claim is heard as master.
    init(
        socket: SyncSocket, _ threads: MasterThreads, filter: FilterBox, superseded: WakeUp
    ) throws(SystemError) {
        self.socket = socket
        self.threads = SendableBox(threads)
        self.filter = filter
        self.superseded = superseded
        wake = try WakeUp()
        done = try WakeUp()
    }

    /// How it is as slave, as of its last batch.
    var status: SlaveStatus { snapshot.withLock { $0 } }

    /// The claim by which this master was superseded, if it was; forgotten when asked.
    func takeSuperseded() -> MasterClaim? {
        higher.withLock { claim in
            defer { claim = nil }
            return claim
        }
    }

    /// Starts the thread; it does nothing until it is told what to be.
    func start(_ engine: SlaveEngine) throws(SystemError) -> WorkerThread {
        let state = SendableBox(
            State(
                engine: engine,
                received: DatagramBuffers(count: Self.batch, byteCount: SyncSocket.largestPacket),
                sent: DatagramBuffers(count: 1, byteCount: max(socket.packetByteCount, 1_024))))
        return try WorkerThread(named: "ct_sync_recv") { [self] in run(state.value) }
    }

    // MARK: Orders, from the control thread

    /// Makes it slave, with the replica table empty; returns when it is.
    func becomeSlave(after claim: MasterClaim) {
        give(.slave(after: claim))
    }

    /// Applies everything that has arrived and then leaves the replica table alone.
    func becomeMaster() {
        give(.master)
    }

    /// Lets the thread end, everything that has arrived applied.
    func stop() {
        give(.stop)
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
        let received: DatagramBuffers
        let sent: DatagramBuffers
        var receiveFailures: UInt64 = 0

        init(engine: SlaveEngine, received: DatagramBuffers, sent: DatagramBuffers) {
            self.engine = engine
            self.received = received
            self.sent = sent
        }
    }

    private func run(_ state: State) {
        var mode = Mode.idle
        while true {
            wait(mode, state)
            if let next = order.withLock({ $0.take() }) {
                wake.clear()
                if mode == .slave, next.endsMode { finish(state) }
                switch next {
                case .visit(let body):
                    body(state.engine)
                    if mode == .slave { state.engine.inject(Clock.now()) }
                case .slave(let claim):
                    mode = .slave
                    state.engine.begin(after: claim, now: Clock.now())
                case .master:
                    mode = .master
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
        if mode == .slave {
            let now = Clock.now()
            switch state.engine.pause(now: now) {
            case .none: time = 0
            case .until(let instant): time = Int64(max(instant, now) - now)
            case .untilWoken: break
            }
        }
        _ = ctsync_wait(mode == .idle ? -1 : socket.raw, wake.raw, time)
    }

    /// Applies all that has arrived, and no more.
    private func finish(_ state: State) {
        while receive(state) == Self.batch {}
        let now = Clock.now()
        state.engine.finish(now: now)
        publish(state, now)
    }

    private func workAsSlave(_ state: State) {
        _ = receive(state)
        let now = Clock.now()
        state.engine.work(now: now)
        let target = state.sent.own(0)
        while let (length, peer) = state.engine.output(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), target)
        {
            state.sent.point(0, at: UnsafeMutableRawBufferPointer(rebasing: target[..<length]))
            _ = socket.send(state.sent, count: 1, to: peer)
        }
        publish(state, now)
    }

    private func receive(_ state: State) -> Int {
        state.engine.slave.filter = filter.current
        let count = read(state)
        let now = Clock.now()
        let wall = Clock.wallMicroseconds()
        for index in 0..<count {
            guard let (packet, peer) = state.received.received(index) else { continue }
            state.engine.receive(packet.bytes, from: peer, now: now, wallMicroseconds: wall)
        }
        return count
    }

    private func read(_ state: State) -> Int {
        do throws(SystemError) {
            return try socket.receive(state.received)
        } catch {
            state.receiveFailures += 1
            return 0
        }
    }

    private func workAsMaster(_ state: State) {
        let count = read(state)
        let now = Clock.now()
        let threads = threads.value
        for index in 0..<count {
            guard let (packet, peer) = state.received.received(index) else { continue }
            switch threads.engine.exchange.receive(
                packet.bytes, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
            {
            case .none: break
            case .sendAgain: threads.sendWake.signal()
            case .initsync: threads.walkWake.signal()
            case .superseded(let claim):
                higher.withLock { $0 = max($0 ?? claim, claim) }
                superseded.signal()
            }
        }
    }

    private func publish(_ state: State, _ now: Instant) {
        snapshot.withLock { state.engine.publish(into: &$0, now: now) }
    }
}
