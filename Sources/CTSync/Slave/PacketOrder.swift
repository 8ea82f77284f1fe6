// SPDX-License-Identifier: GPL-2.0-or-later

/// The packets of one master's stream as a slave takes them: in order, each once. It knows which are
/// missing, when they are asked for again, and whether the stream was led astray.
///
/// 1. `restartPoint`: a master that says less than was heard has its stream begun again.
/// 2. `exists`, `skip`: what the master has named, and what it no longer has.
/// 3. `accept`: the packet's turn, or not; `advance` and `kept` go on from there.
/// 4. `watchGap` after each packet, `writeNACK` when `nackDue` has come.
///
/// Memory: the ring's slots, taken at start.
struct PacketOrder: ~Copyable {
    /// How long the master may say less than was heard before its stream is begun again.
    static let regressionPatience = 1 * Duration.second

    private var ring: ReceiveRing
    private var gap = GapTimer()
    /// The highest number that a NACK has named.
    private var highestNacked: UInt64 = 0
    /// Since when the master says less than was heard, and the most that it said since.
    private var regression: (since: Instant, sequence: UInt64)?

    /// Takes the memory.
    ///
    /// - Parameter slotCount: a power of two, 4 at least.
    /// - Throws: `SystemError` of mmap(2).
    init(slotCount: Int, slotByteCount: Int) throws(SystemError) {
        ring = try ReceiveRing(slotCount: slotCount, slotByteCount: slotByteCount)
    }

    /// The sequence number whose turn it is.
    var expected: UInt64 { ring.expected }

    /// The sequence number up to which everything is applied.
    var applied: UInt64 { ring.expected - 1 }

    /// Whether a packet that exists is missing.
    var hasGap: Bool { ring.hasGap }

    /// The kept packet whose turn it is, if it is there; valid until `advancePastKept`.
    var kept: UnsafeRawBufferPointer? { ring.kept }

    /// When missing packets are asked for (again); nil while none is missing.
    var nackDue: Instant? { gap.deadline }

    /// Checks that what is kept is where it belongs, and that no more is said of packets than is known.
    /// For tests.
    ///
    /// - Parameters:
    ///   - asks: whether what is missing is asked for.
    ///   - report: called with each contradiction.
    func assertValid(asks: Bool, _ report: (String) -> Void) {
        ring.assertValid(report)
        gap.assertValid(report)
        if highestNacked > ring.highest { report("\(highestNacked) was asked for, and is unknown") }
        if let regression, regression.sequence >= ring.highest {
            report("the master says less, and \(regression.sequence) of \(ring.highest)")
        }
        if asks, ring.hasGap != (gap.deadline != nil) {
            report(ring.hasGap ? "nobody asks for what is missing" : "nothing is missing")
        }
    }

    /// Forgets everything and expects this number next.
    mutating func begin(at expected: UInt64) {
        ring.reset(expected: expected)
        gap = GapTimer()
        highestNacked = 0
        regression = nil
    }

    /// Compares what a packet says of the stream with what was heard: one packet in the master's name
    /// has counted too far if the master says less for `regressionPatience`, in every packet.
    ///
    /// - Returns: the number at which the stream is to begin again; nil if it goes on.
    mutating func restartPoint(_ header: PacketHeader, now: Instant) -> UInt64? {
        let said = header.type == .SYNC ? header.sequence : header.sequence &+ 1
        guard said &+ 1 < ring.expected || header.sequence < ring.highest, said < ring.highest
        else {
            regression = nil
            return nil
        }
        let most = max(regression?.sequence ?? 0, said)
        let since = regression?.since ?? now
        regression = (since, most)
        return now >= since + Self.regressionPatience ? most : nil
    }

    /// Packets up to this number exist.
    mutating func exists(_ sequence: UInt64) {
        ring.exists(sequence)
    }

    /// Gives up on what is older than this number, which the master no longer has.
    ///
    /// - Returns: how many packets are lost.
    mutating func skip(to sequence: UInt64) -> UInt64 {
        ring.skip(to: sequence)
    }

    /// Decides about a packet and keeps a copy if it is early.
    mutating func accept(_ sequence: UInt64, _ packet: RawSpan) -> ReceiveRing.Verdict {
        ring.accept(sequence, packet)
    }

    /// Goes on to the next number.
    mutating func advance() {
        ring.advance()
    }

    /// Goes on to the next number after `kept` has been taken.
    mutating func advancePastKept() {
        ring.advancePastKept()
    }

    /// Whether a packet that has come was asked for again.
    func wasAskedFor(_ sequence: UInt64) -> Bool {
        sequence <= highestNacked
    }

    /// Sets the timer of the NACKs by what is missing after a packet.
    mutating func watchGap(now: Instant) {
        gap.update(hasGap: ring.hasGap, expected: ring.expected, now: now)
    }

    /// Writes the ranges of a NACK that goes out now, oldest first.
    ///
    /// - Parameter packet: room for `SequenceRange.maximumCount` of them after the header.
    /// - Returns: how many ranges.
    mutating func writeNACK(_ packet: inout MutableRawSpan, now: Instant) -> Int {
        gap.nackSent(now: now)
        var count = 0
        var highest = highestNacked
        ring.forEachMissing(maximum: SequenceRange.maximumCount) { range in
            highest = max(highest, range.first + UInt64(range.count) - 1)
            range.write(&packet, index: count)
            count += 1
        }
        highestNacked = highest
        return count
    }
}
