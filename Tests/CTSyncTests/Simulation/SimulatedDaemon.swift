// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A running daemon: its engines, and a step of each of its threads in turn.
final class SimulatedDaemon: NodeParts {
    private unowned let node: SimulatedNode
    private let kernel: SimulatedKernel
    let slave: SlaveEngine
    let master: MasterEngine
    private(set) lazy var engine = NodeEngine(
        nodeID: node.id, self, requireSyncSeconds: node.settings.requireSyncSeconds,
        now: node.now)
    private let timers = TimerStart()
    private let windows = WindowMender()
    private(set) var term: MasterEngine.Term?
    private(set) var aftermath: Aftermath?
    /// Whether l2drop is off.
    private(set) var isOpen = false
    /// The highest claim that it has followed since it is slave.
    var followed = MasterClaim.none
    /// Since when a closed packet waits for the sender.
    private(set) var unsentSince: Instant?
    /// How often the neighbours were told again.
    private(set) var announcements = 0
    private let sendWake: WakeUp
    private var sendThread = SimulatedThread()
    private var walkThread = SimulatedThread()
    private var controlThread = SimulatedThread()
    private var timerThread = SimulatedThread()
    private var linkThread = SimulatedThread()
    let link: LinkEngine
    private var news = MasterNews()
    /// When it was told to end.
    private(set) var endsSince: Instant?
    private var stalledUntil: Instant = 0
    /// When events are lost because of that.
    private var losesAt: Instant?
    private var inbox: [(packet: [UInt8], source: PeerAddress)] = []
    private let target: UnsafeMutableRawBufferPointer

    init(_ node: SimulatedNode) throws {
        self.node = node
        kernel = node.kernel
        try node.kernel.calls.attempt("sockets and memory")
        sendWake = try WakeUp()
        let table = try ReplicaTable(capacity: 256, seed: node.chance.next())
        let settings = node.settings
        let slave = try SlaveProtocol(
            nodeID: node.id, table: table, filter: node.filter.current,
            ringSlots: settings.ringSlots / 2, slotByteCount: settings.slotByteCount)
        self.slave = try SlaveEngine(
            slave, kernel, reconcileSeconds: settings.reconcileSeconds)
        master = try MasterEngine(
            link: node.port, filter: node.filter, ringSlots: settings.ringSlots,
            slotByteCount: settings.slotByteCount, wake: sendWake,
            packetsPerSecond: settings.packetsPerSecond,
            reconcileSeconds: settings.reconcileSeconds,
            flushGraceSeconds: settings.flushGraceSeconds)
        link = LinkEngine(self.slave, master, filter: node.filter, nodeID: node.id)
        // Last, as nothing frees it if the start is refused.
        target = .allocate(byteCount: 2_048, alignment: 8)
    }

    deinit {
        target.deallocate()
    }

    // MARK: As Daemon does

