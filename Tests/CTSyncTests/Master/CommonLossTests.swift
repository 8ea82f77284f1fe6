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
        #expect(queue.sent(at: later + Retransmission.gathering) == ["7 to 5", "8 to 5"])
        #expect(queue.due == nil)
    }

    @Test func whatOneSlaveLacksGoesToItAlone() {
        let queue = Queue()
        #expect(queue.ask(7, 1, 1, at: Self.now) == 1)
        #expect(queue.ask(7, 1, 1, at: Self.now + 1) == 0)
        #expect(queue.ask(8, 1, 2, at: Self.now + 2) == 1)
        #expect(queue.sent(at: Self.now + Self.millisecond * 3) == ["7 to 1", "8 to 2"])
        // Another, after that: it was not sent to that one.
        #expect(queue.ask(7, 1, 2, at: Self.now + Self.millisecond * 4) == 1)
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
