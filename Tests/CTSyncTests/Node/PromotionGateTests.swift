// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct PromotionGateTests {
    /// Asks a gate at each of these times, with this reason; whether it had to wait each time.
    private func waits(
        seconds: UInt32, _ questions: [(SlaveProtocol.OutOfSync?, Instant)]
    ) -> [Bool] {
        var gate = PromotionGate(seconds: seconds)
        return questions.map { gate.mustWait($0.0, now: $0.1) }
    }

    @Test func withoutPatienceNothingWaits() {
        #expect(waits(seconds: 0, [(.initsync, 1)]) == [false])
    }

    @Test func waitsForAnInitsyncButNotForever() {
        let second = Duration.second
        let questions: [(SlaveProtocol.OutOfSync?, Instant)] = [
            (.initsync, 1), (.gap, second), (.initsync, 1 + 2 * second),
        ]
        #expect(waits(seconds: 2, questions) == [true, true, false])
    }

    @Test func doesNotWaitForWhatWillNotEnd() {
        let reasons: [SlaveProtocol.OutOfSync?] = [
            nil, .noMaster, .silent, .insufficient, .refused, .full,
        ]
        for reason in reasons { #expect(waits(seconds: 2, [(reason, 1)]) == [false]) }
    }

    @Test func endsWithTheInitsync() {
        #expect(waits(seconds: 2, [(.initsync, 1), (nil, 2)]) == [true, false])
    }

    @Test func anotherOrderForgetsTheOneThatWaits() {
        var gate = PromotionGate(seconds: 2)
        let waited = gate.mustWait(.initsync, now: 3)
        gate.cancel()
        #expect(waited)
        #expect(gate.deadline == nil)
    }
}
