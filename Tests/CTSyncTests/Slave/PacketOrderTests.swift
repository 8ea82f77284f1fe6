// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The order of a stream, what is missing of it, and when it is begun anew.
@Suite struct PacketOrderTests {
    private static let packet = [UInt8](repeating: 7, count: 40)

    private static func order() throws -> PacketOrder {
        try PacketOrder(slotCount: 8, slotByteCount: 100)
    }

    private static func header(
        _ type: PacketHeader.PacketType, _ sequence: UInt64
    ) -> PacketHeader {
        PacketHeader(type: type, nodeID: 1, epoch: 100, sequence: sequence)
    }

    @Test func whatIsMissingIsNamedOnceItsTimeHasComeAndRecovered() throws {
        var order = try Self.order()
        order.begin(at: 10)
        #expect(order.applied == 9 && !order.hasGap)
        #expect(order.accept(12, Self.packet.span.bytes) == .kept)
        order.watchGap(now: 100)
        #expect(order.hasGap && order.nackDue == 100 + GapTimer.reorderWait)
        #expect(order.wasAskedFor(10) == false)

        var nack = [UInt8](repeating: 0, count: 400)
        var span = nack.mutableSpan
        var bytes = span.mutableBytes
        #expect(order.writeNACK(&bytes, now: 200) == 1)
        let range = try SequenceRange.read(nack.span.bytes, index: 0)
        #expect(range.first == 10 && range.count == 2)
        #expect(order.nackDue == 200 + GapTimer.shortest)
        // Twelve is there: only what was named was asked for.
        #expect(order.wasAskedFor(11) && !order.wasAskedFor(12))

        for sequence in UInt64(10)...11 {
            #expect(order.accept(sequence, Self.packet.span.bytes) == .next)
            order.advance()
        }
        #expect(order.kept.map { Array($0) } == Self.packet)
        order.advancePastKept()
        order.watchGap(now: 300)
        #expect(order.applied == 12 && !order.hasGap && order.nackDue == nil)
    }

    /// A master that says less than was heard is not believed at once, nor if it says more again.
    @Test func aStreamThatWasLedAstrayIsBegunAnewAfterASecond() throws {
        var order = try Self.order()
        order.begin(at: 5)
        order.exists(1_000)
        let end = 10 + PacketOrder.regressionPatience
        #expect(order.restartPoint(Self.header(.SYNC, 6), now: 10) == nil)
        #expect(order.restartPoint(Self.header(.SYNC, 8), now: end - 1) == nil)
        // It goes on with what was heard: then nothing was wrong.
        #expect(order.restartPoint(Self.header(.SYNC, 1_000), now: end) == nil)
        #expect(order.restartPoint(Self.header(.SYNC, 7), now: end) == nil)
        let later = end + PacketOrder.regressionPatience
        // An announcement names the last packet: the next begins the stream. The most said counts.
        #expect(order.restartPoint(Self.header(.MASTER_ANNOUNCE, 8), now: later - 1) == nil)
        #expect(order.restartPoint(Self.header(.SYNC, 8), now: later) == 9)
        order.begin(at: 9)
        #expect(order.expected == 9 && !order.hasGap)
        #expect(order.restartPoint(Self.header(.SYNC, 9), now: later) == nil)
    }

    /// What a stream before had asked for is not recovered by the next one.
    @Test func aNewStreamKnowsNothingOfTheOldOne() throws {
        var order = try Self.order()
        order.exists(4)
        order.watchGap(now: 1)
        var nack = [UInt8](repeating: 0, count: 400)
        var span = nack.mutableSpan
        var bytes = span.mutableBytes
        #expect(order.writeNACK(&bytes, now: 2) == 1)
        #expect(order.wasAskedFor(3) == true)
        order.begin(at: 2)
        #expect(!order.wasAskedFor(3) && order.nackDue == nil && order.applied == 1)
    }
}
