// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What a master does with packets: answers slaves, and gives way to a higher claim.
///
/// No input or output of its own. `receive` is called by the receiver thread; what follows from it
/// is taken up by the sender (`nextAgain`) and by the initsync thread (`beginInitsync`), each under a
/// short lock.
///
/// 1. A ladder of checks: malformed, of another epoch: dropped, counted.
/// 2. A NACK queues the packets it names; a SLAVE_INITSYNC schedules a walk of the table; the report
///    in both says how much the slave holds, and which claims it knows of.
/// 3. A SYNC or MASTER_ANNOUNCE of a higher claim: this node is no longer master. Of a lower one:
///    dropped; its sender hears our announcements and gives way.
/// 4. A report that knows of a higher claim, whose maker nobody hears: this node is outbid by a claim
///    that nobody makes, and has to make a higher one.
final class MasterProtocol: Sendable {
    /// What a packet calls for.
    enum Consequence: Equatable, Sendable {
        /// Nothing.
        case none
        /// The sender is to be woken: a packet is to be sent again.
        case sendAgain
        /// The initsync thread is to be woken.
        case initsync
        /// Another node is master.
        case superseded(MasterClaim)
        /// A slave knows of a claim above this one, whose maker is silent.
        case outbid(MasterClaim)
        /// Another node was master, with a lower claim; it gives way.
        case beaten
    }

    struct Slaves: ~Copyable {
        var retransmission = Retransmission()
        var schedule = InitsyncSchedule()
        var peers = PeerList()
        var counters = MasterCounters()
        var drops = DropRecord()
        var stranger: Stranger?
        var claim = MasterClaim.none
        var wholeness = Wholeness(epoch: 0, holding: Holding(), lacks: false, now: 0)
        var path = PathWatch()
        var foreign = ForeignCluster()
        var scratch = Message()
        var losses = EventLosses()
        var successor: StreamPlace?
    }

    /// The connections that began while this master is partial.
    let births = TermBirths()
    let slaves = Mutex(Slaves())
    private let checksum: PacketChecksum?
    let ring: SendRing
    let linkCount: Int
    private let isMulticast: Bool
    let stream: Atomic<UInt8>

    /// A master of no epoch yet, that sends from this ring.
    ///
    /// - Parameters:
    ///   - checksum: nil if it was looked at before.
    ///   - linkCount: how many links there are to the slaves.
    ///   - isMulticast: whether one packet reaches all of them.
    init(
        ring: SendRing, checksum: PacketChecksum? = PacketChecksum(), linkCount: Int = 1,
        isMulticast: Bool = false
    ) {
        self.isMulticast = isMulticast
        self.checksum = checksum
        self.ring = ring
        self.linkCount = linkCount
        stream = Atomic(LinkSet.all(linkCount).rawValue)
    }

    /// Starts an epoch.
    ///
    /// - Parameters:
    ///   - holding: what the node holds from before.
    ///   - lacks: whether its predecessor had said what it lacks, or is not known.
    ///   - postponesInitsyncs: none begins before `timersRun()`.
    func start(
        _ claim: MasterClaim, holding: Holding = Holding(), lacks: Bool = false,
        postponesInitsyncs: Bool = false,
        now: Instant = 0
    ) {
        slaves.withLock { slaves in
            slaves.claim = claim
            slaves.wholeness = Wholeness(
                epoch: claim.epoch, holding: holding, lacks: lacks, now: now)
            slaves.retransmission.reset()
            slaves.schedule = InitsyncSchedule()
            slaves.schedule.isPostponed = postponesInitsyncs
            slaves.peers = PeerList()
            chooseLinks(slaves.peers, now)
            slaves.path.reset()
            slaves.losses.beginTerm()
            slaves.successor = nil
        }
    }

