// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a master takes over: how late it is, and when it is asked for again.
@Suite struct ReceivedHandoverTests {
    private static let word = Basis(epoch: 6, sequence: 5)
    private static let begin: Instant = 100

    private static func handover() -> ReceivedHandover {
        ReceivedHandover(
            from: MasterClaim(epoch: 7, nodeID: 2), LastWords(donor: word, own: .none), now: begin)
    }

    @Test func aMessageIsAsLateAsItsBracketOrAsTheDonorsLast() {
        var handover = Self.handover()
        var message = Message()
        message.kind = MessageKind(.CONNTRACK, .UPDATE)
        #expect(handover.word(of: message) == .none)
        let earlier = Basis(epoch: 4, sequence: 1)
        handover.begin(Bracket(number: 1, basis: earlier))
        #expect(handover.word(of: message) == earlier)
        message.kind = MessageKind(rawValue: message.kind.rawValue | MessageKind.heard)
        #expect(handover.word(of: message) == Self.word)
    }

    @Test func whatDoesNotGetOnIsAskedForAgain() {
        var handover = Self.handover()
        let silence = SlaveProtocol.silence
        func isStuck(_ applied: UInt64, _ now: Instant, isAsking: Bool = false) -> Bool {
            handover.isStuck(applied: applied, isAsking: isAsking, now: now)
        }
        #expect(!isStuck(0, Self.begin + silence))
        #expect(isStuck(0, Self.begin + silence + 1))
        #expect(!isStuck(0, Self.begin + silence + 1, isAsking: true))
        #expect(!isStuck(3, Self.begin + silence + 1))
        #expect(!isStuck(3, Self.begin + 2 * silence + 1))
        #expect(isStuck(3, Self.begin + 2 * silence + 2))
        handover.restart(now: Self.begin + 2 * silence + 2)
        #expect(!isStuck(0, Self.begin + 3 * silence + 2))
        handover.end(isComplete: true)
        #expect(handover.isComplete && !isStuck(0, Self.begin + 9 * silence))
    }
}
