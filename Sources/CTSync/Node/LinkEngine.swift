// SPDX-License-Identifier: GPL-2.0-or-later

/// What the link's thread decides, for both roles: which engine a packet is for, what follows from it, and
/// in which order a turn goes.
///
/// 1. `beginReading`, then `receive` for each packet of a batch.
/// 2. `turn`: what they call for, and what is due.
/// 3. `pause`: when the next turn is due.
///
/// As slave it applies what the master says, and hands over what it holds; as master it hears the slaves,
/// hears its predecessor out, and takes over what others hold. Thread: the link's; the simulated cluster
/// calls the same functions.
final class LinkEngine {
    private enum Mode {
        /// Before the first role, and after the last.
        case idle
        case slave
        case master
    }

    let slave: SlaveEngine
    private let handover: Handover
    private let master: MasterEngine
    private let filter: FilterBox
    private var mode = Mode.idle
    /// When the handover has something to do.
    private var handoverPause = Pause.untilWoken
    /// Whether all has been taken over that another node held when it was asked.
    private(set) var hasTakenOver = false

    init(_ slave: SlaveEngine, _ master: MasterEngine, filter: FilterBox, nodeID: UInt8) {
        self.slave = slave
        self.master = master
        self.filter = filter
        handover = Handover(master, slave, nodeID: nodeID)
        let (births, intake) = (master.exchange.births, master.intake)
        slave.beganInTerm = { births.began($0) }
        slave.wasMuteAsMaster = { intake.offCount > 0 }
    }

    /// Whether it is slave.
    var isSlave: Bool { mode == .slave }
    /// Whether anything is heard.
    var isIdle: Bool { mode == .idle }
    /// Whether it does something of its own: it is slave, or takes over.
    var isBusy: Bool { mode == .slave || slave.slave.donor != nil }
    /// Whether it hands over what it holds.
    var isHandingOver: Bool { handover.isRunning }

    /// Checks that what is under way is of the role, and the parts of both roles. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        if mode == .slave {
            if slave.slave.donor != nil { report("a slave takes over") }
            if slave.slave.isHeir { report("a slave hears its predecessor out") }
        } else {
            if isHandingOver { report("no slave, and hands over") }
            if handoverPause != .untilWoken { report("no slave, and waits to hand over") }
        }
        handover.assertValid(report)
        slave.slave.assertValid(isUsed: isBusy, report)
        master.exchange.assertValid(report)
        master.ring.assertValid(report)
        master.flush.assertValid(report)
    }

    // MARK: Orders

    /// Becomes slave with the replica table empty.
    func becomeSlave(after claim: MasterClaim, holding: Holding, now: Instant) {
        finish(now: now)
        mode = .slave
        slave.begin(after: claim, holding: holding, now: now)
        if let successor = master.exchange.successor { slave.slave.gaveWay(to: successor) }
    }

    /// Is slave again, the replica table as it was at `finish`.
    func becomeSlaveAgain(now: Instant) {
        mode = .slave
        slave.resume(now: now)
    }

    /// Ceases to be slave, when all that had arrived was received; what was received is applied. What the
    /// master has asked for at the last moment is not handed over any more: the ring is wanted for the term.
    func finish(now: Instant) {
        guard mode == .slave else { return }
        mode = .idle
        endHandover()
        slave.finish(now: now)
    }

    /// Is master from here on, also if it was never slave: what begins is recorded. It hears its predecessor
    /// out, until `endTakingOver`.
    func becomeMaster() {
        mode = .master
        master.exchange.births.begin()
        slave.hearOut()
    }

    /// Begins to take over what another node holds.
    func takeOver(from claim: MasterClaim, at peer: PeerAddress, _ words: LastWords, now: Instant) {
        hasTakenOver = false
        slave.takeOver(
            from: claim, at: peer, others: master.exchange.addresses(of: claim.nodeID), words,
            now: now)
    }

    /// Ends that, and to hear the predecessor out.
    ///
    /// - Parameters:
    ///   - target: at least an MTU.
    ///   - send: takes the last packet, by which the other knows that all was taken.
    func endTakingOver(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer,
        send: (Int, PeerAddress) -> Void
    ) {
        slave.endTakingOver(now: now, wallMicroseconds: wallMicroseconds, target, send: send)
    }

    // MARK: Packets

    /// A batch is read: it is taken by the rules as they are now.
    func beginReading() {
        slave.slave.filter = filter.current
    }

    /// Takes a packet.
    ///
    /// - Returns: what it calls for, of a master.
    func receive(
        _ packet: RawSpan, from peer: PeerAddress, now: Instant, wallMicroseconds: UInt64
    ) -> MasterProtocol.Consequence {
        if isBusy {
            let consequence = slave.receive(
                packet, from: peer, now: now, wallMicroseconds: wallMicroseconds)
            // Who takes over follows nobody, so nobody asks it for anything as slave.
            if case .handOver(let peer, let isRequest, let expected) = consequence {
                handover.receive(
                    packet, from: peer, isRequest: isRequest, expected: expected, now: now,
                    wallMicroseconds: wallMicroseconds)
            }
        } else if slave.slave.isHeir,
            let holding = slave.hearOut(
                packet, from: peer, now: now, wallMicroseconds: wallMicroseconds)
        {
            master.exchange.inherited(holding)
        }
        guard mode == .master else { return .none }
        return master.exchange.receive(
            packet, from: peer, now: now, wallMicroseconds: wallMicroseconds)
    }

    // MARK: Turns

    /// Does what follows from what was received, and what is due.
    ///
    /// - Parameters:
    ///   - target: at least an MTU; what is to be sent is written there.
    ///   - send: takes its length, and where it goes: nil for everybody.
    func turn(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer,
        send: (Int, PeerAddress?) -> Void
    ) {
        guard isBusy else { return }
        slave.work(now: now)
        while let (length, peer) = slave.output(
            now: now, wallMicroseconds: wallMicroseconds, target)
        {
            send(length, peer)
        }
        if let length = slave.hello(now: now, wallMicroseconds: wallMicroseconds, target) {
            send(length, nil)
        }
        if mode == .slave {
            handoverPause = handover.step(now: now, wallMicroseconds: wallMicroseconds)
        } else if slave.slave.hasTaken {
            hasTakenOver = true
        }
    }

    /// When the next turn is due, if no packet comes.
    func pause(now: Instant) -> Pause {
        isBusy ? slave.pause(now: now).sooner(handoverPause) : .untilWoken
    }

    private func endHandover() {
        handover.end()
        handoverPause = .untilWoken
    }
}
