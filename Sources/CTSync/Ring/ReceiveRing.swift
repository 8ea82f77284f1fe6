// SPDX-License-Identifier: GPL-2.0-or-later

/// A slave's ring: puts packets in order and knows which are missing.
///
/// A packet whose turn it is never enters it: `accept` answers `.next` and the caller takes it from
/// where it was received. One that comes early is copied to slot n modulo the number of slots,
/// until those before it are there. What is further ahead than the ring is long is not kept; the
/// master is asked for it later.
struct ReceiveRing: ~Copyable {
    /// What is to be done with a packet that has just come.
    enum Verdict: Sendable {
        /// Its turn: take it, then call `advance`.
        case next
        /// Early: kept.
        case kept
        /// It, or its copy, has come before.
        case duplicate
        /// Too far ahead to be kept.
        case beyond
    }

    /// The sequence number whose turn it is.
    private(set) var expected: UInt64 = 1
    /// The highest sequence number known to exist.
    private(set) var highest: UInt64 = 0

    private let slotCount: Int
    private let slotByteCount: Int
    private let memory: MappedMemory
    private let sequences: UnsafeMutablePointer<UInt64>
    private let lengths: UnsafeMutablePointer<UInt16>

    /// Takes the memory of a ring: a power of two of slots.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(slotCount: Int, slotByteCount: Int) throws(SystemError) {
        precondition(slotCount >= 4 && slotCount & (slotCount - 1) == 0)
        self.slotCount = slotCount
        self.slotByteCount = slotByteCount
        memory = try MappedMemory(byteCount: slotCount * slotByteCount)
        sequences = .allocate(capacity: slotCount)
        sequences.initialize(repeating: 0, count: slotCount)
        lengths = .allocate(capacity: slotCount)
        lengths.initialize(repeating: 0, count: slotCount)
    }

    deinit {
        sequences.deallocate()
        lengths.deallocate()
    }

    /// Checks that what is kept is where it belongs. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        if highest &+ 1 < expected { report("\(expected) is expected after \(highest)") }
        for index in 0..<slotCount where sequences[index] != 0 {
            let place = Int(truncatingIfNeeded: sequences[index]) & (slotCount - 1)
            if place != index { report("\(sequences[index]) is kept at \(index)") }
            if sequences[index] > highest { report("\(sequences[index]) is kept, and unknown") }
            if Int(lengths[index]) > slotByteCount { report("\(lengths[index]) bytes are kept") }
        }
    }

    /// Forgets everything and expects this number next.
    mutating func reset(expected: UInt64) {
        self.expected = expected
        highest = expected - 1
        sequences.update(repeating: 0, count: slotCount)
    }

    /// Records that packets up to this number exist.
    mutating func exists(_ sequence: UInt64) {
        highest = max(highest, sequence)
    }

    /// Decides about a packet and keeps a copy if it is early.
    ///
    /// - Parameter packet: a whole packet, at most a slot's bytes; a longer one is `.beyond`.
    mutating func accept(_ sequence: UInt64, _ packet: RawSpan) -> Verdict {
        exists(sequence)
        if sequence < expected { return .duplicate }
        if sequence == expected { return .next }
        guard sequence - expected < UInt64(slotCount), packet.byteCount <= slotByteCount else {
            return .beyond
        }
        let index = Int(truncatingIfNeeded: sequence) & (slotCount - 1)
        if sequences[index] == sequence { return .duplicate }
        let slot = UnsafeMutableRawBufferPointer(
            start: memory.base + index * slotByteCount, count: slotByteCount)
        packet.withUnsafeBytes { slot.copyMemory(from: $0) }
        sequences[index] = sequence
        lengths[index] = UInt16(packet.byteCount)
        return .kept
    }

    /// Goes on to the next number.
    mutating func advance() {
        expected += 1
    }

    /// The kept packet whose turn it is, if it is there; valid until `advancePastKept`.
    var kept: UnsafeRawBufferPointer? {
        let index = Int(truncatingIfNeeded: expected) & (slotCount - 1)
        guard sequences[index] == expected else { return nil }
        return UnsafeRawBufferPointer(
            start: memory.base + index * slotByteCount, count: Int(lengths[index]))
    }

    /// Goes on to the next number after `kept` has been taken.
    mutating func advancePastKept() {
        sequences[Int(truncatingIfNeeded: expected) & (slotCount - 1)] = 0
        advance()
    }

    /// Whether a packet that exists is missing.
    var hasGap: Bool { expected <= highest }

    /// Gives up on what is older than this number, which the master no longer has.
    ///
    /// - Returns: how many packets are lost.
    mutating func skip(to sequence: UInt64) -> UInt64 {
        var lost: UInt64 = 0
        let kept = min(sequence, expected + UInt64(slotCount))
        while expected < kept {
            let index = Int(truncatingIfNeeded: expected) & (slotCount - 1)
            // A kept packet between two lost ones is lost with them: order is all it had.
            if sequences[index] == expected { sequences[index] = 0 }
            lost += 1
            expected += 1
        }
        lost += sequence - expected
        expected = sequence
        highest = max(highest, expected - 1)
        return lost
    }

    /// Calls `body` with each run of missing numbers within the ring's reach, oldest first, at most
    /// `maximum` of them.
    func forEachMissing(maximum: Int, _ body: (SequenceRange) -> Void) {
        guard hasGap else { return }
        let last = min(highest, expected + UInt64(slotCount) - 1)
        var found = 0
        var sequence = expected
        while sequence <= last, found < maximum {
            guard isMissing(sequence) else {
                sequence += 1
                continue
            }
            let first = sequence
            while sequence <= last, isMissing(sequence) { sequence += 1 }
            body(SequenceRange(first: first, count: UInt32(sequence - first)))
            found += 1
        }
    }

    private func isMissing(_ sequence: UInt64) -> Bool {
        sequences[Int(truncatingIfNeeded: sequence) & (slotCount - 1)] != sequence
    }
}
