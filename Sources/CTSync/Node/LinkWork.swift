// SPDX-License-Identifier: GPL-2.0-or-later

/// What the link's thread does between two orders: it reads and opens packets (`LinkTraffic`), hands them
/// to the engine of the role, and sends what that says.
///
/// As slave it applies what the master says, and hands over what it holds; as master it hears the slaves,
/// hears its predecessor out, and takes over what others hold. Thread: `ct_sync_recv`, which alone uses
/// it.
final class LinkWork {
    /// How long a promotion reads what had arrived.
    private static let lastReading = 5 * Duration.millisecond

    let engine: SlaveEngine
    /// When the handover has something to do.
    private(set) var pause = Pause.untilWoken
    private let handover: Handover
    private let links: SyncLinks
    private let traffic: LinkTraffic
    private let threads: MasterThreads
    private let filter: FilterBox
    private let reports: LinkReports

    init(
        _ engine: SlaveEngine, _ handover: Handover, _ links: SyncLinks, _ traffic: LinkTraffic,
        _ threads: MasterThreads, _ filter: FilterBox, _ reports: LinkReports
    ) {
        self.engine = engine
        self.handover = handover
        self.links = links
        self.traffic = traffic
        self.threads = threads
        self.filter = filter
        self.reports = reports
    }

    /// Applies what had arrived when the order came; under a flood, what is read in a short time.
    func finish() {
        handover.end()
        readWaiting()
        let now = Clock.now()
        engine.finish(now: now)
        reports.publish(engine, now: now)
    }

    /// As slave, applies what had arrived, and stays slave.
    func catchUp() {
        readWaiting()
        let now = Clock.now()
        engine.inject(now)
        reports.publish(engine, now: now)
    }

    private func readWaiting() {
        let deadline = Clock.now() + Self.lastReading
        while receive() == LinkTraffic.batch, Clock.now() < deadline {}
    }

    /// A turn as slave.
    func workAsSlave() {
        _ = receive()
        let now = Clock.now()
        engine.work(now: now)
        output(now)
        pause = handover.step(now: now, wallMicroseconds: Clock.wallMicroseconds())
        reports.publish(engine, now: now)
    }

    private func output(_ now: Instant) {
        let nacks = engine.slave.counters.nacks
        while let (length, peer) = engine.output(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), traffic.target)
        {
            send(length, peer, now)
        }
        if engine.slave.counters.nacks != nacks { traffic.askedAgain(now: now) }
        if let length = engine.hello(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), traffic.target)
        {
            send(length, nil, now)
        }
    }

    /// Ends to take over, and to hear the predecessor out.
    func endTakingOver() {
        let now = Clock.now()
        engine.endTakingOver(
            now: now, wallMicroseconds: Clock.wallMicroseconds(), traffic.target
        ) { length, peer in send(length, peer, now) }
    }

    private func send(_ length: Int, _ peer: PeerAddress?, _ now: Instant) {
        // It is refused if none of its ways takes it.
        var isRefused = true
        if let peer, links.linkCount > 1 {
            engine.slave.otherAddresses(of: peer) { other in
                if traffic.sendCopy(length, to: other, now: now) { isRefused = false }
            }
        }
        if traffic.send(length, to: peer, now: now) { isRefused = false }
        if isRefused { engine.packetsRefused += 1 }
    }

    /// Reads a batch of each link.
    ///
    /// - Returns: packets of the longest one.
    private func receive() -> Int {
        engine.slave.filter = filter.current
        return traffic.read { receive($0) }
    }

    private func receive(_ count: Int) {
        let now = Clock.now()
        let wall = Clock.wallMicroseconds()
        for index in 0..<count {
            guard let (packet, peer) = traffic.packet(index, now: now) else { continue }
            let consequence = engine.receive(
                packet.bytes, from: peer, now: now, wallMicroseconds: wall)
            if case .handOver(let peer, let isRequest, let expected) = consequence {
                handover.receive(
                    packet.bytes, from: peer, isRequest: isRequest, expected: expected, now: now,
                    wallMicroseconds: wall)
            }
        }
    }

    /// A turn as master.
    func workAsMaster() {
        let isTaking = engine.slave.donor != nil
        _ = traffic.read { hear($0, isTaking) }
        guard isTaking else { return }
        let now = Clock.now()
        engine.work(now: now)
        output(now)
        if engine.slave.hasTaken, !reports.hasTakenOver { reports.tookOver() }
    }

    private func hear(_ count: Int, _ isTaking: Bool) {
        let now = Clock.now()
        for index in 0..<count {
            guard let (packet, peer) = traffic.packet(index, now: now) else { continue }
            if isTaking {
                _ = engine.receive(
                    packet.bytes, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
            } else if engine.slave.isHeir,
                let holding = engine.hearOut(
                    packet.bytes, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
            {
                threads.engine.exchange.inherited(holding)
            }
            hear(packet.bytes, peer, now)
        }
    }

    /// Takes what another node says to a master.
    private func hear(_ packet: RawSpan, _ peer: PeerAddress, _ now: Instant) {
        switch threads.engine.exchange.receive(
            packet, from: peer, now: now, wallMicroseconds: Clock.wallMicroseconds())
        {
        case .none: return
        case .sendAgain: return threads.sendWake.signal()
        case .initsync: return threads.walkWake.signal()
        case .superseded(let claim):
            reports.tell { $0.higher = max($0.higher ?? claim, claim) }
        case .outbid(let claim):
            reports.tell { $0.outbid = max($0.outbid ?? claim, claim) }
        case .beaten:
            reports.tell { $0.hasBeaten = true }
        }
    }
}