    func begin(as role: Role) throws {
        if !kernel.isReadOnly { kernel.eventsSetting = 1 }
        engine.remember(
            epoch: max(node.storage.epoch, node.storage.diskEpoch), last: node.storage.last,
            hasMore: node.storage.hasMore,
            wallMicroseconds: node.clock.wallMicroseconds)
        isOpen = false
        try engine.begin(
            as: role, now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
        publish()
    }

    /// The cluster manager has spoken.
    ///
    /// - Throws: what the client is told: the role is not the one ordered.
    func order(_ wanted: Role) throws -> NodeEngine.Outcome {
        defer { publish() }
        controlThread.wake()
        return try engine.order(
            wanted, now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
    }

    /// Has been told to end.
    ///
    /// - Returns: whether it may.
    func mayEnd() -> Bool {
        let orderedAt = endsSince ?? node.now
        endsSince = orderedAt
        return engine.mayEnd(orderedAt: orderedAt, now: node.now)
    }

    func end() {
        engine.end(now: node.now)
        receive()
        link.finish(now: node.now)
        timers.finish(kernel, slave.table, includesUnread: slave.hasUnread) { node.now }
    }

    private func publish() {
        node.storage.role = engine.role
        record(epoch: engine.highestEpoch)
    }

    // MARK: Threads

    /// An operator's command to a slave, which the thread of the link carries out.
    func command(_ body: (SlaveProtocol) -> Void) {
        guard engine.role == .slave else { return }
        body(slave.slave)
        linkThread.wake()
    }

    /// An operator's `resync` on a master.
    func walkForAll() {
        guard engine.role == .master else { return }
        master.exchange.requireInitsync()
        walkThread.wake()
    }

    func deliver(_ packet: [UInt8], from source: PeerAddress) {
        inbox.append((packet, source))
        linkThread.wake()
    }

    /// Takes what has arrived.
    private func receive() {
        let packets = inbox
        inbox = []
        link.beginReading()
        for (packet, source) in packets { take(packet, source) }
    }

    private func take(_ packet: [UInt8], _ peer: PeerAddress) {
        packet.withUnsafeBytes { bytes in
            let consequence = link.receive(
                bytes.bytes, from: peer, now: node.now,
                wallMicroseconds: node.clock.wallMicroseconds)
            switch consequence {
            case .none: break
            case .sendAgain: sendWake.signal()
            case .initsync: walkThread.wake()
            case .superseded, .outbid, .beaten:
                news.add(consequence)
                controlThread.wake()
            }
        }
    }

    func step() {
        let chance = node.chance
        // Its control thread waits until it may end.
        if endsSince == nil { control() }
        if linkThread.isAwake(node.now), chance.happens(950) { turn() }
        if let term {
            let isStarved = isStalled()
            let isToListen = !isStarved && !isPausing(term)
            if isToListen, isReadable(term) || chance.happens(10), chance.happens(800) {
                listen(term)
            }
            if !isStarved, walkThread.isAwake(node.now), chance.happens(900) {
                walkThread.sleep(master.initsync.step(term.walk, now: node.now))
            }
            if chance.happens(900) { send(term) }
        }
        let isUnsent = term != nil && master.ring.lastClosed > master.ring.lastSent
        unsentSince = isUnsent ? unsentSince ?? node.now : nil
        if timerThread.isAwake(node.now), let aftermath, chance.happens(700) {
            let pause = aftermath.step(now: node.now)
            if let lacksRoom = aftermath.takeRoom() {
                master.exchange.timersRun(lacksRoom: lacksRoom)
                walkThread.wake()
            }
            timerThread.sleep(pause)
        }
    }

    private func control() {
        guard controlThread.isAwake(node.now) else { return }
        controlThread.sleep(.until(node.now + node.controlPause))
        let heard = news
        news = MasterNews()
        _ = engine.hear(
            heard, now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
        do throws(SystemError) {
            if engine.role == .master {
                let count = UInt64(kernel.table.slots.count)
                master.sender.say(entryCount: master.initsync.estimate(of: count))
            }
            let pause = try engine.tick(
                now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
            controlThread.sleep(pause.sooner(.until(node.now + node.controlPause)))
        } catch {
            return
        }
        publish()
    }

    private func turn() {
        receive()
        let hadTakenOver = link.hasTakenOver
        link.turn(
            now: node.now, wallMicroseconds: node.clock.wallMicroseconds, target, send: send)
        if link.hasTakenOver, !hadTakenOver { controlThread.wake() }
        linkThread.sleep(link.pause(now: node.now))
    }

    private func send(_ length: Int, _ peer: PeerAddress?) {
        let packet = UnsafeRawBufferPointer(rebasing: target[..<length])
        var isRefused = true
        if let peer {
            slave.slave.otherAddresses(of: peer) { other in
                if node.port.send(packet, to: other) { isRefused = false }
            }
        }
        if node.port.send(packet, to: peer) { isRefused = false }
        if isRefused { slave.packetsRefused += 1 }
    }

    private func isReadable(_ term: MasterEngine.Term) -> Bool {
        (term.events.source as? SimulatedEvents)?.isReadable ?? false
    }

    private func listen(_ term: MasterEngine.Term) {
        let isWalkWanted = master.listen(
            term.events, term.sending, now: node.now,
            wallMicroseconds: node.clock.wallMicroseconds)
        if isWalkWanted { walkThread.wake() }
    }

    private func isStalled() -> Bool {
        guard let stalls = node.stalls else { return false }
        guard node.now >= stalledUntil else { return true }
        if stalls.happens(10) {
            stalledUntil = node.now + UInt64(stalls.below(60)) * Duration.millisecond
            if stalls.happens(500) { losesAt = stalledUntil }
        } else if let instant = losesAt, node.now >= instant {
            losesAt = nil
            kernel.loseEvents()
        }
        return node.now < stalledUntil
    }

    /// The thread of the initsyncs works while the other reads events.
    private func walkMeanwhile() {
        guard let term, let stalls = node.stalls, stalls.happens(500) else { return }
        for _ in 0..<3 where walkThread.isAwake(node.now) {
            walkThread.sleep(master.initsync.step(term.walk, now: node.now))
        }
    }

    private func isPausing(_ term: MasterEngine.Term) -> Bool {
        if case .until(let instant) = term.events.pause { node.now < instant } else { false }
    }

    private func send(_ term: MasterEngine.Term) {
        if sendWake.isSignalled { sendThread.wake() }
        guard sendThread.isAwake(node.now) else { return }
        master.ring.wokeUp()
        let pause = master.sender.step(
            term.sending, now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
        if let instant = master.mayRest(pause) {
            sendThread.sleep(.until(instant))
        } else {
            sendThread.wake()
        }
    }

    // MARK: NodeParts

    var now: Instant { node.now }

    var slaveState: SlaveState {
        SlaveState(
            outOfSync: slave.slave.outOfSync(now: node.now),
            isMasterSilent: slave.slave.isMasterSilent(now: node.now),
            master: slave.slave.master, holding: slave.slave.holding, lacks: slave.slave.lacks)
    }

    func stopReceiving(now: Instant) {
        receive()
        link.finish(now: now)
        link.becomeMaster()
        node.trace("stops receiving, holds \(slave.slave.holding), unread \(slave.hasUnread)")
    }

    func resumeReceiving(now: Instant) {
        link.becomeSlaveAgain(now: now)
        linkThread.wake()
    }

    func record(epoch: UInt64) {
        guard !node.storage.isFull else { return }
        node.storage.epoch = max(node.storage.epoch, epoch)
        node.storage.diskEpoch = max(node.storage.diskEpoch, epoch)
    }

    func record(last word: Basis, hasMore: Bool) {
        guard !node.storage.isFull else { return }
        (node.storage.last, node.storage.hasMore) = (word, hasMore)
    }

    func announce(now: Instant) {
        announcements += 1
    }

    func nextOfWholeness(now: Instant) -> Wholeness.Step {
        master.exchange.nextOfWholeness(applied: slave.slave.applied, now: now)
    }

    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords, now: Instant) {
        node.trace("takes over from \(claim.nodeID - 1), \(words)")
        link.takeOver(from: claim, at: peer, words, now: now)
        linkThread.wake()
    }

    var hasTakenOver: Bool { link.hasTakenOver }

    func endTakingOver(took nodeID: UInt8?, now: Instant) {
        node.trace("took from \(nodeID.map { "\($0 - 1)" } ?? "nobody")")
        endTakingOver()
        if let nodeID { master.exchange.took(from: nodeID) }
    }

    private func endTakingOver() {
        link.endTakingOver(
            now: node.now, wallMicroseconds: node.clock.wallMicroseconds, target, send: send)
    }

    func startTerm(
        _ claim: MasterClaim, holding: Holding, lacks: Bool, now: Instant
    ) throws(SystemError) {
        let opened = try master.open(claim, holding: holding, lacks: lacks, kernel, now: now)
        do throws(SystemError) {
            try kernel.calls.attempt("threads")
        } catch {
            // What threads do that had begun.
            _ = master.intake.drain(opened.events, now: now, isLast: true)
            master.initsync.close(opened.walk)
            throw error
        }
        term = opened
        if node.stalls != nil {
            (opened.events.source as? SimulatedEvents)?.meanwhile = { [unowned self] in
                walkMeanwhile()
            }
        }
        node.trace("term \(claim), from \(holding), lacks \(lacks)")
        sendThread.wake()
        walkThread.wake()
    }

    func open(now: Instant) {
        isOpen = true
    }

    func startTimers(now: Instant) throws(SystemError) {
        precondition(aftermath == nil, "the timers of an earlier term still run")
        endTakingOver()
        let begun = try Aftermath(
            kernel, timers, windows, slave.table, includesUnread: slave.hasUnread,
            promotedAt: now)
        try kernel.calls.attempt("thread of the timers")
        node.trace("timers start")
        aftermath = begun
        timerThread.wake()
    }

    func close(now: Instant) {
        isOpen = false
    }

    func stopTimers() {
        aftermath?.close()
        aftermath = nil
    }

    func stopTerm(now: Instant) -> Holding {
        guard let term else { return master.exchange.finalHolding }
        (term.events.source as? SimulatedEvents)?.meanwhile = {}
        // What the threads do that are told to stop, each for its stage.
        master.initsync.close(term.walk)
        _ = master.intake.drain(term.events, now: now, isLast: true)
        master.sender.finish(term.sending, wallMicroseconds: node.clock.wallMicroseconds) { now }
        self.term = nil
        node.trace("term over, holds \(master.exchange.finalHolding)")
        return master.exchange.finalHolding
    }

    func becomeSlave(after claim: MasterClaim, holding: Holding, now: Instant) {
        node.trace("becomes slave after \(claim), holds \(holding)")
        link.becomeSlave(after: claim, holding: holding, now: now)
        followed = claim
        linkThread.wake()
    }

    // MARK: For the checks

    /// All that the master knows is said, and this is the announcement that says how much it was.
    func lastWord() -> [UInt8]? {
        guard let term else { return nil }
        let failures = kernel.calls.failures
        if master.intake.drain(term.events, now: node.now) { walkThread.wake() }
        // It could not read what happened.
        guard kernel.calls.failures == failures else { return nil }
        master.sender.finish(term.sending, wallMicroseconds: node.clock.wallMicroseconds) {
            node.now
        }
        let length = master.ring.writeAnnouncement(
            Announcement(
                basis: master.exchange.basis, rules: node.filter.current.fingerprint), target,
            clockMicroseconds: node.clock.wallMicroseconds)
        return Array(target[..<length])
    }

    /// Takes a packet at once, before all that is on its way.
    func takeNow(_ packet: [UInt8], from source: Int) {
        receive()
        take(packet, SimulatedWire.address(source))
        guard engine.role == .slave else { return }
        slave.inject(node.now)
    }
}
