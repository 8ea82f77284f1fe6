// SPDX-License-Identifier: GPL-2.0-or-later

/// What the link's thread does between two orders: it reads and opens packets (`LinkTraffic`), hands them
/// to its engine (`LinkEngine`), sends what that says, and lets other threads know.
///
/// Thread: `ct_sync_recv`, which alone uses it.
final class LinkWork {
    /// How long a promotion reads what had arrived.
    private static let lastReading = 5 * Duration.millisecond

    let engine: LinkEngine
    private let links: SyncLinks
    private let traffic: LinkTraffic
    private let threads: MasterThreads
    private let reports: LinkReports

    init(
        _ engine: LinkEngine, _ links: SyncLinks, _ traffic: LinkTraffic,
        _ threads: MasterThreads, _ reports: LinkReports
    ) {
        self.engine = engine
        self.links = links
        self.traffic = traffic
        self.threads = threads
        self.reports = reports
    }

    /// As slave, applies what had arrived when the order came, and ceases to be slave; under a flood, what is
    /// read in a short time.
    func finish() {
        guard engine.isSlave else { return }
        readWaiting()
        let now = Clock.now()
        engine.finish(now: now)
        reports.publish(engine.slave, now: now)
    }

    /// As slave, applies what had arrived, and stays slave.
    func catchUp() {
        guard engine.isSlave else { return }
        readWaiting()
        let now = Clock.now()
        engine.slave.inject(now)
        reports.publish(engine.slave, now: now)
    }

    private func readWaiting() {
        let deadline = Clock.now() + Self.lastReading
        while receive() == LinkTraffic.batch, Clock.now() < deadline {}
    }

    /// A turn: what has arrived, and what is due.
    func turn() {
        guard !engine.isIdle else { return }
        _ = receive()
        guard engine.isBusy else { return }
        let now = Clock.now()
        let nacks = engine.slave.slave.counters.nacks
        engine.turn(now: now, wallMicroseconds: Clock.wallMicroseconds(), traffic.target) {
            length, peer in send(length, peer, now)
        }
        if engine.slave.slave.counters.nacks != nacks { traffic.askedAgain(now: now) }
        if engine.isSlave {
            reports.publish(engine.slave, now: now)
        } else if engine.hasTakenOver, !reports.hasTakenOver {
            reports.tookOver()
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
            engine.slave.slave.otherAddresses(of: peer) { other in
                if traffic.sendCopy(length, to: other, now: now) { isRefused = false }
            }
        }
        if traffic.send(length, to: peer, now: now) { isRefused = false }
        if isRefused { engine.slave.packetsRefused += 1 }
    }

    /// Reads a batch of each link.
    ///
    /// - Returns: packets of the longest one.
    private func receive() -> Int {
        engine.beginReading()
        return traffic.read { receive($0) }
    }

    private func receive(_ count: Int) {
        let now = Clock.now()
        let wall = Clock.wallMicroseconds()
        for index in 0..<count {
            guard let (packet, peer) = traffic.packet(index, now: now) else { continue }
            let consequence = engine.receive(
                packet.bytes, from: peer, now: now, wallMicroseconds: wall)
            switch consequence {
            case .none: continue
            case .sendAgain: threads.sendWake.signal()
            case .initsync: threads.walkWake.signal()
            case .superseded, .outbid, .beaten: reports.tell(consequence)
            }
        }
    }
}
