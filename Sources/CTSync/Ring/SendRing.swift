// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The master's ring of packets: messages are appended in place to the open one, the sender is
/// given pointers to the closed ones, and what has been sent stays as the backlog.
///
/// 1. `append` (threads: event listener, initsync) writes a message into the open packet; one that
///    does not fit closes it and begins the next; what changes again while the packet is open is put
///    into the message that is there (`OpenMessages`); `flush` closes it when there is nothing more to
///    say just now.
/// 2. `withUnsent` (threads: sender or event listener, whose turn it is) finishes closed packets, with
///    a checksum or sealed where they are, and hands them out; `markSent` frees their slots for later
///    packets.
/// 3. `copy` (thread: sender) reads a packet of the backlog for a slave that has missed it.
///
/// The memory is the ring's (`PacketSlots`), taken once. Appending is under a short lock; a closed packet
/// that has not been sent is touched by the sender only, and `copy` takes the lock. When the sender lags
/// by a whole ring, `append` says so and writes nothing: the caller counts an overrun, which an initsync
/// repairs.
final class SendRing: @unchecked Sendable {
    /// What an append came to.
    package enum Outcome: Sendable {
        /// The message is in the open packet.
        case appended
        /// There is no slot left: the sender has not sent the oldest packet.
        case full
    }

    struct State {
        var epoch: UInt64 = 0
        var nodeID: UInt8 = 0
        /// The sequence number of the open packet.
        var open: UInt64 = 1
        var length = PacketHeader.byteCount
        var messageCount: UInt16 = 0
        var messages: UInt64 = 0
        /// Whether the open packet has anything of a walk, and how many closed ones have.
        var hasCopy = false
        var walked: UInt64 = 0
    }

    /// Slots, a power of two.
    var slotCount: Int { slots.count }
    /// Bytes of a slot: the most a packet takes.
    var slotByteCount: Int { slots.byteCount }
    /// Bytes of the largest that `copy` writes.
    var copyByteCount: Int { PacketSlots.room + slots.byteCount }

    // What appending (here) and sending (SendRing+Sending.swift) share.
    let slots: PacketSlots
    let checksum = PacketChecksum()
    let state = Mutex(State())
    let closed = Atomic<UInt64>(0)
    let sent = Atomic<UInt64>(0)
    /// Slaves are not to ask for older packets than this one.
    let floor = Atomic<UInt64>(0)
    let flags = StandingFlags()
    let senderSleeps = Atomic<Bool>(false)
    /// Whether the event listener sends what is closed, after what it is doing.
    let isListenerSending = Atomic<Bool>(false)
    let wake: WakeUp?

    let open = OpenMessages()
    /// The most bytes of a packet that is opened from now on.
    private let packetLimit: Atomic<Int>
    /// So many packets the listener does not send alone: the sender is woken beside it.
    private static let wakeThreshold: UInt64 = 8

    /// Takes the memory of a ring.
    ///
    /// - Parameters:
    ///   - slotCount: a power of two, at least 4.
    ///   - slotByteCount: the MTU less the IP and UDP headers; at least a header and one message.
    ///   - wake: signalled when a packet is closed while the sender sleeps.
    /// - Throws: `SystemError` of mmap(2).
    init(slotCount: Int, slotByteCount: Int, wake: WakeUp?) throws(SystemError) {
        precondition(slotByteCount >= PacketHeader.byteCount + Message.maximumByteCount)
        slots = try PacketSlots(count: slotCount, byteCount: slotByteCount)
        self.wake = wake
        packetLimit = Atomic(slotByteCount)
    }

    /// Empties the ring for a new epoch; only while no thread uses it.
    ///
    /// - Parameters:
    ///   - flags: of all packets of it.
    ///   - first: the number of the first.
    func reset(
        epoch: UInt64, nodeID: UInt8, flags: PacketHeader.Flags = [], from first: UInt64 = 1
    ) {
        self.flags.reset(flags)
        state.withLock {
            $0 = State(
                epoch: epoch, nodeID: nodeID, open: first, messages: $0.messages, walked: $0.walked)
            open.removeAll()
        }
        closed.store(first - 1, ordering: .releasing)
        sent.store(first - 1, ordering: .releasing)
        floor.store(first == 1 ? 0 : first, ordering: .releasing)
    }

    // MARK: Appending

    /// Appends what an event or a dump said of an entry; or amends with it what the open packet says
    /// of the same connection, if that is the last said of it and the length stays the same.
    ///
    /// So what is said comes earlier, but not before anything of its own connection. No other message
    /// depends on it: a parent's is where it was, and an end is never moved. A slave asks its kernel
    /// when it has taken the whole packet.
    ///
    /// - Parameter bits: `MessageKind.new`, `MessageKind.initsync` or none.
    @inline(__always)
    func appendUpdate(_ entry: Entry, bits: UInt8) -> Outcome {
        let isCopy = bits & MessageKind.initsync != 0
        return state.withLock { state in
            if bits == 0, amend(&state, entry) { return .appended }
            var place = 0
            let sequence = append(
                &state, isCopy: isCopy, byteCount: EntryMessage.byteCount(entry)
            ) { packet, offset in
                place = offset
                return EntryMessage.writeUpdate(entry, bits: bits, &packet, at: offset)
            }
            guard sequence != nil else { return .full }
            open.set(entry.key, isCopy ? 0 : place)
            return .appended
        }
    }

