// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct SessionGateTests {
    /// A node: its session, its counter, its gate.
    private final class Node {
        let session: SealSessionID
        var gate: SessionGate
        private var counter: UInt64 = 0

        init(_ nodeID: UInt8, salt: UInt64, seed: UInt64 = 1) throws {
            session = SealSessionID(nodeID: nodeID, salt: salt)
            let chance = Chance(seed: seed &+ salt)
            gate = try SessionGate(own: session, reach: 1_000) {
                UInt64(chance.below(1 << 31)) << 31 | UInt64(chance.below(1 << 31)) | 1
            }
        }

        /// A packet's counter.
        func next() -> UInt64 {
            counter += 1
            return counter
        }
    }

    /// A HELLO on its way, or recorded.
    private struct Message {
        let hello: SealHello
        let session: SealSessionID
        let counter: UInt64
    }

    private static let millisecond = Duration.millisecond

    /// A packet of one node arrives at another; what that says goes back and forth until nobody says
    /// anything.
    ///
    /// - Returns: the verdict, and the HELLOs that were said, as a listener records them.
    @discardableResult
    private static func packet(
        _ sender: Node, _ receiver: Node, now: Instant
    ) -> (SessionGate.Verdict, [Message]) {
        let verdict = receiver.gate.take(sender.session, sender.next(), now: now)
        var recorded: [Message] = []
        guard case .unproven(let hello?) = verdict else { return (verdict, []) }
        var (from, to, said) = (receiver, sender, hello)
        while recorded.count < 10 {
            let message = Message(hello: said, session: from.session, counter: from.next())
            recorded.append(message)
            guard let reply = to.gate.take(said, from.session, message.counter, now: now) else {
                return (verdict, recorded)
            }
            (from, to, said) = (to, from, reply)
        }
        Issue.record("a conversation without an end")
        return (verdict, recorded)
    }

    @Test func aNodeIsBelievedWhenItHasAnswered() throws {
        let (one, two) = (try Node(1, salt: 11), try Node(2, salt: 22))
        let (verdict, said) = Self.packet(one, two, now: 0)
        guard case .unproven(.some) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        // Question, answer with a question, answer: both know each other.
        #expect(said.count == 3)
        #expect(said.allSatisfy { $0.hello != SealHello(receiverSalt: 0, challenge: 0, answer: 0) })
        #expect(two.gate.isProven(one.session) && one.gate.isProven(two.session))
        #expect(Self.packet(one, two, now: 1).0 == .passes)
        #expect(Self.packet(two, one, now: 1).0 == .passes)
    }

    /// On a node that knows the sender: nothing passes twice, HELLOs are not answered twice.
    @Test func recordedPacketsDoNotPassAgain() throws {
        let (one, two) = (try Node(1, salt: 11), try Node(2, salt: 22))
        let (_, said) = Self.packet(one, two, now: 0)
        var counters: [UInt64] = []
        for _ in 0..<5 {
            counters.append(one.next())
            #expect(two.gate.take(one.session, counters[counters.count - 1], now: 1) == .passes)
        }
        for counter in 0...counters[4] {
            #expect(two.gate.take(one.session, counter, now: 2) == .replayed)
            #expect(!two.gate.mayPass(one.session, counter))
        }
        for message in said {
            let receiver = message.session == one.session ? two : one
            #expect(
                receiver.gate.take(message.hello, message.session, message.counter, now: 3) == nil)
        }
        #expect(Self.packet(one, two, now: 4).0 == .passes)
    }

    /// On a node that has just booted: recordings of everything that was ever said, packets and
    /// HELLOs, to itself before and to others, bring about questions and nothing else.
    @Test func recordingsDoNotPassAtANodeThatKnowsNothing() throws {
        let (one, two) = (try Node(1, salt: 11), try Node(2, salt: 22))
        var recorded = Self.packet(one, two, now: 0).1
        recorded += Self.packet(two, one, now: 0).1
        let three = try Node(3, salt: 33)
        recorded += Self.packet(one, three, now: 0).1
        let last = one.next()

        for booted in [try Node(2, salt: 23, seed: 9), try Node(4, salt: 44)] {
            for round in 0..<50 {
                let now = UInt64(round) * Self.millisecond
                for counter in 1...last {
                    guard case .unproven = booted.gate.take(one.session, counter, now: now) else {
                        Issue.record("counter \(counter) passes")
                        return
                    }
                }
                for message in recorded {
                    #expect(
                        booted.gate.take(
                            message.hello, message.session, message.counter, now: now) == nil)
                }
            }
            #expect(!booted.gate.isProven(one.session))
            // The node itself is believed at once.
            Self.packet(one, booted, now: 10 * Duration.second)
            #expect(booted.gate.isProven(one.session))
        }
    }

    /// A node that was started again is known by its new salt; its earlier start is over, with
    /// everything that was recorded of it.
    @Test func anEarlierStartIsOver() throws {
        let (before, two) = (try Node(1, salt: 11), try Node(2, salt: 22))
        let said = Self.packet(before, two, now: 0).1
        let recorded = before.next()
        let after = try Node(1, salt: 12)
        Self.packet(after, two, now: 1)
        #expect(two.gate.isProven(after.session) && !two.gate.isProven(before.session))
        guard case .unproven = two.gate.take(before.session, recorded, now: 2) else {
            Issue.record("the earlier start still passes")
            return
        }
        for message in said where message.session == before.session {
            _ = two.gate.take(message.hello, message.session, message.counter, now: 3)
        }
        #expect(two.gate.isProven(after.session) && !two.gate.isProven(before.session))
        #expect(Self.packet(after, two, now: 4).0 == .passes)
    }

    /// Recordings of three earlier starts, as fast as they can be sent, do not keep the present one
    /// out.
    @Test func recordingsDoNotKeepANodeOut() throws {
        let two = try Node(2, salt: 22)
        let one = try Node(1, salt: 11)
        var asked = 0
        for step in 0..<10_000 as Range<UInt64> {
            let now = step * Self.millisecond / 10
            for salt in 101...103 as ClosedRange<UInt64> {
                let verdict = two.gate.take(
                    SealSessionID(nodeID: 1, salt: salt), step + 1, now: now)
                if verdict != .unproven(nil) { asked += 1 }
            }
        }
        // 20 ms, 40, 80 ... 1 s: a second of it is a few questions, not ten thousand.
        #expect(asked <= 3 * 7)
        Self.packet(one, two, now: 1_000 * Self.millisecond)
        #expect(two.gate.isProven(one.session))
    }

    @Test func questionsAreAnsweredToAnExtent() throws {
        let one = try Node(1, salt: 11)
        var answers = 0
        for number in 0..<10_000 as Range<UInt64> {
            let asker = SealSessionID(nodeID: 9, salt: 1_000 + number)
            let hello = SealHello(receiverSalt: 11, challenge: 5, answer: 0)
            if one.gate.take(hello, asker, 1, now: number) != nil { answers += 1 }
        }
        #expect(answers == Int(SessionGate.answersPerSecond))
        let hello = SealHello(receiverSalt: 11, challenge: 5, answer: 0)
        let asker = SealSessionID(nodeID: 9, salt: 7)
        #expect(one.gate.take(hello, asker, 1, now: 2 * Duration.second)?.answer == 5)
    }

    /// What is for an earlier start of this node, for another one or of its own is not answered.
    @Test func onlyQuestionsForThisStartAreAnswered() throws {
        let one = try Node(1, salt: 11)
        let asker = SealSessionID(nodeID: 2, salt: 22)
        for salt in [0, 10, 12, 22] as [UInt64] {
            let hello = SealHello(receiverSalt: salt, challenge: 5, answer: 0)
            #expect(one.gate.take(hello, asker, 1, now: 0) == nil)
        }
        let hello = SealHello(receiverSalt: 11, challenge: 5, answer: 0)
        #expect(one.gate.take(hello, SealSessionID(nodeID: 1, salt: 99), 1, now: 0) == nil)
        #expect(
            one.gate.take(SealSessionID(nodeID: 1, salt: 99), 1, now: 0) == .unproven(nil))
        // An answer that nobody has asked for, and a guess at one, prove nothing.
        for answer in [0, 1, 5] as [UInt64] {
            let hello = SealHello(receiverSalt: 11, challenge: 0, answer: answer)
            #expect(one.gate.take(hello, asker, 2, now: 0) == nil)
            #expect(!one.gate.isProven(asker))
        }
    }
}
