// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct LinkOpenerTests {
    private let start = 10 * Duration.second

    @Test func aPacketPassesOnceBothHaveProvedThemselves() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        #expect(two.open(one.packet(now: start), from: one, now: start) == nil)
        #expect(two.report.unproven == 1)
        // The question goes to where the packet came from, and is no larger.
        let question = try #require(two.port.sent.first)
        #expect(question.peer == one.peer && question.datagram.count < 120)
        SealedNode.meet(one, two, now: start + Duration.second)
        let packet = one.packet(sequence: 8, now: start)
        let opened = try #require(two.open(packet, from: one, now: start))
        #expect(try PacketHeader.read(opened.span.bytes, nil).sequence == 8)
        #expect(two.report.opened == 1)
        // The other way needs no more proof.
        #expect(one.open(two.packet(now: start), from: two, now: start) != nil)
    }

    /// Not even what a node with the key sends, which nobody knows yet.
    @Test(arguments: SealEnvelope.Kind.allCases)
    func noAnswerIsLargerThanWhatItAnswers(_ kind: SealEnvelope.Kind) throws {
        let one = try SealedNode(1, keys: [1])
        var answers = 0
        for length in 0...100 {
            let two = try SealedNode(2, keys: [1])
            var content = [UInt8](repeating: 0, count: length)
            if length >= SealHello.byteCount {
                // It is for the node that opens it, and asks.
                let salt = two.seal.session.id.salt
                for byte in 0..<8 {
                    content[byte] = UInt8(truncatingIfNeeded: salt >> (56 - 8 * byte))
                }
                content[15] = 1
            }
            var datagram = [UInt8](repeating: 0, count: LinkSealer.room) + content
            datagram.withUnsafeMutableBytes { one.sealer.always.seal($0, kind) }
            #expect(two.open(datagram, from: one, now: start) == nil)
            for answer in two.port.take() {
                answers += 1
                #expect(answer.count <= datagram.count, "\(kind) of \(length) bytes")
            }
        }
        #expect(answers == 101 - SealHello.byteCount)
    }

    @Test func aPacketPassesOnce() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        SealedNode.meet(one, two, now: start)
        let packet = one.packet(now: start)
        #expect(two.open(packet, from: one, now: start) != nil)
        let before = two.report.replayed
        #expect(two.open(packet, from: one, now: start) == nil)
        #expect(two.report.replayed == before + 1)
    }

    /// By one link in two families, and by two links.
    private static let ways: [[(UInt8, Family)]] = [
        [(0, .ipv4), (0, .ipv6)], [(0, .ipv6), (0, .ipv4)], [(0, .ipv4), (1, .ipv4)],
        [(1, .ipv6), (0, .ipv4)],
    ]

    /// The same packet by each of two ways, whichever is the first, is no replay; once more it is.
    @Test(arguments: ways)
    func aPacketThatComesByTwoWaysIsNoReplay(_ ways: [(link: UInt8, family: Family)]) throws {
        let count = Set(ways.map(\.link)).count
        let one = try SealedNode(1, keys: [1], linkCount: count)
        let two = try SealedNode(2, keys: [1], linkCount: count)
        SealedNode.meet(one, two, now: start)
        #expect(two.report.replayed == 0)
        for round in 0..<100 as Range<UInt64> {
            let packet = one.packet(now: start)
            func open(_ way: Int) -> Bool {
                two.open(packet, from: one, by: ways[way].link, ways[way].family, now: start) != nil
            }
            #expect(open(0) && !open(1))
            #expect(two.report.doubles == round + 1 && two.report.replayed == 2 * round)
            #expect(two.report.drops[DropRecord.replayed] == nil || round > 0)
            #expect(!open(0) && !open(1))
            #expect(two.report.doubles == round + 1 && two.report.replayed == 2 * round + 2)
        }
        #expect(two.report.opened == 100)
    }

    /// What a slave has asked for again may come twice by the same way.
    @Test func whatWasAskedForAgainIsNoReplay() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        SealedNode.meet(one, two, now: start)
        let packet = one.packet(now: start)
        #expect(two.open(packet, from: one, now: start) != nil)
        two.opener.askedAgain(now: start)
        #expect(two.open(packet, from: one, now: start) == nil)
        #expect(two.report.doubles == 1 && two.report.replayed == 0)
        let late = start + SessionGate.lateness
        #expect(two.open(packet, from: one, now: late) == nil)
        #expect(two.report.doubles == 1 && two.report.replayed == 1)
    }

    /// What was sent before the proof, and is slower by the other link than the proof, is no replay
    /// either: once, and for a second.
    @Test func whatIsOvertakenByTheProofIsNoReplay() throws {
        let one = try SealedNode(1, keys: [1], linkCount: 2)
        let two = try SealedNode(2, keys: [1], linkCount: 2)
        let slow = (0..<2).map { _ in one.packet(now: start) }
        SealedNode.meet(one, two, now: start)
        #expect(two.open(slow[0], from: one, by: 1, now: start) == nil)
        #expect(two.report.doubles == 1 && two.report.replayed == 0)
        #expect(two.open(slow[0], from: one, by: 1, now: start) == nil)
        #expect(two.report.replayed == 1)
        let late = start + SessionGate.lateness
        #expect(two.open(slow[1], from: one, by: 1, now: late) == nil)
        #expect(two.report.doubles == 1 && two.report.replayed == 2)
    }

    /// A whole conversation, played to a node that has just booted.
    @Test func aRecordingProvesNothingToANewStart() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        var recording = [one.packet(now: start)]
        two.open(recording[0], from: one, now: start)
        for _ in 0..<3 {
            for datagram in two.port.take() { one.open(datagram, from: two, now: start) }
            let answers = one.port.take()
            recording += answers
            for datagram in answers { two.open(datagram, from: one, now: start) }
        }
        recording.append(one.packet(now: start))
        #expect(two.open(recording[recording.count - 1], from: one, now: start) != nil)

        let restarted = try SealedNode(2, keys: [1])
        for round in 0..<10 as Range<UInt64> {
            for datagram in recording {
                let now = start + round * Duration.second
                #expect(restarted.open(datagram, from: one, now: now) == nil)
            }
        }
        #expect(restarted.report.opened == 0)
    }

    @Test func whatIsSpoiledIsCountedAndDropped() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        SealedNode.meet(one, two, now: start)
        let packet = one.packet(now: start)
        for place in packet.indices {
            var spoiled = packet
            spoiled[place] ^= 1
            #expect(two.open(spoiled, from: one, now: start) == nil, "byte \(place)")
        }
        for length in 0..<packet.count {
            #expect(two.open(Array(packet[..<length]), from: one, now: start) == nil)
        }
        let report = two.report
        #expect(report.tag > 100 && report.bad[WireError.length.index] > 0)
        #expect(report.bad[WireError.short.index] > 0 && report.opened == 0)
        // It was none of these that counted as come.
        #expect(two.open(packet, from: one, now: start) != nil)
    }

    @Test func whoIsNotTheNodeThatItSaysIsDropped() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        SealedNode.meet(one, two, now: start)
        #expect(two.open(one.packet(id: 9, now: start), from: one, now: start) == nil)
        #expect(two.report.bad[WireError.message.index] == 1)
        let double = try SealedNode(2, keys: [1])
        #expect(two.open(double.packet(now: start), from: double, now: start) == nil)
        #expect(two.report.ownID == 1)
    }

    @Test func aStrictNodeTakesNothingUnsealed() throws {
        let (plain, two) = (try SealedNode(1, keys: [], .off), try SealedNode(2, keys: [1]))
        #expect(two.open(plain.packet(now: start), from: plain, now: start) == nil)
        #expect(two.report.unsealed == 1 && two.port.sent.isEmpty)
        #expect(
            two.report.strangers.all(now: start).map(\.sentence)
                == ["node 1 at 10.0.0.1 does not seal its packets"])
    }

    @Test func withoutAKeyTheChecksumCounts() throws {
        let (one, two) = (try SealedNode(1, keys: [], .off), try SealedNode(2, keys: [], .off))
        var packet = one.packet(now: start)
        #expect(two.open(packet, from: one, now: start) == packet)
        packet[20] ^= 1
        #expect(two.open(packet, from: one, now: start) == nil)
        #expect(two.report.bad[WireError.checksum.index] == 1)
        let sealing = try SealedNode(3, keys: [1])
        #expect(two.open(sealing.packet(now: start), from: sealing, now: start) == nil)
        #expect(
            two.report.strangers.all(now: start).map(\.sentence)
                == ["node 3 at 10.0.0.3 seals its packets, and this node has no key"])
    }

    @Test func bothOfTwoKeysAreTold() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [2]))
        for step in 0..<15 as Range<UInt64> {
            let now = start + step * 100 * Duration.millisecond
            #expect(two.open(one.packet(now: now), from: one, now: now) == nil)
        }
        #expect(two.report.anotherKey == 15)
        #expect(two.port.sent.isEmpty, "nothing is sent to whom nobody knows")
        one.open(two.packet(now: start), from: two, now: start)
        #expect(
            one.report.strangers.all(now: start).map(\.sentence)
                == ["node 2 at 10.0.0.2 speaks with another key"])
        #expect(one.report.strangers.all(now: start + Strangers.silence).isEmpty)
        // It gets the key: over a moment later.
        try two.seal.use([try SealTests.key(1)], .strict)
        SealedNode.meet(one, two, now: start)
        #expect(one.report.strangers.all(now: start + Strangers.understoodSilence).isEmpty)
    }

    /// One key in 256 has the id of this node's: its tags do not fit, and that tells it.
    @Test func anotherKeyOfTheSameIDIsToldToo() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [215]))
        let ids = try [1, 215].map {
            SealDerivation(cluster: "").keyID(try SealTests.key($0))
        }
        #expect(ids[0] == ids[1])
        #expect(two.open(one.packet(now: start), from: one, now: start) == nil)
        #expect(two.report.tag == 1 && two.port.sent.isEmpty)
        #expect(
            two.report.strangers.all(now: start).map(\.sentence)
                == ["node 1 at 10.0.0.1 speaks with another key"])
        // What is spoiled in a session that is proven is of nobody else.
        let three = try SealedNode(3, keys: [1])
        SealedNode.meet(one, three, now: start)
        var spoiled = one.packet(now: start)
        spoiled[spoiled.count - 1] ^= 1
        #expect(three.open(spoiled, from: one, now: start) == nil)
        #expect(three.report.tag == 1 && three.report.strangers.all(now: start).isEmpty)
    }
}
