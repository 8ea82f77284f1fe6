// SPDX-License-Identifier: GPL-2.0-or-later

/// A master without threads and system calls: events and pieces of a dump in, packets out, NACKs and
/// requests answered.
///
/// ```
/// kernel --events--> EventIntake --append in place--> SendRing --> Sender --> link
/// kernel --dump----> InitsyncWalk --append in place--^      ^backlog--|
/// link   --NACK, SLAVE_INITSYNC, claims--> MasterProtocol --what to send again, what to walk
/// ```
///
/// The daemon steps the three stages from a thread each (`MasterThreads`); what events come to is sent
/// by the thread that read them, if no other is sending (`listen`). It hands packets to `exchange` from
/// the link's thread; the simulated cluster calls the same functions in turn. Its
/// memory is taken when the daemon starts, so that a promotion takes little.
final class MasterEngine: Sendable {
    /// What one term as master uses; each part belongs to the thread of its stage.
    struct Term {
        let events: EventIntake.Term
        let walk: InitsyncWalk.Term
        let sending: Sender.Term
    }

    let ring: SendRing
    let flush: FlushHold
    let tagged: TagWatch
    let exchange: MasterProtocol
    let intake: EventIntake
    let initsync: InitsyncWalk
    let sender: Sender

    /// Takes the memory of a master.
    ///
    /// - Parameters:
    ///   - wake: signalled when the sender has something to do and sleeps.
    ///   - packetsPerSecond: of an initsync; 0 for as fast as the slaves keep up.
    ///   - reconcileSeconds: between two walks that nobody asked for; 0 for none.
    ///   - flushGraceSeconds: for which deletions of a flush are kept back; 0 for not at all.
    ///   - sealing: what finishes its packets, and stands before `exchange`; nil without.
    init(
        link: any SyncLink, filter: FilterBox, ringSlots: Int, slotByteCount: Int,
        wake: WakeUp? = nil, packetsPerSecond: UInt32, reconcileSeconds: UInt32,
        flushGraceSeconds: UInt32 = 0, sealing: LinkSealer? = nil
    ) throws(SystemError) {
        ring = try SendRing(slotCount: ringSlots, slotByteCount: slotByteCount, wake: wake)
        exchange = MasterProtocol(
            ring: ring, checksum: sealing == nil ? PacketChecksum() : nil,
            linkCount: link.linkCount, isMulticast: link.isMulticast)
        flush = FlushHold(graceSeconds: flushGraceSeconds)
        tagged = TagWatch()
        intake = EventIntake(
            ring: ring, master: exchange, filter: filter, flush: flush, tagged: tagged)
        initsync = InitsyncWalk(
            ring: ring, master: exchange, filter: filter, flush: flush, tagged: tagged,
            packetsPerSecond: packetsPerSecond, reconcileSeconds: reconcileSeconds)
        sender = Sender(
            ring: ring, master: exchange, link: link, sealing: sealing,
            rules: filter.current.fingerprint)
    }

    /// Begins a term, with what the node holds from before, or lacks. No initsync begins before
    /// `exchange.timersRun()`.
    ///
    /// - Throws: `SystemError` if the event socket or another socket cannot be had; there is no
    ///   term then.
    func open(
        _ claim: MasterClaim, holding: Holding, lacks: Bool, _ kernel: any KernelTable, now: Instant
    ) throws(SystemError) -> Term {
        // The events first: what changes while the table is read must be heard.
        let events = try intake.open(kernel)
        let walk = initsync.open(
            try kernel.makeWalk(), try kernel.makeLookup(), events.losses, now: now)
        tagged.reset()
        ring.reset(epoch: claim.epoch, nodeID: claim.nodeID, flags: .partial)
        exchange.start(claim, holding: holding, lacks: lacks, postponesInitsyncs: true, now: now)
        return Term(events: events, walk: walk, sending: sender.open())
    }

    /// Has what a term needs of the kernel, and gives it back.
    ///
    /// - Throws: `SystemError` as `open`.
    func rehearse(_ kernel: any KernelTable, now: Instant) throws(SystemError) {
        let events = try intake.open(kernel)
        _ = initsync.open(
            try kernel.makeWalk(), try kernel.makeLookup(), events.losses, now: now)
        _ = sender.open()
    }

    /// Takes the events that are there and sends what they come to.
    ///
    /// - Returns: whether a walk of the table is wanted, since events were lost.
    func listen(
        _ events: EventIntake.Term, _ sending: Sender.Term, now: Instant, wallMicroseconds: UInt64
    ) -> Bool {
        ring.beginSending()
        defer { ring.endSending() }
        let isWalkWanted = intake.drain(events, now: now)
        sender.sendClosed(sending, now: now, wallMicroseconds: wallMicroseconds)
        return isWalkWanted
    }

    /// Whether the thread that sends may sleep as its stage says; once it is awake again, `ring.wokeUp()` is
    /// to be called.
    ///
    /// - Returns: until when; nil if there is something to send.
    func mayRest(_ pause: Pause) -> Instant? {
        guard case .until(let instant) = pause, ring.prepareToSleep(),
            (exchange.againDue ?? .max) >= instant
        else { return nil }
        return instant
    }
}
