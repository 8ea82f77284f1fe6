// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What several slaves have lost in common is sent again once, for all of them.
@Suite struct CommonLossTests {
    private static let now = 5 * Duration.second
    private static let millisecond = Duration.millisecond

    private static func peer(_ node: UInt8, link: UInt8 = 0) -> PeerAddress {
        PeerAddress(
            address: Address(ipv4: 0xA9FE_0000 + UInt32(node)), family: .ipv4, port: 1, link: link)
    }

    /// A queue in which requests of a packet of 1,000 bytes wait for one another.
    private final class Queue {
        private var retransmission = Retransmission()

        var due: Instant? { retransmission.due }

        func ask(_ first: UInt64, _ count: UInt32, _ node: UInt8, link: UInt8 = 0, at now: Instant)
            -> Int
        {
            retransmission.request(
                SequenceRange(first: first, count: count), of: node,
                at: CommonLossTests.peer(node, link: link), kept: 1...(1 << 40), byteCount: 1_000,
                gathers: true, now: now)
        }

        func reset() { retransmission.reset() }

        /// What is due, as text: the packet, and the node or "all".
        func sent(at now: Instant) -> [String] {
            var sent: [String] = []
            while let item = retransmission.next(now: now) {
                let node = item.peer.address.low & 0xFF
                sent.append("\(item.sequence) to \(item.isForAll ? "all" : "\(node)")")
            }
            return sent
        }
    }

    @Test func whatEightSlavesLackIsSentOnce() {
        let queue = Queue()
        #expect(queue.ask(7, 2, 1, at: Self.now) == 2)
        for node in 2...8 as ClosedRange<UInt8> {
            #expect(queue.ask(7, 2, node, at: Self.now + UInt64(node)) == 0)
        }
        let due = Self.now + Retransmission.gathering
        #expect(queue.due == due)
        #expect(queue.sent(at: due - 1) == [])
        #expect(queue.sent(at: due) == ["7 to all", "8 to all"])
        // Later ones have it on the way; who asks once more has lost that too.
        #expect(queue.ask(7, 2, 5, at: due + Retransmission.pauseOfAll - 1) == 0)
        let later = due + Retransmission.pauseOfAll
        #expect(queue.ask(7, 2, 5, at: later) == 2)
        #expect(queue.sent(at: later + Retransmission.gathering) == ["7 to all", "8 to all"])
        #expect(queue.due == nil)
    }

    @Test func whatOneSlaveLacksGoesToItAlone() {
        let queue = Queue()
        #expect(queue.ask(7, 1, 1, at: Self.now) == 1)
        #expect(queue.ask(7, 1, 1, at: Self.now + 1) == 0)
        #expect(queue.ask(8, 1, 2, at: Self.now + 2) == 1)
        #expect(queue.sent(at: Self.now + Self.millisecond * 3) == ["7 to 1", "8 to 2"])
        // Another, after that: it was not sent to that one, nor perhaps to the rest.
        #expect(queue.ask(7, 1, 2, at: Self.now + Self.millisecond * 4) == 1)
        #expect(queue.sent(at: Self.now + Self.millisecond * 6) == ["7 to all"])
        let later = Self.now + Self.millisecond * 3 + Retransmission.patience
        #expect(queue.ask(8, 1, 1, at: later) == 1)
    }

    /// Eight slaves that are busy ask when they get round to it, up to 24 ms late; and one of them too
    /// early, before it could know that the packet is missing and not only late.
    @Test func whatSlavesAskForAtTheirLeisureIsSentOnce() {
        let queue = Queue()
        var sent: [String] = []
        for sequence in 10..<100 as Range<UInt64> {
            let lost = Self.now + sequence * 100 * Self.millisecond
            // One alone asks early, for all but the first; the others take 2 ms to 24 ms.
            var asked = (1...8 as ClosedRange<UInt64>).map { node in
                (node: UInt8(node), at: lost + (node * sequence * 7 % 23 + 2) * Self.millisecond)
            }
            if sequence > 10 { asked[Int(sequence % 8)].at = lost }
            asked.sort { $0.at < $1.at }
            for tick in 0..<60 as Range<UInt64> {
                let now = lost + tick * Self.millisecond
                for (node, at) in asked where at == now {
                    _ = queue.ask(sequence, 1, node, at: now)
                }
                sent += queue.sent(at: now)
            }
        }
        #expect(sent.count < 93, "\(sent.count) for 90: \(sent)")
        #expect(sent.filter { !$0.hasSuffix("all") }.count < 3)
    }

