// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What is done with closed packets: they are finished where they are and handed out, stay as the
/// backlog, and are copied for a slave that has missed one.
///
/// Threads: the sender or the event listener, whose turn it is; only the sender sleeps and copies.
extension SendRing {
    /// The sequence number of the last closed packet; 0 before the first.
    var lastClosed: UInt64 { closed.load(ordering: .acquiring) }

    /// The sequence number of the last packet handed to the socket; 0 before the first.
    var lastSent: UInt64 { sent.load(ordering: .acquiring) }

    /// The oldest packet that slaves are to ask for, if it was said which; 0 if not.
    var oldestWanted: UInt64 { floor.load(ordering: .acquiring) }

    /// How many messages have been appended since the ring was made.
    var messageCount: UInt64 { state.withLock { $0.messages } }

    /// How many closed packets have anything that a walk appended, since the ring was made.
    var walkedCount: UInt64 { state.withLock { $0.walked } }

    /// The oldest packet that `copy` can find after this one was closed.
    @inline(__always)
    private func oldest(asOf header: PacketHeader) -> UInt64 {
        let span = UInt64(slotCount - 2)
        let oldest = header.sequence > span ? header.sequence - span : 1
        // A packet is never older than itself; an announcement names the one before the next.
        let last = header.type == .SYNC ? header.sequence : header.sequence + 1
        return max(oldest, min(floor.load(ordering: .acquiring), last))
    }

    /// Finishes the next closed packets and hands them out, oldest first; they stay unsent until
    /// `markSent`, to be called before the next time.
    ///
    /// - Parameters:
    ///   - maximum: at most so many.
    ///   - clockMicroseconds: put into their headers.
    ///   - sealer: what seals them; nil for a checksum.
    ///   - body: called with each packet's place; valid until `markSent`.
    /// - Returns: how many were handed out.
    func withUnsent(
        maximum: Int, clockMicroseconds: UInt64, sealer: Sealer? = nil,
        _ body: (Int, UnsafeMutableRawBufferPointer) -> Void
    ) -> Int {
        let first = sent.load(ordering: .relaxed) + 1
        let last = min(closed.load(ordering: .acquiring), first + UInt64(maximum) - 1)
        guard first <= last else { return 0 }
        let identity = state.withLock { ($0.epoch, $0.nodeID) }
        for sequence in first...last {
            let content = slots.content(sequence)
            var header = PacketHeader(
                type: .SYNC, nodeID: identity.1, epoch: identity.0, sequence: sequence)
            header.length = content.length
            header.messageCount = content.messageCount
            header.flags = content.flags
            let packet = UnsafeMutableRawBufferPointer(
                rebasing: slots.packet(sequence)[..<Int(header.length)])
            finish(&header, packet, clockMicroseconds, sealer == nil ? checksum : nil)
            slots.finish(sequence, isSealed: sealer != nil)
            guard let sealer else {
                body(Int(sequence - first), packet)
                continue
            }
            let datagram = slots.datagram(sequence, length: packet.count)
            sealer.seal(datagram)
            body(Int(sequence - first), datagram)
        }
        return Int(last - first) + 1
    }

    /// Frees the slots of this many packets that the socket has taken.
    func markSent(_ count: Int) {
        sent.store(sent.load(ordering: .relaxed) + UInt64(count), ordering: .releasing)
    }

