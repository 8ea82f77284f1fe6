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
    private var aftermath: Aftermath?
    /// Whether l2drop is off.
    private(set) var isOpen = false
    private(set) var isReceiving = false
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
    private let handover: Handover
    private var higher: MasterClaim?
    private var outbid: MasterClaim?
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
            reconcileSeconds: settings.reconcileSeconds)
        let (births, intake) = (master.exchange.births, master.intake)
        self.slave.beganInTerm = { births.began($0) }
        self.slave.recordBeginnings = { births.begin() }
        self.slave.wasMuteAsMaster = { intake.offCount > 0 }
        handover = Handover(master, self.slave, nodeID: node.id)
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

    func end() {
        engine.end(now: node.now)
        receive()
        if isReceiving { slave.finish(now: node.now) }
        isReceiving = false
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

    func deliver(_ packet: [UInt8], from source: PeerAddress) {
        inbox.append((packet, source))
        linkThread.wake()
    }

    /// Takes what has arrived.
    private func receive() {
        let packets = inbox
        inbox = []
        for (packet, source) in packets { take(packet, source) }
    }

    private func take(_ packet: [UInt8], _ peer: PeerAddress) {
        packet.withUnsafeBytes { bytes in
            if engine.role == .slave || slave.slave.donor != nil {
                let consequence = slave.receive(
                    bytes.bytes, from: peer, now: node.now,
                    wallMicroseconds: node.clock.wallMicroseconds)
                if case .handOver(let peer, let isRequest, let expected) = consequence {
                    handover.receive(
                        bytes.bytes, from: peer, isRequest: isRequest, expected: expected,
                        now: node.now,
                        wallMicroseconds: node.clock.wallMicroseconds)
                }
            } else if slave.slave.isHeir,
                let holding = slave.hearOut(
                    bytes.bytes, from: peer, now: node.now,
                    wallMicroseconds: node.clock.wallMicroseconds)
            {
                master.exchange.inherited(holding)
            }
            guard engine.role == .master else { return }
            switch master.exchange.receive(
                bytes.bytes, from: peer, now: node.now,
                wallMicroseconds: node.clock.wallMicroseconds)
            {
            case .none: break
            case .sendAgain: sendWake.signal()
            case .initsync: walkThread.wake()
            case .superseded(let claim): higher = max(higher ?? claim, claim)
            case .outbid(let claim): outbid = max(outbid ?? claim, claim)
            case .beaten: engine.hasBeaten(now: node.now)
            }
        }
    }

    func step() {
        let chance = node.chance
        control()
        if linkThread.isAwake(node.now), chance.happens(950) { link() }
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
            timerThread.sleep(pause)
            if aftermath.haveTimersStarted { timersRun(aftermath) }
        }
    }

    private func control() {
        if higher != nil || outbid != nil { controlThread.wake() }
        if let claim = higher {
            higher = nil
            _ = engine.giveWay(to: claim, now: node.now)
        }
        if let claim = outbid {
            outbid = nil
            do throws(SystemError) {
                _ = try engine.outbid(
                    claim, now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
            } catch {
                node.trace("is no master any more: \(error)")
            }
        }
        guard controlThread.isAwake(node.now) else { return }
        controlThread.sleep(.until(node.now + node.controlPause))
        do throws(SystemError) {
            if engine.role == .master {
                master.sender.say(entryCount: master.initsync.estimate)
            }
            let pause = try engine.tick(
                now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
            controlThread.sleep(pause.sooner(.until(node.now + node.controlPause)))
        } catch {
            return
        }
        publish()
    }

    private func link() {
        receive()
        guard engine.role == .slave || slave.slave.donor != nil else {
            return linkThread.sleep(.untilWoken)
        }
        slave.slave.filter = node.filter.current
        slave.work(now: node.now)
        output()
        guard engine.role == .slave else { return linkThread.sleep(slave.pause(now: node.now)) }
        let pause = handover.step(
            now: node.now, wallMicroseconds: node.clock.wallMicroseconds)
        linkThread.sleep(pause.sooner(slave.pause(now: node.now)))
    }

    private func output() {
        while let (length, peer) = slave.output(
            now: node.now, wallMicroseconds: node.clock.wallMicroseconds, target)
        {
            let packet = UnsafeRawBufferPointer(rebasing: target[..<length])
            slave.slave.otherAddresses(of: peer) { node.port.send(packet, to: $0) }
            node.port.send(packet, to: peer)
        }
        if let length = slave.hello(
            now: node.now, wallMicroseconds: node.clock.wallMicroseconds, target)
        {
            node.port.send(UnsafeRawBufferPointer(rebasing: target[..<length]), to: nil)
        }
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
        if case .until(let instant) = pause, master.ring.prepareToSleep(),
            (master.exchange.againDue ?? .max) >= instant
        {
            sendThread.sleep(pause)
        } else {
            sendThread.wake()
        }
    }

    private func timersRun(_ aftermath: Aftermath) {
        master.exchange.timersRun(lacksRoom: aftermath.lacksRoom)
        walkThread.wake()
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
        handover.end()
        slave.finish(now: now)
        slave.hearOut()
        isReceiving = false
        node.trace("stops receiving, holds \(slave.slave.holding), unread \(slave.hasUnread)")
    }

    func resumeReceiving(now: Instant) {
        isReceiving = true
        slave.resume(now: now)
        linkThread.wake()
    }

    func record(epoch: UInt64) {
        node.storage.epoch = max(node.storage.epoch, epoch)
        node.storage.diskEpoch = max(node.storage.diskEpoch, epoch)
    }

    func record(last word: Basis, hasMore: Bool) {
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
        slave.takeOver(
            from: claim, at: peer, others: master.exchange.addresses(of: claim.nodeID), words,
            now: now)
        linkThread.wake()
    }

    var hasTakenOver: Bool { slave.slave.hasTaken }

    func endTakingOver(took nodeID: UInt8?, now: Instant) {
        node.trace("took from \(nodeID.map { "\($0 - 1)" } ?? "nobody")")
        endTakingOver()
        if let nodeID { master.exchange.took(from: nodeID) }
    }

    private func endTakingOver() {
        slave.endTakingOver(
            now: node.now, wallMicroseconds: node.clock.wallMicroseconds, target
        ) { length, peer in
            node.port.send(UnsafeRawBufferPointer(rebasing: target[..<length]), to: peer)
        }
    }

    func startTerm(
        _ claim: MasterClaim, holding: Holding, lacks: Bool, now: Instant
    ) throws(SystemError) {
        (higher, outbid) = (nil, nil)
        let opened = try master.open(claim, holding: holding, lacks: lacks, kernel, now: now)
        try kernel.calls.attempt("threads")
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
        try kernel.calls.attempt("thread of the timers")
        node.trace("timers start")
        endTakingOver()
        aftermath = try Aftermath(
            kernel, timers, windows, slave.table, includesUnread: slave.hasUnread,
            promotedAt: now)
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
        guard let term else { return Holding() }
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
        isReceiving = true
        node.trace("becomes slave after \(claim), holds \(holding)")
        slave.begin(after: claim, holding: holding, now: now)
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
