// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The master's second stage: closed packets go to the link, straight from the ring.
///
/// 1. Finish the closed packets, sealed or with a checksum, and send them, up to 64 a system call.
/// 2. Send again what slaves have asked for, up to 16 at a time, so that live packets never starve.
/// 3. Nothing to do: announce the last sequence number every 100 ms, so that a slave notices a lost
///    last packet; under load too once a second, for what it says. With several links every 50 ms in
///    any case, over each: by that slaves notice that one is cut. At the end of a term what was sent
///    in the last moments is repeated over the links that did not have it, as nobody can ask for it
///    any more. Before a cluster has changed over to the seal, nodes that wait for that are given a
///    sealed announcement every second.
///
/// Thread: `ct_sync_send`, for one term as master; `sendClosed` is the event listener's, so that an
/// event does not have to wake a second thread. They take turns. Memory is the ring's; packets sent
/// again are copied first, as their slots may be overwritten.
final class Sender: Sendable {
    /// How often an idle master announces itself.
    static let announceInterval = 100 * Duration.millisecond
    /// How often one does that is never idle.
    static let longestInterval = 1 * Duration.second
    /// How often a master with several links announces itself over each.
    static let linksInterval = 50 * Duration.millisecond
    /// How often nodes that only open sealed packets are given one before the others are sealed.
    static let beaconInterval = 1 * Duration.second
    /// How long the end of a term sends; a send on a stuck link may take as long once more.
    private static let lastSending = 60 * Duration.millisecond
    /// How far back, at least, the end of a term repeats what went over some of the links: within
    /// that time slaves say that one is cut.
    private static let tail = 300 * Duration.millisecond
    private static let batch = 64
    private static let againBatch = 16

    /// Calls its argument with further addresses of a node.
    typealias Others = ((PeerAddress) -> Void) -> Void

    /// What one term uses, all of it on one thread.
    final class Term {
        fileprivate let live: DatagramBuffers
        fileprivate let copies: DatagramBuffers
        fileprivate let announcement: DatagramBuffers
        /// 0 at first: the first packet of a term announces it.
        fileprivate var announceAt: Instant = 0
        fileprivate var announcedAt: Instant = 0
        fileprivate var beaconAt: Instant = 0
        /// What seals the packets of this step; nil for a checksum.
        fileprivate var sealer: Sealer?
        /// The only node it is for; nil for all slaves ...
        fileprivate let peer: PeerAddress?
        /// ... and where that is by other links.
        fileprivate let others: Others
        /// When the last sent packet was noted, which it was, and the one noted before.
        fileprivate var noted: (at: Instant, last: UInt64, before: UInt64) = (0, 0, 0)

        fileprivate init(copyByteCount: Int, peer: PeerAddress?, others: @escaping Others) {
            self.peer = peer
            self.others = others
            live = DatagramBuffers(count: Sender.batch, byteCount: 64)
            copies = DatagramBuffers(count: Sender.againBatch, byteCount: copyByteCount)
            announcement = DatagramBuffers(
                count: 1, byteCount: LinkSealer.room + SendRing.largestAnnouncement)
        }
    }

    private let ring: SendRing
    private let master: MasterProtocol
    private let link: any SyncLink
    /// Whose turn it is: `sealing`, a term and the unsent packets are used by one thread at a time.
    private let turn = Mutex<Void>(())
    private let sealing: SendableBox<LinkSealer?>
    private let addresses = Mutex<[HostAddress]>([])
    private let traits = Mutex<Traits?>(nil)
    private let packets = Atomic<UInt64>(0)
    private let bytes = Atomic<UInt64>(0)
    private let again = Atomic<UInt64>(0)
    private let refused = Atomic<UInt64>(0)
    /// What the announcements say besides.
    private let entryCount = Atomic<UInt32>(0)
    private let rules: UInt32

    /// - Parameters:
    ///   - sealing: nil for a link that knows of no seal.
    ///   - rules: their fingerprint, for the announcements.
    init(
        ring: SendRing, master: MasterProtocol, link: any SyncLink, sealing: LinkSealer? = nil,
        rules: UInt32 = 0
    ) {
        self.rules = rules
        self.sealing = SendableBox(sealing)
        self.ring = ring
        self.master = master
        self.link = link
    }

    /// Packets sent, of all types.
    var packetCount: UInt64 { packets.load(ordering: .relaxed) }
    /// Their bytes, without IP and UDP headers.
    var byteCount: UInt64 { bytes.load(ordering: .relaxed) }
    /// Packets sent again.
    var againCount: UInt64 { again.load(ordering: .relaxed) }
    /// About how many connections there are, as the announcements say from now on.
    func say(entryCount: UInt32) {
        self.entryCount.store(entryCount, ordering: .relaxed)
    }

