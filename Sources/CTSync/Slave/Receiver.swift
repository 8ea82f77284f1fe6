// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
import Synchronization

/// Reads the sync link: as slave it applies what the master says, as master it hears the slaves.
///
/// Thread: `ct_sync_recv`, from start to stop. As slave:
///
/// 1. Read up to 64 packets a system call; hand each to the protocol, which merges its messages into
///    the replica table.
/// 2. Inject what that made dirty, in batches, and take what the kernel refused.
/// 3. Send what is due: NACKs, requests for an initsync, reports.
/// 4. Idle: renew long timeouts a few at a time.
///
/// It owns the replica table while slave. Memory is taken at start; when the socket's buffer is full
/// the kernel drops packets, which are asked for again. The control thread gives orders and waits.
final class Receiver: Sendable {
    /// What the thread is to be.
    private enum Order {
        case slave(after: MasterClaim)
        case master
        case stop
        case visit(@Sendable (SlaveProtocol) -> Void)

        var endsMode: Bool {
            if case .visit = self { false } else { true }
        }
    }

    /// How often replicas are looked at for renewal.
    static let renewInterval = 1 * Duration.second
    /// How often those are looked at that wait for a parent, when no packet comes.
    static let waitInterval = 20 * Duration.millisecond
    private static let batch = 64

