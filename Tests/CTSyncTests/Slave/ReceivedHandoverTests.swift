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

    @Test func whoIsAskedAgainGoesOnWithItsStreamForTwoSeconds() {
        var streams = TakenStreams()
        let (one, other) = (MasterClaim(epoch: 7, nodeID: 2), MasterClaim(epoch: 7, nodeID: 3))
        #expect(streams.next(of: one, now: 0) == 1)
        streams.took(one, before: 5, now: 0)
        streams.took(one, before: 9, now: 10)
        #expect(streams.next(of: one, now: 10) == 9 && streams.next(of: other, now: 10) == 1)
        let later = MasterClaim(epoch: 8, nodeID: 2)
        #expect(streams.next(of: later, now: 10) == 1)
        #expect(streams.next(of: one, now: 10 + 2 * Duration.second) == 1)
        streams.forget(one)
        #expect(streams.next(of: one, now: 10) == 1)
    }

    /// A master that takes over from node 2.
    private struct Taker {
        let slave: SlaveProtocol

        init() throws {
            slave = try SlaveProtocol.sample(nodeID: 1)
            ask()
        }

        func ask() {
            slave.takeOver(
                from: MasterClaim(epoch: 100, nodeID: 2), at: PacketBytes.peer,
                LastWords(donor: .none, own: .none), now: ReceivedHandoverTests.begin)
        }

        /// Takes a bracket.
        func take(
            _ sequence: UInt64, _ type: MessageKind.MessageType, _ number: UInt32,
            oldest: UInt64 = 1, isContinuing: Bool = false
        ) {
            let packet = PacketBytes.sync(
                sequence, [PacketBytes.bracket(type, number, isContinuing: isContinuing)], from: 2,
                oldest: oldest, flags: .handover)
            slave.receive(
                packet.span.bytes, from: PacketBytes.peer, now: ReceivedHandoverTests.begin,
                wallMicroseconds: 0)
        }
    }

    /// A donor takes a report for the word that all was taken, also if it hears it before the request.
    @Test func whoAsksForMoreDoesNotReportThatItHasAll() throws {
        let taker = try Taker()
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 2_048, alignment: 8)
        defer { target.deallocate() }
        func said() throws -> Set<PacketHeader.PacketType> {
            taker.slave.reportSoon(now: Self.begin)
            var types: Set<PacketHeader.PacketType> = []
            while let (length, _) = taker.slave.output(
                now: Self.begin, wallMicroseconds: 0, target)
            {
                types.insert(try PacketBytes.header(of: Array(target[..<length])).type)
            }
            return types
        }
        taker.take(1, .UPDATE, 1)
        #expect(try said() == [.NACK])
        // Two are lost.
        taker.take(4, .DELETE, 1, oldest: 4)
        #expect(try !taker.slave.hasTaken && said() == [.SLAVE_INITSYNC])
        #expect(try said() == [.SLAVE_INITSYNC])
        taker.take(5, .UPDATE, 2, oldest: 4)
        taker.take(6, .DELETE, 2, oldest: 4)
        #expect(try taker.slave.hasTaken && said() == [.NACK])
    }

    /// The begin was heard, but before it was asked for again, as nothing else came for so long.
    @Test func whatIsHeardFromItsMidstIsNotAll() throws {
        let taker = try Taker()
        taker.take(50, .UPDATE, 1, oldest: 50)
        for turn in 1...2 as ClosedRange<UInt64> {
            taker.slave.askAgain(now: Self.begin + turn * (SlaveProtocol.silence + 1))
        }
        taker.take(56, .UPDATE, 1, oldest: 56, isContinuing: true)
        taker.take(57, .DELETE, 1, oldest: 56)
        #expect(!taker.slave.hasTaken)
        taker.take(58, .UPDATE, 2, oldest: 56)
        taker.take(59, .UPDATE, 2, oldest: 56, isContinuing: true)
        taker.take(60, .DELETE, 2, oldest: 56)
        #expect(taker.slave.hasTaken)
    }

    /// Packets of a handover that come once more when the node is asked again are not those of the next.
    @Test func whatComesLateOnceMoreEndsNoOtherHandover() throws {
        let taker = try Taker()
        taker.take(1, .UPDATE, 1)
        taker.take(2, .DELETE, 1)
        #expect(taker.slave.hasTaken)
        taker.ask()
        taker.take(1, .UPDATE, 1)
        taker.take(2, .DELETE, 1)
        #expect(!taker.slave.hasTaken)
        taker.take(3, .UPDATE, 2)
        taker.take(4, .DELETE, 2)
        #expect(taker.slave.hasTaken)
    }
}
