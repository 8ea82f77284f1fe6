// SPDX-License-Identifier: GPL-2.0-or-later

/// What stands between the socket and the engines: opens packets where they are, or checks their
/// checksum, and proves to other nodes that this one is there.
///
/// 1. A packet without a seal: dropped if the mode is strict; else it is handed on if its checksum fits.
/// 2. A sealed one: key, tag and session are checked, in WIRE.md's order; what passes is handed on
///    without its envelope, and an engine sees no difference.
/// 3. A packet of a session that is not proven brings about a HELLO, and a HELLO its answer; both are
///    smaller than what they answer, or as large.
///
/// Thread: the link's. Memory is taken when it is made.
final class LinkOpener {
    private let seal: LinkSeal
    private let sealer: LinkSealer
    private let opener: SealOpener
    private let gate: SessionGate
    private let link: any SyncLink
    private let own: UInt8
    private let hello = DatagramBuffers(count: 1, byteCount: SealHello.datagramByteCount)
    private let checksum: PacketChecksum
    private var foreign = ForeignCluster()
    private var report = SealReport()
    private var askedAgainAt: Instant = 0

    /// An opener that believes nobody yet.
    ///
    /// - Parameters:
    ///   - link: where HELLOs go out.
    ///   - reach: packets in a master's backlog.
    /// - Throws: `SystemError` of mmap(2), or with ENOMEM.
    init(_ sealer: LinkSealer, link: any SyncLink, reach: Int) throws(SystemError) {
        seal = sealer.seal
        checksum = sealer.seal.checksum
        self.sealer = sealer
        self.link = link
        own = seal.session.id.nodeID
        opener = try SealOpener(seal.session.keys)
        var random = SystemRandomNumberGenerator()
        gate = try SessionGate(
            own: seal.session.id, reach: 2 * reach, wayCount: 2 * link.linkCount
        ) { random.next() }
    }

    /// Shows what was counted; to be called after each batch.
    func publish() {
        seal.publish(report)
    }

    /// Opens a datagram.
    ///
    /// - Returns: the packet in it, whose checksum is not to be looked at any more; nil if it is
    ///   dropped.
    func open(
        _ datagram: UnsafeMutableRawBufferPointer, from peer: PeerAddress, now: Instant
    ) -> UnsafeRawBufferPointer? {
        var packet: UnsafeRawBufferPointer?
        do throws(WireError) {
            packet =
                SealEnvelope.isSealed(datagram.bytes)
                ? try openSealed(datagram, peer, now) : try takeUnsealed(datagram, peer, now)
        } catch {
            report.bad[error.index] += 1
            report.drops.note(error.index, datagram.bytes, from: peer, now: now)
        }
        if packet == nil { report.packets += 1 }
        report.bytes += UInt64(datagram.count - (packet?.count ?? 0))
        return packet
    }

    /// Drops a datagram that has come by another link than it is of.
    func drop(crossing datagram: RawSpan, from peer: PeerAddress, now: Instant) {
        report.packets += 1
        report.bytes += UInt64(datagram.byteCount)
        report.anotherLink += 1
        report.drops.note(DropRecord.anotherLink, datagram, from: peer, now: now)
    }

    // MARK: Without a seal

    private func takeUnsealed(
        _ datagram: UnsafeMutableRawBufferPointer, _ peer: PeerAddress, _ now: Instant
    ) throws(WireError) -> UnsafeRawBufferPointer? {
        let mode = seal.mode
        let header: PacketHeader
        do throws(WireError) {
            header = try PacketHeader.read(datagram.bytes, mode == .strict ? nil : checksum)
        } catch {
            guard error == .checksum else { throw error }
            throw foreign.error(for: datagram.bytes, checksum)
        }
        guard mode != .off else { return UnsafeRawBufferPointer(datagram) }
        report.unsealed += 1
        report.drops.note(DropRecord.unsealed, datagram.bytes, from: peer, now: now)
        // One that has a key, and does not seal as others have none, is no stranger.
        if mode == .strict || !seal.isSealing(to: peer, now: now) {
            report.strangers.heard(
                Strangers.Stranger(nodeID: header.nodeID, peer: peer, kind: .unsealed, at: now))
        }
        guard mode == .permissive else { return nil }
        seal.heardUnsealed(now: now)
        return UnsafeRawBufferPointer(datagram)
    }

    // MARK: Sealed