    /// A slave that asks for it again, after it went to all, has lost that too.
    @Test func whoAsksTwiceHasLostItTwice() {
        let queue = Queue()
        for node in 1...3 as ClosedRange<UInt8> { _ = queue.ask(7, 1, node, at: Self.now) }
        let went = Self.now + Retransmission.gathering
        #expect(queue.sent(at: went) == ["7 to all"])
        // For the first time: it is on the way.
        let late = went + 12 * Self.millisecond
        #expect(queue.ask(7, 1, 4, at: late) == 0)
        #expect(queue.ask(7, 1, 2, at: late) == 1)
        #expect(queue.ask(7, 1, 4, at: late + Self.millisecond) == 0)
        #expect(queue.sent(at: late + Retransmission.gathering) == ["7 to all"])
        let muchLater = late + Retransmission.gathering + Retransmission.patience
        #expect(queue.ask(7, 1, 5, at: muchLater) == 1)
    }

    /// Losses of one slave alone are its own again after a few.
    @Test func afterALossInCommonAFewGoToAll() {
        let queue = Queue()
        for node in 1...2 as ClosedRange<UInt8> { _ = queue.ask(7, 1, node, at: Self.now) }
        var sent: [String] = []
        for sequence in 8..<20 as Range<UInt64> {
            let now = Self.now + sequence * 100 * Self.millisecond
            _ = queue.ask(sequence, 1, 1, at: now)
            sent += queue.sent(at: now + Retransmission.gathering)
        }
        #expect(sent.filter { $0.hasSuffix("all") }.count == 1 + Retransmission.commonCount)
        #expect(sent.last == "19 to 1")
    }

    @Test func aNodeIsCountedOnce() {
        var nodes = NodeSet(200)
        for node in 0...255 as ClosedRange<UInt8> {
            let isNew = nodes.insert(node)
            let isNewAgain = nodes.insert(node)
            #expect(isNew == (node != 200) && !isNewAgain, "\(node)")
        }
    }

    @Test func eachLinkIsForItself() {
        let queue = Queue()
        #expect(queue.ask(7, 1, 1, link: 0, at: Self.now) == 1)
        #expect(queue.ask(7, 1, 2, link: 1, at: Self.now) == 1)
        #expect(queue.sent(at: Self.now + Self.millisecond * 3) == ["7 to 1", "7 to 2"])
    }

    /// What waited when a term ended is asked for anew in the next, whose packets have the same numbers.
    @Test func aNewTermKnowsOfNoRequests() {
        let queue = Queue()
        #expect(queue.ask(7, 1, 1, at: Self.now) == 1)
        queue.reset()
        #expect(queue.due == nil)
        #expect(queue.ask(7, 1, 1, at: Self.now + 1) == 1)
        // Nor after one in which nothing was asked for.
        for _ in 0..<2 { queue.reset() }
        #expect(queue.ask(7, 1, 1, at: Self.now + 2) == 1)
    }

    /// Two slaves are gathered on a link with multicast; one alone does not wait.
    @Test(arguments: [true, false]) func aMasterGathersForSeveral(_ isMulticast: Bool) throws {
        let master = try MasterProtocol.havingSent(3, nodeID: 5, isMulticast: isMulticast)
        func nack(_ node: UInt8, at now: Instant) -> MasterProtocol.Consequence {
            var header = PacketHeader(type: .NACK, nodeID: node, epoch: 100, sequence: 2)
            header.messageCount = 1
            let range: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]
            return PacketBytes.sealed(header, range + PacketBytes.report()).withUnsafeBytes {
                master.receive($0.bytes, from: Self.peer(node), now: now)
            }
        }
        #expect(nack(2, at: Self.now) == .sendAgain)
        #expect(master.nextAgain(now: Self.now)?.isForAll == false)
        let later = Self.now + 10 * Self.millisecond
        #expect(nack(3, at: later) == .sendAgain)
        #expect(nack(2, at: later) == (isMulticast ? .none : .sendAgain))
        let due = later + (isMulticast ? Retransmission.gathering : 0)
        #expect(master.againDue == due)
        var nodes: [UInt8] = []
        while let item = master.nextAgain(now: due) {
            nodes.append(item.isForAll ? 0 : UInt8(item.peer.address.low & 0xFF))
        }
        #expect(nodes == (isMulticast ? [0] : [3, 2]))
    }
}