    /// Packets that the network refused.
    var refusedCount: UInt64 { refused.load(ordering: .relaxed) }

    /// The addresses that stay with this node when another is promoted; the first few are announced.
    func setAddresses(_ fixed: [HostAddress]) {
        addresses.withLock { $0 = Array(fixed.prefix(Announcement.addressLimit)) }
    }

    /// What its kernel is set to, as the announcements say from now on.
    func setTraits(_ own: Traits) {
        traits.withLock { $0 = own }
    }

    /// Takes the memory of a term.
    ///
    /// - Parameters:
    ///   - peer: the only node it is for; nil for all slaves.
    ///   - others: where that node is by other links.
    func open(to peer: PeerAddress? = nil, others: @escaping Others = { _ in }) -> Term {
        Term(copyByteCount: ring.copyByteCount, peer: peer, others: others)
    }

    /// Sends what is closed, if no other thread is sending just then, and if the link takes it without
    /// delay; what is left is the sender's.
    ///
    /// Called between the ring's `beginSending` and `endSending`.
    func sendClosed(_ term: Term, now: Instant, wallMicroseconds: UInt64) {
        guard ring.lastClosed != ring.lastSent, link.isReady else { return }
        turn.withLockIfAvailable { _ in
            term.sealer = sealing.value?.sealer(to: term.peer, now: now)
            sendLive(term, now, wallMicroseconds)
        }
    }

    /// Sends what is there, at most a batch of each kind.
    func step(_ term: Term, now: Instant, wallMicroseconds: UInt64) -> Pause {
        turn.withLock { _ in work(term, now, wallMicroseconds) }
    }

    private func work(_ term: Term, _ now: Instant, _ wallMicroseconds: UInt64) -> Pause {
        term.sealer = sealing.value?.sealer(to: term.peer, now: now)
        let sent = sendLive(term, now, wallMicroseconds)
        if now >= term.noted.at + Self.tail {
            term.noted = (now, ring.lastSent, term.noted.last)
        }
        // What goes to one slave again tells the others nothing.
        let again = sendAgain(term, now)
        if now >= term.announceAt {
            master.chooseLinks(now: now)
            announce(term, wallMicroseconds, term.sealer)
            term.announcedAt = now
            term.announceAt = now + interval
        }
        if let sealing = sealing.value, now >= term.beaconAt, term.peer == nil,
            sealing.seal.wantsBeacon(now: now)
        {
            announce(term, wallMicroseconds, sealing.always)
            term.beaconAt = now + Self.beaconInterval
        }
        guard sent + again == 0 else { return .none }
        return .until(min(term.announceAt, master.againDue ?? .max))
    }

    private var interval: UInt64 {
        link.linkCount > 1 ? Self.linksInterval : Self.announceInterval
    }

    private var longestInterval: UInt64 {
        link.linkCount > 1 ? Self.linksInterval : Self.longestInterval
    }

    /// Sends all that is closed, at the end of a term, and repeats the last of it by other links; on a
    /// stuck link what it takes in a short time. Last it is announced: the master that it gives way to,
    /// which may not have heard it yet, learns that it has beaten another.
    ///
    /// - Parameter now: the clock.
    func finish(_ term: Term, wallMicroseconds: UInt64, now: () -> Instant) {
        let deadline = now() + Self.lastSending
        turn.withLock { _ in
            while sendLive(term, now(), wallMicroseconds) > 0, now() < deadline {}
            repeatTail(term, until: deadline, now)
            guard term.peer == nil, link.isReady, now() < deadline else { return }
            announce(term, wallMicroseconds, sealing.value?.sealer(to: nil, now: now()))
        }
    }

    private func repeatTail(_ term: Term, until deadline: Instant, _ now: () -> Instant) {
        let others = LinkSet.all(link.linkCount).subtracting(master.links)
        guard term.peer == nil, !others.isEmpty else { return }
        var next = term.noted.before + 1
        while next <= ring.lastSent, now() < deadline {
            var (count, total) = (0, 0)
            while next <= ring.lastSent, count < Self.againBatch {
                if let length = copy(next, term, at: count, term.sealer) {
                    (count, total) = (count + 1, total + length)
                }
                next += 1
            }
            if count > 0 { send(term.copies, count, total, over: others) }
        }
    }

