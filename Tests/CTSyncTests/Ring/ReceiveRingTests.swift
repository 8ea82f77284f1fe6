// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct ReceiveRingTests {
    /// In a class, as the testing macros want copies of what they look at.
    private final class Ring {
        private var ring: ReceiveRing

        init(slotCount: Int, slotByteCount: Int) throws {
            ring = try ReceiveRing(slotCount: slotCount, slotByteCount: slotByteCount)
        }

        var expected: UInt64 { ring.expected }
        var highest: UInt64 { ring.highest }
        var hasGap: Bool { ring.hasGap }

        func reset(expected: UInt64) { ring.reset(expected: expected) }
        func exists(_ sequence: UInt64) { ring.exists(sequence) }
        func advance() { ring.advance() }
        func skip(to sequence: UInt64) -> UInt64 { ring.skip(to: sequence) }
        func takeKept(_ body: (RawSpan) -> Void) -> Bool {
            guard let kept = ring.kept else { return false }
            body(kept.bytes)
            ring.advancePastKept()
            return true
        }

        func accept(_ sequence: UInt64, _ bytes: [UInt8]? = nil) -> ReceiveRing.Verdict {
            let packet = bytes ?? ReceiveRingTests.packet(sequence)
            return ring.accept(sequence, packet.span.bytes)
        }

        func missing(maximum: Int = 64) -> [SequenceRange] {
            var ranges: [SequenceRange] = []
            ring.forEachMissing(maximum: maximum) { ranges.append($0) }
            return ranges
        }
    }

    private static func packet(_ sequence: UInt64) -> [UInt8] {
        [UInt8(truncatingIfNeeded: sequence), UInt8(truncatingIfNeeded: sequence >> 8), 7]
    }

    @Test func inOrderNothingIsKept() throws {
        let ring = try Ring(slotCount: 8, slotByteCount: 64)
        for sequence in 1...100 as ClosedRange<UInt64> {
            #expect(ring.accept(sequence) == .next)
            ring.advance()
            #expect(!ring.hasGap)
            #expect(!ring.takeKept { _ in })
        }
        #expect(ring.expected == 101)
        #expect(ring.highest == 100)
    }

    @Test func earlyPacketsWaitForTheirTurn() throws {
        let ring = try Ring(slotCount: 8, slotByteCount: 64)
        ring.reset(expected: 10)
        #expect(ring.accept(12) == .kept)
        #expect(ring.accept(11) == .kept)
        #expect(ring.accept(14) == .kept)
        #expect(ring.accept(12) == .duplicate)
        #expect(ring.accept(9) == .duplicate)
        #expect(ring.hasGap)
        #expect(!ring.takeKept { _ in })
        #expect(
            ring.missing()
                == [SequenceRange(first: 10, count: 1), SequenceRange(first: 13, count: 1)])
        #expect(ring.accept(10) == .next)
        ring.advance()
        var taken: [[UInt8]] = []
        while ring.takeKept({ kept in taken.append(kept.withUnsafeBytes { Array($0) }) }) {}
        #expect(taken == [Self.packet(11), Self.packet(12)])
        #expect(ring.expected == 13)
        #expect(ring.hasGap)
        #expect(ring.accept(11) == .duplicate)
    }

    @Test func whatIsTooFarAheadOrTooLongIsNotKept() throws {
        let ring = try Ring(slotCount: 8, slotByteCount: 2)
        #expect(ring.accept(8, [1, 2]) == .kept)
        #expect(ring.accept(9, [1, 2]) == .beyond)
        #expect(ring.accept(2, [1, 2, 3]) == .beyond)
        #expect(ring.highest == 9)
        // Asked for is only what would be kept.
        #expect(ring.missing() == [SequenceRange(first: 1, count: 7)])
    }

    @Test func anAnnouncementRevealsALostTail() throws {
        let ring = try Ring(slotCount: 8, slotByteCount: 64)
        #expect(!ring.hasGap)
        ring.exists(3)
        #expect(ring.hasGap)
        #expect(ring.missing() == [SequenceRange(first: 1, count: 3)])
        ring.exists(2)
        #expect(ring.highest == 3)
    }

    @Test func theRangesAreLimitedInNumber() throws {
        let ring = try Ring(slotCount: 16, slotByteCount: 64)
        for sequence in [2, 4, 6, 8] as [UInt64] { _ = ring.accept(sequence) }
        let firsts = ring.missing(maximum: 3).map(\.first)
        #expect(firsts == [1, 3, 5])
    }

    @Test(
        arguments: [
            // Skipped to, lost, what is then kept, what is then expected.
            (3, 2, [5, 6], 3), (5, 4, [5, 6], 5), (6, 5, [6], 6), (7, 6, [], 7), (100, 99, [], 100),
        ] as [(UInt64, UInt64, [UInt64], UInt64)])
    func whatHasLeftTheBacklogIsSkipped(
        _ target: UInt64, _ lost: UInt64, _ kept: [UInt64], _ expected: UInt64
    ) throws {
        let ring = try Ring(slotCount: 8, slotByteCount: 64)
        _ = ring.accept(5)
        _ = ring.accept(6)
        #expect(ring.skip(to: target) == lost)
        #expect(ring.expected == expected)
        for sequence in expected..<max(expected, 5) {
            #expect(ring.accept(sequence) == .next)
            ring.advance()
        }
        var taken: [UInt64] = []
        while ring.takeKept({ taken.append(UInt64($0.byte(0))) }) {}
        #expect(taken == kept)
        #expect(ring.hasGap == false)
    }

    @Test func aNewStreamForgetsTheOldOne() throws {
        let ring = try Ring(slotCount: 8, slotByteCount: 64)
        _ = ring.accept(3)
        ring.reset(expected: 3)
        #expect(!ring.hasGap)
        #expect(!ring.takeKept { _ in })
        #expect(ring.accept(3) == .next)
    }

    /// Any order of arrival, with losses that are asked for: everything comes out once, in order.
    @Test func everythingComesOutOnceAndInOrder() throws {
        let seed = Chance.anySeed
        let chance = Chance(seed: seed)
        for _ in 0..<200 {
            let ring = try Ring(slotCount: 8, slotByteCount: 64)
            var out: [UInt64] = []
            var waiting = (1...60).map { UInt64($0) }
            while !waiting.isEmpty {
                let sequence = waiting[chance.below(min(waiting.count, 12))]
                switch ring.accept(sequence) {
                case .next:
                    ring.advance()
                    out.append(sequence)
                    waiting.removeAll { $0 == sequence }
                case .kept, .duplicate:
                    waiting.removeAll { $0 == sequence }
                case .beyond:
                    break
                }
                while ring.takeKept({ out.append(UInt64($0.byte(0))) }) {}
            }
            #expect(out == (1...60).map { UInt64($0) }, "seed \(seed)")
        }
    }
}