    /// Appends that an entry is gone. What the open packet says of it stays: slaves of a partial
    /// master heed the end of what they were told of.
    @inline(__always)
    func appendDelete(_ key: Key) -> Outcome {
        state.withLock { state in
            open.set(key, 0)
            return append(&state, isCopy: false, byteCount: KeyPart.byteCount(key)) {
                packet, offset in
                EntryMessage.writeDelete(key, &packet, at: offset)
            } != nil ? .appended : .full
        }
    }

    /// Appends an expectation.
    ///
    /// - Parameter bits: `MessageKind.initsync` or none.
    func appendUpdate(_ expectation: Expectation, bits: UInt8) -> Outcome {
        let isCopy = bits & MessageKind.initsync != 0
        return state.withLock { state in
            append(&state, isCopy: isCopy, byteCount: ExpectationMessage.byteCount(expectation)) {
                packet, offset in
                ExpectationMessage.writeUpdate(expectation, bits: bits, &packet, at: offset)
            } != nil ? .appended : .full
        }
    }

    /// Appends that an expectation is gone.
    func appendDelete(_ expectation: Expectation) -> Outcome {
        state.withLock { state in
            append(
                &state, isCopy: false,
                byteCount: ExpectationMessage.deleteByteCount(expectation)
            ) { packet, offset in
                ExpectationMessage.writeDelete(expectation, &packet, at: offset)
            } != nil ? .appended : .full
        }
    }

    /// Appends the begin or the end of an initsync, as the last message of its packet.
    ///
    /// - Returns: the sequence number of the packet it is in; nil if the ring is full.
    func append(_ bracket: Bracket, _ type: MessageKind.MessageType) -> UInt64? {
        state.withLock { state in
            let sequence = append(&state, isCopy: false, byteCount: Bracket.byteCount) {
                packet, offset in
                bracket.write(type, &packet, at: offset)
            }
            if sequence != nil { close(&state) }
            return sequence
        }
    }

    /// Closes the open packet if there is anything in it.
    func flush() {
        state.withLock { if $0.messageCount > 0 { close(&$0) } }
    }

    /// Makes packets smaller than a slot, for a sync device whose MTU has become less.
    ///
    /// - Parameter byteCount: at least a header and one message; more than a slot is a slot.
    func limitPackets(to byteCount: Int) {
        precondition(byteCount >= PacketHeader.byteCount + Message.maximumByteCount)
        packetLimit.store(min(byteCount, slotByteCount), ordering: .relaxed)
    }

    /// Gives up on what has been appended, as some of it is too large for a path, and makes packets
    /// smaller: slaves that lack any of it will ask for the table.
    ///
    /// - Parameter byteCount: of the largest packet from now on, its envelope included.
    func giveUp(above byteCount: Int) {
        state.withLock { state in
            let isSealed = slots.content(sent.load(ordering: .acquiring)).isSealed
            limitPackets(to: byteCount - (isSealed ? PacketSlots.room : 0))
            close(&state)
            floor.store(state.open, ordering: .releasing)
        }
    }

    /// What has been appended is for nobody any more: it is not asked for, nor sent again.
    func forgetBacklog() {
        state.withLock { state in
            close(&state)
            floor.store(state.open, ordering: .releasing)
        }
    }

    @inline(__always)
    private func amend(_ state: inout State, _ entry: Entry) -> Bool {
        let place = open.offset(of: entry.key)
        guard place != 0 else { return false }
        var packet = slots.packet(state.open).mutableBytes
        return EntryMessage.amend(entry, &packet, at: place)
    }

    /// - Parameter byteCount: what `write` will write; asked only where the largest message would not
    ///   fit.
    @inline(__always)
    private func append(
        _ state: inout State, isCopy: Bool, byteCount: @autoclosure () -> Int,
        _ write: (inout MutableRawSpan, Int) -> Int
    ) -> UInt64? {
        let limit = packetLimit.load(ordering: .relaxed)
        if state.length + Message.maximumByteCount > limit, state.length + byteCount() > limit {
            close(&state)
        }
        if state.messageCount == 0 {
            let unsent = state.open - 1 - sent.load(ordering: .acquiring)
            // The initsync leaves half the ring to the live stream.
            guard unsent < UInt64(isCopy ? slotCount / 2 : slotCount) else { return nil }
        }
        if isCopy { state.hasCopy = true }
        var packet = slots.packet(state.open).mutableBytes
        state.length += write(&packet, state.length)
        state.messageCount += 1
        state.messages += 1
        return state.open
    }

    private func close(_ state: inout State) {
        guard state.messageCount > 0 else { return }
        slots.close(
            state.open, length: state.length, messageCount: state.messageCount,
            flags: flags.current)
        // The sleeping sender and this thread each store, then load the other's word: without a
        // total order both could miss the other, and the packet would wait for the announcement.
        closed.store(state.open, ordering: .sequentiallyConsistent)
        state.open += 1
        state.length = PacketHeader.byteCount
        state.messageCount = 0
        if state.hasCopy { state.walked += 1 }
        state.hasCopy = false
        open.removeAll()
        guard senderSleeps.load(ordering: .sequentiallyConsistent) else { return }
        if isListenerSending.load(ordering: .sequentiallyConsistent) {
            let unsent = state.open - 1 - sent.load(ordering: .acquiring)
            guard unsent >= Self.wakeThreshold else { return }
        }
        wake?.signal()
    }
}