    @discardableResult
    private func sendLive(_ term: Term, _ now: Instant, _ wallMicroseconds: UInt64) -> Int {
        var total = 0
        let count = ring.withUnsent(
            maximum: Self.batch, clockMicroseconds: wallMicroseconds, sealer: term.sealer
        ) { index, packet in
            term.live.point(index, at: packet)
            total += packet.count
        }
        guard count > 0 else { return 0 }
        send(term.live, count, total, of: term)
        ring.markSent(count)
        term.announceAt = min(now + interval, term.announcedAt + longestInterval)
        return count
    }

    /// Copies a packet of the backlog into a term's memory.
    ///
    /// - Parameter sealer: seals one that was sent without a seal.
    /// - Returns: its length; nil if it is not kept any more.
    private func copy(
        _ sequence: UInt64, _ term: Term, at index: Int, _ sealer: Sealer?
    ) -> Int? {
        let memory = term.copies.own(index)
        guard let length = ring.copy(sequence, to: memory, sealer: sealer) else { return nil }
        term.copies.point(
            index, at: UnsafeMutableRawBufferPointer(rebasing: memory[..<length]))
        return length
    }

    private func sendAgain(_ term: Term, _ now: Instant) -> Int {
        var done = 0
        while done < Self.againBatch, let item = master.nextAgain(now: now) {
            let sealer = sealing.value?.sealer(to: item.isForAll ? nil : item.peer, now: now)
            guard let length = copy(item.sequence, term, at: 0, sealer) else { continue }
            if item.isForAll {
                send(term.copies, 1, length, over: LinkSet(link: Int(item.peer.link)))
            } else {
                count(1, length, refused: link.send(term.copies, count: 1, to: item.peer))
            }
            again.wrappingAdd(1, ordering: .relaxed)
            done += 1
        }
        return done
    }

    /// Announces the master, over each link for itself: with the link's number, and a counter of its
    /// own in the seal.
    private func announce(_ term: Term, _ wallMicroseconds: UInt64, _ sealer: Sealer?) {
        guard term.peer == nil, link.linkCount > 1 else {
            return announce(term, wallMicroseconds, sealer, by: nil)
        }
        for number in 0..<link.linkCount { announce(term, wallMicroseconds, sealer, by: number) }
    }

    private func announce(
        _ term: Term, _ wallMicroseconds: UInt64, _ sealer: Sealer?, by number: Int?
    ) {
        let memory = term.announcement.own(0)
        let announcement = Announcement(
            basis: master.basis, entryCount: entryCount.load(ordering: .relaxed), rules: rules,
            areEventsOff: master.areEventsOff,
            link: number.map { UInt8($0 + 1) } ?? 0, path: master.pathLimit,
            addresses: addresses.withLock { $0 }, traits: traits.withLock { $0 })
        let room = UnsafeMutableRawBufferPointer(rebasing: memory[LinkSealer.room...])
        let length = ring.writeAnnouncement(
            announcement, room, clockMicroseconds: wallMicroseconds,
            hasChecksum: sealing.value == nil)
        var packet = UnsafeMutableRawBufferPointer(rebasing: room[..<length])
        if let sealing = sealing.value {
            let whole = LinkSealer.room + length
            packet = sealing.finish(
                UnsafeMutableRawBufferPointer(rebasing: memory[..<whole]), sealer)
        }
        term.announcement.point(0, at: packet)
        if let number {
            send(term.announcement, 1, packet.count, over: LinkSet(link: number))
        } else {
            send(term.announcement, 1, packet.count, of: term)
        }
    }

    /// Sends to whom a term is for.
    private func send(_ buffers: DatagramBuffers, _ count: Int, _ total: Int, of term: Term) {
        guard let peer = term.peer else {
            return send(buffers, count, total, over: master.links)
        }
        var refused = link.send(buffers, count: count, to: peer)
        term.others { other in
            refused = min(refused, link.send(buffers, count: count, to: other))
        }
        self.count(count, total, refused: refused)
    }

    /// Sends to all slaves.
    private func send(
        _ buffers: DatagramBuffers, _ count: Int, _ total: Int, over links: LinkSet
    ) {
        self.count(count, total, refused: link.send(buffers, count: count, over: links))
    }

    private func count(_ count: Int, _ total: Int, refused: UInt64) {
        self.refused.wrappingAdd(refused, ordering: .relaxed)
        packets.wrappingAdd(UInt64(count), ordering: .relaxed)
        bytes.wrappingAdd(UInt64(total), ordering: .relaxed)
    }
}
