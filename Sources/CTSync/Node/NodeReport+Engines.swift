// SPDX-License-Identifier: GPL-2.0-or-later

/// What the engines know, as a report has it: for the daemon, and for the simulated cluster, which so says
/// when a fault is seen.
extension NodeReport {
    /// Takes what a slave's engine has published.
    mutating func take(_ slave: SlaveStatus, now: Instant) {
        outOfSync = Self.outOfSync(slave, now)
        syncAge = Self.elapsed(since: slave.syncSince, now)
        reasonAge = Self.elapsed(since: slave.since, now)
        initsync.isRunning = slave.progress.isRunning
        initsync.done = slave.progress.count
        initsync.age = Self.elapsed(since: slave.progress.beganAt, now)
        initsync.unansweredRequests = slave.unansweredRequests
        if slave.proof.at > 0 {
            verified = Verified(
                age: Self.elapsed(since: slave.proof.at, now), entries: slave.proof.entries,
                differed: slave.proof.differed, added: slave.proof.added)
        }
        let count = slave.announced.entryCount
        entriesOfMaster = count > 0 ? Int(count) : nil
        path = slave.announced.path
        guard let address = slave.masterAddress else { return }
        peers = [
            Peer(
                nodeID: slave.master.nodeID, role: .master,
                address: HostAddress(address.family, address.address).description,
                heardAge: Self.elapsed(since: slave.lastHeard, now),
                traits: slave.announced.traits,
                clockOffsetMicroseconds: slave.lagMicroseconds)
        ]
    }

    /// Why a slave is not in sync; nil while it is.
    private static func outOfSync(
        _ slave: SlaveStatus, _ now: Instant
    ) -> SlaveProtocol.OutOfSync? {
        slave.isMasterSilent(now: now) ? .silent : slave.outOfSync
    }

    /// Takes what a master hears of its slaves.
    ///
    /// - Parameters:
    ///   - lastSent: the last packet of its stream.
    ///   - aloneSince: since when no slave could have taken over, if none can.
    mutating func take(
        _ exchange: MasterProtocol, lastSent: UInt64, aloneSince: Instant, now: Instant
    ) {
        peers = exchange.peers.map { peer in
            Peer(
                nodeID: peer.nodeID, role: .slave,
                address: HostAddress(peer.address.family, peer.address.address).description,
                heardAge: Self.elapsed(since: peer.lastHeard, now),
                isInSync: peer.report.isInSync, entries: Int(peer.report.entryCount),
                behindPackets: lastSent > peer.applied ? lastSent - peer.applied : 0,
                traits: peer.traits, clockOffsetMicroseconds: peer.clockOffsetMicroseconds)
        }
        isWhole = exchange.isWhole
        areEventsOff = exchange.areEventsOff
        path = exchange.pathLimit
        aloneAge = readySlaves > 0 ? nil : Self.elapsed(since: aloneSince, now)
    }

    /// Takes what was dropped, before the engines and by them, and who says that it hears no master.
    mutating func takeDrops(
        _ slave: SlaveStatus, _ exchange: MasterProtocol, _ before: SealReport, now: Instant
    ) {
        let heard = exchange.counters
        let record = slave.drops.merged(with: exchange.drops).merged(with: before.drops)
        func drop(_ reason: String, _ place: Int, _ count: UInt64) -> Drop {
            let last = record[place]
            return Drop(
                reason: reason, count: count,
                address: last.map {
                    HostAddress($0.peer.family, $0.peer.address).description
                },
                age: last.map { Self.elapsed(since: $0.at, now) }, detail: last?.version ?? 0)
        }
        drops =
            WireError.allCases.map { error in
                drop(
                    "\(error)", error.index,
                    slave.counters.bad[error.index] + heard.bad[error.index]
                        + before.bad[error.index])
            } + [
                drop("another_link", DropRecord.anotherLink, before.anotherLink),
                drop(
                    "own_id", DropRecord.ownID,
                    slave.counters.ownID + heard.ownID + before.ownID),
                drop("same_id", DropRecord.sameID, slave.counters.sameID + heard.sameID),
                drop("stale", DropRecord.stale, slave.counters.stale + heard.stale),
                drop("unsealed", DropRecord.unsealed, before.unsealed),
                drop("another_key", DropRecord.anotherKey, before.anotherKey),
                drop("tag", DropRecord.tag, before.tag),
                drop("replayed", DropRecord.replayed, before.replayed),
                drop("unproven", DropRecord.unproven, before.unproven),
            ]
        stranger = (role == .slave ? slave.stranger : exchange.stranger).map {
            Stranger(
                nodeID: $0.nodeID,
                address: HostAddress($0.address.family, $0.address.address).description,
                age: Self.elapsed(since: $0.lastHeard, now))
        }
    }

    /// Other threads may have noted an instant after `now` was read.
    static func elapsed(since instant: Instant, _ now: Instant) -> UInt64 {
        max(now, instant) - instant
    }
}
