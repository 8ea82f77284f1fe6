// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The master's small state machines, as tables.
@Suite struct MasterTimersTests {
    private static func peer(_ number: UInt32) -> PeerAddress {
        PeerAddress(address: Address(ipv4: number), family: .ipv4, port: 1)
    }

    // MARK: InitsyncSchedule

    private enum Step {
        case request(UInt64, Bool)
        case require
        case begin(UInt32?)
        case began(UInt64)
        case ended
        case postpone(Bool)
    }

    private static func run(_ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation) {
        var schedule = InitsyncSchedule()
        for (index, step) in steps.enumerated() {
            switch step {
            case .request(let expected, let isNew):
                let answer = schedule.request(expected: expected)
                #expect(answer == isNew, "step \(index)", sourceLocation: sourceLocation)
            case .require: schedule.require()
            case .begin(let number):
                let begun = schedule.begin()
                #expect(begun == number, "step \(index)", sourceLocation: sourceLocation)
            case .began(let sequence): schedule.began(in: sequence)
            case .ended: schedule.ended()
            case .postpone(let isPostponed): schedule.isPostponed = isPostponed
            }
        }
    }

    @Test func aWalkThatASlaveWillSeeBeginServesIt() {
        Self.run([
            .begin(nil), .request(1, true), .request(1, false), .begin(1), .begin(nil),
            .began(10), .request(4, false), .request(10, false), .begin(nil), .ended,
            .request(10, false), .begin(nil),
        ])
    }

    @Test func whatIsPostponedIsNotForgotten() {
        Self.run([
            .postpone(true), .require, .begin(nil), .request(1, false), .begin(nil),
            .postpone(false), .begin(1), .began(10), .ended, .begin(nil),
        ])
    }

    @Test func aSlaveThatHasSeenTheBeginIsServedByTheNext() {
        Self.run([
            .request(1, true), .begin(1), .began(10), .request(11, true), .request(12, false),
            .begin(nil), .ended, .begin(2), .began(50), .ended, .begin(nil),
        ])
    }

    @Test func aRequiredWalkFollowsTheRunningOne() {
        Self.run([
            .require, .require, .begin(1), .began(5), .require, .ended, .begin(2), .ended,
            .begin(nil),
        ])
    }

    // MARK: Retransmission

    private final class Again {
        private var retransmission = Retransmission()

        var isEmpty: Bool { retransmission.due == nil }
        var dropped: UInt64 { retransmission.dropped }
        func reset() { retransmission.reset() }
        func request(
            _ first: UInt64, _ count: UInt32, _ peer: UInt32, _ now: Instant,
            kept: ClosedRange<UInt64> = 1...(1 << 40), byteCount: Int = 1
        ) -> Int {
            retransmission.request(
                SequenceRange(first: first, count: count), of: UInt8(peer),
                at: MasterTimersTests.peer(peer), kept: kept, byteCount: byteCount, now: now)
        }
        func all() -> [UInt64] {
            var sequences: [UInt64] = []
            while let item = retransmission.next(now: 1 << 40) { sequences.append(item.sequence) }
            return sequences
        }
    }

    @Test func thePacketsAreSentAgainInTheOrderAskedFor() {
        let again = Again()
        #expect(again.isEmpty)
        #expect(again.request(10, 3, 1, 0) == 3)
        #expect(again.request(5, 1, 1, 0) == 1)
        #expect(!again.isEmpty)
        #expect(again.all() == [10, 11, 12, 5])
        #expect(again.isEmpty)
    }

    @Test func theSamePacketGoesToTheSameSlaveOnceInAWhile() {
        let again = Again()
        #expect(again.request(10, 2, 1, 0) == 2)
        #expect(again.request(10, 3, 1, 1) == 1)
        #expect(again.request(10, 1, 2, 1) == 1)
        #expect(again.all() == [10, 11, 12, 10])
        #expect(again.request(12, 1, 1, Retransmission.pause) == 0)
        #expect(again.request(12, 1, 1, Retransmission.pause + 1) == 1)
    }

    @Test func aFullQueueDropsWhatIsAskedForBesides() {
        let again = Again()
        #expect(again.request(1, .max, 1, 0) == 4_096)
        #expect(again.request(10_000, 7, 1, 0) == 0)
        #expect(again.dropped == 7)
        #expect(again.all() == Array(1...4_096))
        again.reset()
        #expect(again.request(10_000, 7, 1, 0) == 7)
        again.reset()
        #expect(again.isEmpty)
    }

    @Test func onlyWhatIsKeptIsSentAgain() {
        let again = Again()
        #expect(again.request(1, .max, 1, 0, kept: 5...7) == 3)
        #expect(again.all() == [5, 6, 7])
        #expect(again.request(.max, 9, 1, 0, kept: 5...7) == 0)
        #expect(again.request(1, 4, 1, 0, kept: 5...7) == 0)
        #expect(again.request(6, 0, 1, 0, kept: 5...7) == 0)
    }

    @Test func aSlaveHasABudgetASecond() {
        let again = Again()
        let packet = Retransmission.bytesPerSecond / 8
        let (now, end) = (5 * Duration.second, 6 * Duration.second)
        #expect(again.request(1, 100, 1, now, byteCount: packet) == 8)
        #expect(again.request(200, 1, 1, end - 1, byteCount: packet) == 0)
        #expect(again.request(1, 2, 2, end - 1, byteCount: packet) == 2)
        #expect(again.request(200, 1, 1, end, byteCount: packet) == 1)
    }

    // MARK: InitsyncPace

    @Test func aRateInPacketsPerSecondIsKept() {
        var now = 1 * Duration.second
        var pace = InitsyncPace(packetsPerSecond: 1_000, now: now)
        var packets: UInt64 = 0
        let end = now + Duration.second
        while now < end {
            packets += 5
            now = max(now, pace.spend(5, now: now))
        }
        #expect((1_000...1_005).contains(packets))
    }

    @Test func aPauseIsNotMadeUpFor() {
        var pace = InitsyncPace(packetsPerSecond: 1_000, now: Duration.second)
        let now = 9 * Duration.second
        let next = pace.spend(10, now: now)
        // Of the pause 5 ms count, of the packets 10.
        #expect(next == now + 5 * Duration.millisecond)
    }

    @Test func theRateMayChangeOnTheWay() {
        var pace = InitsyncPace(packetsPerSecond: 1_000, now: 0)
        pace.set(packetsPerSecond: 10)
        #expect(pace.spend(1, now: 0) == 100 * Duration.millisecond)
        pace.set(packetsPerSecond: 0)
        let next = pace.spend(2, now: 0)
        // What was to be paid at the old rate is forgotten.
        #expect(next == 1 * Duration.millisecond)
    }

    /// Without a number it is faster and faster: what bounds it is what the slaves have applied.
    @Test func withoutANumberItGetsFaster() {
        var pace = InitsyncPace(packetsPerSecond: 0, now: 0)
        var now: Instant = 0
        let costs = (0..<12).map { _ in
            now += 20 * Duration.millisecond
            return pace.spend(1, now: now) + 5 * Duration.millisecond - now
        }
        #expect(costs.prefix(3) == [250_000, 125_000, 62_500])
        #expect(costs.last == 1_000)
    }
}