    private let socket: SyncSocket
    private let master: MasterProtocol
    private let sender: Sender
    private let initsync: InitsyncWalk
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
        socket: SyncSocket, master: MasterProtocol, sender: Sender, initsync: InitsyncWalk,
        filter: FilterBox, superseded: WakeUp
    ) throws(SystemError) {
        self.socket = socket
        self.master = master
        self.sender = sender
        self.initsync = initsync
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
    ///
    /// - Parameter reconcileSeconds: between two checks of a slave's kernel; 0 for none.
    func start(
        _ slave: SlaveProtocol, _ kernel: any KernelTable, reconcileSeconds: UInt32 = 0
    ) throws(SystemError) -> WorkerThread {
        let state = SendableBox(
            ReceiverState(
                slave: slave,
                injector: Injector(try kernel.makeRequests(), try kernel.makeLookup()),
                expectations: ExpectationInjector(try kernel.makeRequests()),
                adoption: Adoption(try kernel.makeWalk()),
                check: KernelCheck(try kernel.makeWalk(), intervalSeconds: reconcileSeconds),
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

    /// Runs a short piece of work on the receiver's thread, which owns the replica table while slave;
    /// returns its result when the kernel has what it changed.
    func visit<Result: Sendable>(_ body: @escaping @Sendable (SlaveProtocol) -> Result) -> Result {
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

    private enum Mode {
        case idle
        case slave
        case master
    }

    private func run(_ state: ReceiverState) {
        var mode = Mode.idle
        while true {
            wait(mode, state)
            if let next = order.withLock({ $0.take() }) {
                wake.clear()
                if mode == .slave, next.endsMode { finish(state) }
                switch next {
                case .visit(let body):
                    body(state.slave)
                    if mode == .slave { inject(state) }
                case .slave(let claim):
                    mode = .slave
                    becomeSlave(claim, state)
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

    private func wait(_ mode: Mode, _ state: ReceiverState) {
        var time: Int64 = -1
        if mode == .slave {
            let now = Clock.now()
            var deadline = state.renewAt
            if let due = state.slave.deadline { deadline = min(deadline, due) }
            if state.slave.table.isWaiting { deadline = min(deadline, now + Self.waitInterval) }
            if let due = state.check.due { deadline = min(deadline, due) }
            time = state.adoption.isRunning ? 0 : Int64(max(deadline, now) - now)
        }
        _ = ctsync_wait(mode == .idle ? -1 : socket.raw, wake.raw, time)
    }

    private func becomeSlave(_ claim: MasterClaim, _ state: ReceiverState) {
        state.slave.table.removeAll()
        state.slave.restart(after: claim)
        state.slave.hasAdopted = false
        state.check.postpone(now: Clock.now())
        startAdoption(state)
    }

    /// Begins to read the kernel's table; where that fails, it is tried again with the next renewal.
    private func startAdoption(_ state: ReceiverState) {
        do throws(SystemError) {
            try state.adoption.start()
        } catch {
            state.injectionFailures += 1
        }
    }

    /// Applies all that has arrived, and no more.
    private func finish(_ state: ReceiverState) {
        if state.adoption.isRunning { state.adoption.cancel() }
        state.check.postpone(now: Clock.now())
        while receive(state) == Self.batch {}
        inject(state)
        // No parent will come any more.
        state.slave.table.giveUpWaiting()
        inject(state)
        publish(state, Clock.now())
    }

    private func workAsSlave(_ state: ReceiverState) {
        _ = receive(state)
        inject(state)
        let now = Clock.now()
        adopt(state, now)
        check(state, now)
        while let (length, peer) = state.slave.output(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), state.sent.own(0))
        {
            let packet = UnsafeMutableRawBufferPointer(rebasing: state.sent.own(0)[..<length])
            state.sent.point(0, at: packet)
            _ = socket.send(state.sent, count: 1, to: peer)
            state.packetsSent += 1
            state.bytesSent += UInt64(length)
        }
        if now >= state.renewAt {
            state.renewAt = now + Self.renewInterval
            let table = state.slave.table
            let rounds = Int(ReplicaTable.renewSeconds / 4)
            table.renew(budget: table.aliveCount / rounds + 64, now: Self.seconds(now))
            table.expectations.renew(now: Self.seconds(now))
            inject(state)
            if !state.slave.hasAdopted, !state.adoption.isRunning { startAdoption(state) }
        }
        publish(state, now)
    }

    private func receive(_ state: ReceiverState) -> Int {
        state.slave.filter = filter.current
        var count = 0
        do throws(SystemError) {
            count = try socket.receive(state.received)
        } catch {
            state.receiveFailures += 1
        }
        let now = Clock.now()
        let wall = Clock.wallMicroseconds()
        for index in 0..<count {
            guard let (packet, peer) = state.received.received(index) else { continue }
            state.slave.receive(packet.bytes, from: peer, now: now, wallMicroseconds: wall)
        }
        return count
    }

    private func inject(_ state: ReceiverState) {
        let now = Clock.now()
        do throws(SystemError) {
            let table = state.slave.table
            try state.injector.apply(table, now: Self.seconds(now))
            try state.expectations.apply(table, now: now)
        } catch {
            // What the kernel has is not known any more: read it, and have it confirmed.
            state.injectionFailures += 1
            becomeSlave(state.slave.master, state)
        }
    }

    private func adopt(_ state: ReceiverState, _ now: Instant) {
        guard state.adoption.isRunning else { return }
        do throws(SystemError) {
            try state.adoption.step(
                into: state.slave.table, state.slave.filter, now: Self.seconds(now))
        } catch {
            state.injectionFailures += 1
            state.adoption.cancel()
            return
        }
        if !state.adoption.isRunning { state.slave.hasAdopted = true }
    }

    private func check(_ state: ReceiverState, _ now: Instant) {
        guard !state.adoption.isRunning else { return }
        if state.slave.takeWantsCheck() { state.check.begin(now: now) }
        do throws(SystemError) {
            try state.check.step(state.slave.table, now: now)
        } catch {
            state.injectionFailures += 1
            state.check.postpone(now: now)
        }
        if state.slave.table.isDirty || state.slave.table.expectations.isDirty { inject(state) }
    }

    private func workAsMaster(_ state: ReceiverState) {
        var count = 0
        do throws(SystemError) {
            count = try socket.receive(state.received)
        } catch {
            state.receiveFailures += 1
        }
        let now = Clock.now()
        for index in 0..<count {
            guard let (packet, peer) = state.received.received(index) else { continue }
            switch master.receive(
                packet.bytes, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
            {
            case .none: break
            case .sendAgain: sender.wake()
            case .initsync: initsync.wake()
            case .superseded(let claim):
                higher.withLock { $0 = max($0 ?? claim, claim) }
                superseded.signal()
            }
        }
    }

    private func publish(_ state: ReceiverState, _ now: Instant) {
        let slave = state.slave
        snapshot.withLock { status in
            let reason = slave.outOfSync(now: now)
            if reason != status.outOfSync || status.since == 0 { status.since = now }
            status.outOfSync = reason
            status.master = slave.master
            status.masterAddress = slave.masterAddress
            status.lastHeard = slave.lastHeard
            status.lagMicroseconds = slave.lagMicroseconds
            status.applied = slave.applied
            status.counters = slave.counters
            status.entriesHeld = slave.table.aliveCount
            status.insufficient = slave.table.insufficientCount
            status.refusedEntries = slave.table.refusedCount
            status.created = state.injector.created
            status.updated = state.injector.updated
            status.deleted = state.injector.deleted
            status.refusals = state.injector.refusals
            status.injectionFailures = state.injectionFailures
            status.checks = state.check.checkCount
            status.repaired = state.check.repairedCount
            status.related = RelatedStatus(
                slave.table, state.injector, state.expectations)
            status.packetsSent = state.packetsSent
            status.bytesSent = state.bytesSent
        }
    }

    private static func seconds(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now / Duration.second)
    }
}

/// What the receiver's thread alone uses.
private final class ReceiverState {
    let slave: SlaveProtocol
    let injector: Injector
    let expectations: ExpectationInjector
    var adoption: Adoption
    var check: KernelCheck
    let received: DatagramBuffers
    let sent: DatagramBuffers
    var renewAt: Instant = 0
    var receiveFailures: UInt64 = 0
    var injectionFailures: UInt64 = 0
    var packetsSent: UInt64 = 0
    var bytesSent: UInt64 = 0

    init(
        slave: SlaveProtocol, injector: Injector, expectations: ExpectationInjector,
        adoption: consuming Adoption, check: consuming KernelCheck, received: DatagramBuffers,
        sent: DatagramBuffers
    ) {
        self.slave = slave
        self.injector = injector
        self.expectations = expectations
        self.adoption = adoption
        self.check = check
        self.received = received
        self.sent = sent
    }
}
