// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A walk of the table, between two steps.
struct SimulatedWalk {
    var number: UInt32
    var hasBegun = false
    /// Read from the dump and not yet appended.
    var read: [Entry] = []
    /// Where the dump goes on; nil at its end.
    var next: UInt64? = 0
    var pace: InitsyncPace
    var pausedUntil: Instant = 0
}

/// What the event listener, the initsync walk and the sender do, a bit at a time.
extension SimulatedNode {
    /// As EventListener drains its socket.
    func drainEvents(maximum: Int) {
        if kernel.takeLoss() { master.lostEvents() }
        for _ in 0..<maximum {
            guard let event = kernel.takeEvent() else { break }
            take(event)
        }
        guard kernel.events.isEmpty, !kernel.hasLostEvents else { return }
        ring.flush()
        _ = master.caughtUp()
    }

    private func take(_ event: SimulatedKernel.Event) {
        var entry = event.entry
        guard filter.admits(entry) else { return }
        let outcome: SendRing.Outcome
        switch event.kind {
        case .new, .update:
            entry.prepareForReplication()
            outcome = ring.appendUpdate(entry, bits: event.kind == .new ? MessageKind.new : 0)
        default:
            outcome = ring.appendDelete(entry.key)
        }
        if outcome == .full { master.lostEvents() }
    }

    /// As InitsyncWalk goes on; the dump's pieces are appended later than they were read.
    func walkOn(_ now: Instant) {
        guard var walk else {
            guard let number = master.beginInitsync() else { return }
            let pace = InitsyncPace(
                packetsPerSecond: chance.one(of: [200, 1_000, 0]), now: now)
            self.walk = SimulatedWalk(number: number, pace: pace)
            return
        }
        if !walk.hasBegun {
            guard let begin = ring.appendBracket(.UPDATE, number: walk.number) else { return }
            master.initsyncBegan(in: begin)
            walk.hasBegun = true
        } else if chance.happens(3) {
            // A dump that fails is begun anew.
            self.walk = nil
            master.initsyncEnded()
            master.requireInitsync()
            return
        } else if now >= walk.pausedUntil {
            guard advance(&walk, now) else { return }
        }
        self.walk = walk
    }

    /// False when the walk is over.
    private func advance(_ walk: inout SimulatedWalk, _ now: Instant) -> Bool {
        while let entry = walk.read.first {
            guard append(entry) else { return true }
            walk.read.removeFirst()
            if walk.read.isEmpty { ring.flush() }
            if chance.happens(200) { return true }
        }
        guard let next = walk.next else {
            guard ring.appendBracket(.DELETE, number: walk.number) != nil else { return true }
            self.walk = nil
            master.initsyncEnded()
            return false
        }
        let piece = kernel.dump(after: next, 1 + chance.below(10))
        walk.read = piece.entries
        walk.next = piece.next
        walk.pausedUntil = walk.pace.spend(
            1, wasAskedAgain: master.takeAskedAgain(), now: now)
        return true
    }

    private func append(_ dumped: Entry) -> Bool {
        var entry = dumped
        guard filter.admits(entry) else { return true }
        entry.prepareForReplication()
        return ring.appendUpdate(entry, bits: MessageKind.initsync) == .appended
    }

    // MARK: The sender

    func sendSome(_ now: Instant) {
        let sent = sendLive(maximum: chance.one(of: [1, 4, 64]), now)
        sendAgain(now)
        if sent > 0 { announceAt = now + Sender.announceInterval }
        if now >= announceAt {
            announce(now)
            announceAt = now + Sender.announceInterval
        }
    }

    func sendLive(maximum: Int, _ now: Instant) -> Int {
        let count = ring.withUnsent(
            maximum: maximum, clockMicroseconds: Self.wall(now)
        ) { _, packet in
            wire.send(UnsafeRawBufferPointer(packet), from: index, to: nil, now: now)
        }
        ring.markSent(count)
        return count
    }

    private func sendAgain(_ now: Instant) {
        var done = 0
        while done < 16, let item = master.nextAgain() {
            guard let length = ring.copy(item.sequence, to: target) else { continue }
            let to = Int(item.peer.address.low - Self.address(0).address.low)
            wire.send(
                UnsafeRawBufferPointer(rebasing: target[..<length]), from: index, to: to, now: now)
            done += 1
        }
    }

    private func announce(_ now: Instant) {
        let length = ring.writeAnnouncement(target, clockMicroseconds: Self.wall(now))
        wire.send(
            UnsafeRawBufferPointer(rebasing: target[..<length]), from: index, to: nil, now: now)
    }

    /// All that the master knows is said, and this is the announcement that says how much it was.
    func lastWord(_ now: Instant) -> [UInt8] {
        drainEvents(maximum: .max)
        while sendLive(maximum: 64, now) > 0 {}
        let length = ring.writeAnnouncement(target, clockMicroseconds: Self.wall(now))
        return Array(target[..<length])
    }
}