    private func openSealed(
        _ datagram: UnsafeMutableRawBufferPointer, _ peer: PeerAddress, _ now: Instant
    ) throws(WireError) -> UnsafeRawBufferPointer? {
        let envelope = try SealEnvelope.read(datagram.bytes)
        // The least of what is sealed is a HELLO: no answer is larger than what it answers.
        guard datagram.count >= SealHello.datagramByteCount else { throw .short }
        guard envelope.nodeID != own else {
            report.ownID += 1
            report.drops.note(DropRecord.ownID, datagram.bytes, from: peer, now: now)
            return nil
        }
        guard seal.mode != .off else {
            report.anotherKey += 1
            report.drops.note(DropRecord.anotherKey, datagram.bytes, from: peer, now: now)
            report.strangers.heard(
                Strangers.Stranger(nodeID: envelope.nodeID, peer: peer, kind: .sealed, at: now))
            return nil
        }
        guard gate.mayPass(envelope.session, envelope.counter) else {
            hasCome(datagram, envelope, peer, now)
            return nil
        }
        guard unseal(datagram, envelope, peer, now) else { return nil }
        switch envelope.kind {
        case .HELLO:
            answer(try SealHello.read(datagram.bytes), envelope, peer, now)
            return nil
        case .SEALED:
            return try take(datagram, envelope, peer, now)
        }
    }

    private func unseal(
        _ datagram: UnsafeMutableRawBufferPointer, _ envelope: SealEnvelope, _ peer: PeerAddress,
        _ now: Instant
    ) -> Bool {
        do throws(SealError) {
            try opener.open(datagram, envelope, isProven: gate.isProven(envelope.session))
            return true
        } catch {
            switch error {
            case .tag:
                report.tag += 1
                report.drops.note(DropRecord.tag, datagram.bytes, from: peer, now: now)
                // One key in 256 has the id of one of this node's.
                guard !gate.isProven(envelope.session) else { return false }
            case .key:
                report.anotherKey += 1
                report.drops.note(
                    DropRecord.anotherKey, datagram.bytes, from: peer, now: now)
            }
            report.strangers.heard(
                Strangers.Stranger(
                    nodeID: envelope.nodeID, peer: peer, kind: .anotherKey, at: now))
            return false
        }
    }

    private func take(
        _ datagram: UnsafeMutableRawBufferPointer, _ envelope: SealEnvelope, _ peer: PeerAddress,
        _ now: Instant
    ) throws(WireError) -> UnsafeRawBufferPointer? {
        switch gate.take(envelope.session, envelope.counter, by: Self.way(peer), now: now) {
        case .replayed:
            hasCome(datagram, envelope, peer, now)
            return nil
        case .unproven(let question):
            report.unproven += 1
            report.drops.note(DropRecord.unproven, datagram.bytes, from: peer, now: now)
            if let question { send(question, to: peer) }
            return nil
        case .passes:
            heard(envelope, peer, now)
            let packet = UnsafeRawBufferPointer(rebasing: datagram[SealEnvelope.byteCount...])
            // A session is one node's: who has proved it cannot speak for another.
            guard try PacketHeader.read(packet.bytes, nil).nodeID == envelope.nodeID else {
                throw .message
            }
            report.opened += 1
            return packet
        }
    }

    private func answer(
        _ hello: SealHello, _ envelope: SealEnvelope, _ peer: PeerAddress, _ now: Instant
    ) {
        let reply = gate.take(
            hello, envelope.session, envelope.counter, by: Self.way(peer), now: now)
        if gate.isProven(envelope.session) { heard(envelope, peer, now) }
        if let reply { send(reply, to: peer) }
    }

    /// The link and the family that a packet came by.
    private static func way(_ peer: PeerAddress) -> Int {
        2 * Int(peer.link) + (peer.family == .ipv4 ? 0 : 1)
    }

    /// Packets were asked for again: they may come oftener than once, as they were.
    func askedAgain(now: Instant) {
        askedAgainAt = now
    }

    /// Counts a packet that has come before.
    private func hasCome(
        _ datagram: UnsafeMutableRawBufferPointer, _ envelope: SealEnvelope, _ peer: PeerAddress,
        _ now: Instant
    ) {
        let isAsked = askedAgainAt != 0 && now < askedAgainAt + SessionGate.lateness
        if gate.isDouble(envelope.session, envelope.counter, by: Self.way(peer), now: now)
            || isAsked
        {
            report.doubles += 1
            return
        }
        report.replayed += 1
        report.drops.note(DropRecord.replayed, datagram.bytes, from: peer, now: now)
    }

    private func heard(_ envelope: SealEnvelope, _ peer: PeerAddress, _ now: Instant) {
        seal.heardSealed(envelope.nodeID, peer, now: now)
        report.strangers.understands(envelope.nodeID, peer, now: now)
    }

    private func send(_ content: SealHello, to peer: PeerAddress) {
        let memory = hello.own(0)
        var bytes = memory.mutableBytes
        content.write(&bytes)
        sealer.always.seal(memory, .HELLO)
        hello.point(0, at: memory)
        _ = link.send(hello, count: 1, to: peer)
    }
}