    /// Copies a packet of the backlog, as it was sent.
    ///
    /// - Parameters:
    ///   - target: at least `copyByteCount` bytes.
    ///   - sealer: seals a packet that was sent without an envelope: who asks for it may not take it without
    ///     one any more. One that has an envelope keeps it.
    /// - Returns: its length; nil if it has not been sent or is overwritten.
    func copy(
        _ sequence: UInt64, to target: UnsafeMutableRawBufferPointer, sealer: Sealer? = nil
    ) -> Int? {
        let isToSeal = sealer != nil
        let copied = state.withLock { state -> (end: Int, isSealed: Bool)? in
            guard canCopy(sequence, open: state.open) else { return nil }
            let packet = slots.sent(sequence)
            let isSealed = slots.content(sequence).isSealed
            let start = isToSeal && !isSealed ? PacketSlots.room : 0
            UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: packet)
            return (start + packet.count, isSealed)
        }
        guard let copied else { return nil }
        // The event listener does not wait for it.
        if let sealer, !copied.isSealed {
            let datagram = UnsafeMutableRawBufferPointer(rebasing: target[..<copied.end])
            var packet = UnsafeMutableRawBufferPointer(
                rebasing: datagram[PacketSlots.room...]
            ).mutableBytes
            PacketHeader.clearChecksum(of: &packet)
            sealer.seal(datagram)
        }
        return copied.end
    }

    /// Bytes of a packet that was sent and can be sent again, its envelope included; nil if it cannot.
    func byteCount(of sequence: UInt64) -> Int? {
        state.withLock { state in
            guard canCopy(sequence, open: state.open) else { return nil }
            return slots.sent(sequence).count
        }
    }

    private func canCopy(_ sequence: UInt64, open: UInt64) -> Bool {
        sequence >= 1 && sequence <= sent.load(ordering: .acquiring)
            && sequence + UInt64(slotCount) > open
    }

    /// Bytes of a MASTER_ANNOUNCE without addresses, and the most.
    static let announcementByteCount = PacketHeader.byteCount + Announcement.byteCount
    static let largestAnnouncement = PacketHeader.byteCount + Announcement.maximumByteCount

    /// Writes a MASTER_ANNOUNCE that names the last packet sent.
    ///
    /// - Parameter hasChecksum: false if it is finished afterwards.
    /// - Returns: its length.
    func writeAnnouncement(
        _ announcement: Announcement, _ target: UnsafeMutableRawBufferPointer,
        clockMicroseconds: UInt64, hasChecksum: Bool = true
    ) -> Int {
        let identity = state.withLock { ($0.epoch, $0.nodeID) }
        var header = PacketHeader(
            type: .MASTER_ANNOUNCE, nodeID: identity.1, epoch: identity.0,
            sequence: sent.load(ordering: .acquiring))
        header.flags = flags.current
        let length = PacketHeader.byteCount + announcement.byteCount
        header.length = UInt16(length)
        let packet = UnsafeMutableRawBufferPointer(rebasing: target[..<length])
        var bytes = packet.mutableBytes
        announcement.write(&bytes)
        finish(&header, packet, clockMicroseconds, hasChecksum ? checksum : nil)
        return length
    }

    private func finish(
        _ header: inout PacketHeader, _ packet: UnsafeMutableRawBufferPointer, _ clock: UInt64,
        _ checksum: PacketChecksum?
    ) {
        header.oldest = oldest(asOf: header)
        header.clockMicroseconds = clock
        var bytes = packet.mutableBytes
        header.seal(&bytes, checksum)
    }

    // MARK: Who sends

    /// Lets a sender sleep on while a few packets are closed: the calling thread sends them.
    func beginSending() {
        isListenerSending.store(true, ordering: .sequentiallyConsistent)
    }

    /// Ends that, and wakes the sender if anything is left: another thread may have closed a packet
    /// since the caller looked.
    func endSending() {
        isListenerSending.store(false, ordering: .sequentiallyConsistent)
        guard closed.load(ordering: .sequentiallyConsistent) != sent.load(ordering: .acquiring),
            senderSleeps.load(ordering: .sequentiallyConsistent)
        else { return }
        wake?.signal()
    }

    /// Announces that the sender goes to sleep.
    ///
    /// - Returns: whether it may: nothing was closed meanwhile.
    func prepareToSleep() -> Bool {
        senderSleeps.store(true, ordering: .sequentiallyConsistent)
        return closed.load(ordering: .sequentiallyConsistent) == sent.load(ordering: .relaxed)
    }

    /// Announces that the sender is awake.
    func wokeUp() {
        senderSleeps.store(false, ordering: .relaxed)
        wake?.clear()
    }
}