    /// Checks that what is known of slaves fits the ring. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        let faults = slaves.withLock { slaves in
            var faults: [String] = []
            slaves.peers.assertValid { faults.append($0) }
            slaves.peers.visit { nodeID, peer in
                guard peer.applied > ring.lastClosed else { return }
                faults.append("\(nodeID) has \(peer.applied) of \(ring.lastClosed) packets")
            }
            slaves.retransmission.assertValid(upTo: ring.lastSent) { faults.append($0) }
            slaves.schedule.assertValid { faults.append($0) }
            slaves.losses.assertValid { faults.append($0) }
            slaves.wholeness.assertValid { faults.append($0) }
            return faults
        }
        for fault in faults { report(fault) }
    }

    /// The claim in whose name it answers.
    var claim: MasterClaim { slaves.withLock { $0.claim } }
    /// The highest claim above this one that was heard in this epoch, and the last packet that its maker had
    /// sent by then.
    var successor: StreamPlace? { slaves.withLock { $0.successor } }
    /// What came from slaves and what became of it.
    var counters: MasterCounters { slaves.withLock { $0.counters } }
    /// The last slave that said that it hears no master.
    var stranger: Stranger? { slaves.withLock { $0.stranger } }
    /// The last dropped packet of each reason.
    var drops: DropRecord { slaves.withLock { $0.drops } }

    /// Takes a datagram.
    ///
    /// - Parameter wallMicroseconds: the wall clock, for what an epoch can be.
    func receive(
        _ packet: RawSpan, from peer: PeerAddress, now: Instant, wallMicroseconds: UInt64 = 0
    ) -> Consequence {
        slaves.withLock { slaves in
            slaves.counters.packets += 1
            slaves.counters.bytes += UInt64(packet.byteCount)
            do throws(WireError) {
                return try take(packet, peer, now, wallMicroseconds, &slaves)
            } catch {
                slaves.counters.bad[error.index] += 1
                slaves.drops.note(error.index, packet, from: peer, now: now)
                return .none
            }
        }
    }

    private func take(
        _ packet: RawSpan, _ peer: PeerAddress, _ now: Instant, _ wallMicroseconds: UInt64,
        _ slaves: inout Slaves
    ) throws(WireError) -> Consequence {
        let header = try PacketHeader.readWhole(
            packet, checksum, wallMicroseconds: wallMicroseconds, foreign: &slaves.foreign,
            scratch: &slaves.scratch)
        guard header.nodeID != slaves.claim.nodeID else {
            slaves.counters.ownID += 1
            slaves.drops.note(DropRecord.ownID, packet, from: peer, now: now)
            return .none
        }
        if header.type == .SYNC || header.type == .MASTER_ANNOUNCE {
            return try hearMaster(header, wallMicroseconds, &slaves)
        }
        guard header.epoch != 0 else {
            slaves.stranger = .heard(
                header.nodeID, from: peer, after: slaves.stranger, now: now)
            return .none
        }
        let report = try SlaveReport.read(packet, after: Int(header.messageCount))
        guard report.known.isPlausible(wallMicroseconds: wallMicroseconds) else { throw .message }
        // Two masters may have taken the same epoch: the node's id tells them apart.
        guard header.epoch == slaves.claim.epoch, report.known <= slaves.claim else {
            slaves.counters.stale += 1
            slaves.drops.note(DropRecord.stale, packet, from: peer, now: now)
            let isSilent = report.silentMilliseconds >= Self.silenceMilliseconds
            return report.known > slaves.claim && isSilent ? .outbid(report.known) : .none
        }
        // Nobody else is sent what this slave asks for; one that moves is silent at its old address.
        guard slaves.peers.isAt(peer, header.nodeID, since: Self.addressPatience, now: now) else {
            slaves.peers.heardElsewhere(header.nodeID, peer, now: now)
            slaves.counters.stale += 1
            slaves.drops.note(DropRecord.stale, packet, from: peer, now: now)
            return .none
        }
        let isCopy = slaves.peers.isCopy(header.nodeID, header, from: peer)
        // A slave that was led astray, or a forged packet, says that it has what there is not yet.
        let applied = min(max(header.sequence, 1) - 1, ring.lastClosed)
        slaves.peers.heard(
            header.nodeID,
            PeerList.Peer(
                address: peer, lastHeard: now, applied: applied, report: report,
                traits: SlaveReport.traits(packet, after: Int(header.messageCount)),
                kind: header.type.rawValue, clock: header.clockMicroseconds,
                clockOffsetMicroseconds: Int64(
                    bitPattern: wallMicroseconds &- header.clockMicroseconds)))
        if let rival = slaves.peers.rival(
            of: header.nodeID, since: Self.addressPatience, now: now)
        {
            slaves.counters.sameID += 1
            slaves.drops.note(DropRecord.sameID, packet, from: rival, now: now)
        }
        guard !isCopy else { return .none }
        chooseLinks(slaves.peers, now)
        if header.type == .SLAVE_INITSYNC {
            slaves.counters.initsyncRequests += 1
            return slaves.schedule.request(expected: header.sequence) ? .initsync : .none
        }
        guard header.messageCount > 0 else { return .none }
        // What waits yet was not sent again.
        if !slaves.retransmission.isWaiting(header.sequence) {
            switch try slaves.path.take(packet, header, report, ring) {
            case .none: break
            case .limit(let size): ring.giveUp(above: size)
            case .giveUp: ring.forgetBacklog()
            }
        }
        return try takeRanges(packet, header, peer, now, &slaves)
    }

    /// For how long after it was last heard a slave is known by its address.
    static let addressPatience = 2 * Duration.second

    /// A claim whose maker was not heard for so long is nobody's any more.
    static let silenceMilliseconds: UInt32 = 1_000

    private func hearMaster(
        _ header: PacketHeader, _ wallMicroseconds: UInt64, _ slaves: inout Slaves
    ) throws(WireError) -> Consequence {
        // What a node hands over is for who takes it.
        guard !header.flags.contains(.handover) else { return .none }
        let claim = MasterClaim(epoch: header.epoch, nodeID: header.nodeID)
        guard claim.isPlausible(wallMicroseconds: wallMicroseconds) else { throw .message }
        if claim > slaves.claim {
            let place = StreamPlace(claim: claim, sequence: header.sequence)
            slaves.successor = max(slaves.successor ?? place, place)
            return .superseded(claim)
        }
        slaves.counters.stale += 1
        return .beaten
    }

    private func takeRanges(
        _ packet: RawSpan, _ header: PacketHeader, _ peer: PeerAddress, _ now: Instant,
        _ slaves: inout Slaves
    ) throws(WireError) -> Consequence {
        let newest = ring.lastSent
        let kept = UInt64(ring.slotCount)
        let oldest = max(newest > kept ? newest - kept + 1 : 1, ring.oldestWanted)
        guard newest >= oldest else { return .none }
        slaves.counters.nacks += 1
        // One that does not say what it hears, such as who takes a handover, is sent them by all.
        let said = slaves.peers.peer(header.nodeID).report.links
        let links = said.isEmpty ? LinkSet.all(linkCount) : said
        let gathers = isMulticast && slaves.peers.areSeveral(since: Self.addressPatience, now: now)
        var queued = 0
        func queue(_ range: SequenceRange, at address: PeerAddress) {
            queued += slaves.retransmission.request(
                range, of: header.nodeID, at: address, kept: oldest...newest,
                byteCount: ring.slotByteCount, gathers: gathers, now: now)
        }
        for index in 0..<Int(header.messageCount) {
            let range = try SequenceRange.read(packet, index: index)
            var isQueued = false
            for link in 0..<linkCount where links.contains(link: link) {
                guard let path = slaves.peers.path(header.nodeID, link) else { continue }
                queue(range, at: path.address)
                isQueued = true
            }
            if !isQueued { queue(range, at: peer) }
        }
        slaves.counters.asked += UInt64(queued)
        return queued > 0 ? .sendAgain : .none
    }

    // MARK: Links

    /// The links that packets for all slaves go out over: as few as reach those that were heard lately.
    var links: LinkSet { LinkSet(rawValue: stream.load(ordering: .relaxed)) }

    /// Chooses them again: a slave may have fallen silent.
    func chooseLinks(now: Instant) {
        guard linkCount > 1 else { return }
        slaves.withLock { chooseLinks($0.peers, now) }
    }

    /// Where a slave's packets come from, by each link.
    func addresses(of nodeID: UInt8) -> [PeerAddress] {
        slaves.withLock { slaves in
            (0..<linkCount).compactMap { slaves.peers.path(nodeID, $0)?.address }
        }
    }

    func chooseLinks(_ peers: borrowing PeerList, _ now: Instant) {
        guard linkCount > 1 else { return }
        var heard: UInt16 = 0
        peers.visit { _, peer in
            guard now < peer.lastHeard + Self.addressPatience else { return }
            let links = PeerList.links(peer).intersection(.all(linkCount))
            heard |= 1 << UInt16(links.rawValue)
        }
        stream.store(
            LinkSet.fewest(reaching: heard, of: linkCount).rawValue, ordering: .relaxed)
    }
}
