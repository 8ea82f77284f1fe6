// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct SendRingTests {
    private static let slotByteCount = 400

    private static func makeRing(_ slotCount: Int = 8) throws -> SendRing {
        let ring = try SendRing(
            slotCount: slotCount, slotByteCount: slotByteCount, wake: nil)
        ring.reset(epoch: 9, nodeID: 3)
        return ring
    }

    private static func key(_ port: Int) -> Key {
        Key(SampleEntries.tuple(ProtocolNumber.udp, UInt16(port), 53))
    }

    /// Sends what is closed; returns it.
    @discardableResult
    private static func send(_ ring: SendRing, maximum: Int = 64) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        let count = ring.withUnsent(maximum: maximum, clockMicroseconds: 5) { index, packet in
            #expect(index == packets.count)
            packets.append(Array(packet))
        }
        #expect(count == packets.count)
        ring.markSent(count)
        return packets
    }

    private static func copied(_ ring: SendRing, _ sequence: UInt64) -> [UInt8]? {
        var target = [UInt8](repeating: 0, count: slotByteCount)
        let length = target.withUnsafeMutableBytes { ring.copy(sequence, to: $0) }
        return length.map { Array(target[..<$0]) }
    }

    /// The source ports of a packet's deletions.
    private static func ports(_ packet: [UInt8]) throws -> [Int] {
        var message = Message()
        var offset = PacketHeader.byteCount
        var ports: [Int] = []
        while offset < packet.count {
            try MessageReader.read(packet.span.bytes, at: &offset, into: &message)
            ports.append(Int(message.entry.key.tuple.sourcePort))
        }
        return ports
    }

    @Test func packetsComeInOrderWithWhatWasAppended() throws {
        let ring = try Self.makeRing()
        for packet in 1...3 {
            for message in 0..<4 {
                #expect(ring.appendDelete(Self.key(packet * 10 + message)) == .appended)
            }
            ring.flush()
            ring.flush()
        }
        #expect(ring.lastClosed == 3)
        #expect(ring.lastSent == 0)
        let packets = Self.send(ring, maximum: 2) + Self.send(ring)
        #expect(packets.count == 3)
        for (index, packet) in packets.enumerated() {
            let header = try PacketBytes.header(of: packet)
            #expect(header.type == .SYNC)
            #expect(header.sequence == UInt64(index + 1))
            #expect(header.epoch == 9)
            #expect(header.nodeID == 3)
            #expect(header.messageCount == 4)
            #expect(header.oldest == 1)
            #expect(header.clockMicroseconds == 5)
            #expect(try Self.ports(packet) == (0..<4).map { (index + 1) * 10 + $0 })
        }
        #expect(ring.lastSent == 3)
        #expect(ring.messageCount == 12)
        #expect(Self.send(ring).isEmpty)
    }

    /// A packet is closed when the next message does not fit, and not before.
    @Test func aFullPacketClosesItself() throws {
        let ring = try Self.makeRing(64)
        for port in 0..<50 { #expect(ring.appendDelete(Self.key(port)) == .appended) }
        ring.flush()
        let fitting = (Self.slotByteCount - PacketHeader.byteCount) / 16
        let packets = Self.send(ring)
        let counts = try packets.map { try Self.ports($0).count }
        #expect(counts == [fitting, fitting, 50 - 2 * fitting])
        #expect(try packets.flatMap { try Self.ports($0) } == Array(0..<50))
    }

    /// Messages of every kind and length.
    @Test func aMessageIsAppendedWhereverItFits() throws {
        let ring = try Self.makeRing(64)
        let fill = 400 - PacketHeader.byteCount
        for entry in SampleEntries.plain + SampleEntries.translated + [SampleEntries.largest] {
            let count = EntryMessage.byteCount(entry)
            for _ in 0...fill / count { _ = ring.appendUpdate(entry, bits: MessageKind.new) }
            _ = ring.appendUpdate(SampleExpectations.largest, bits: 0)
            _ = ring.appendDelete(SampleExpectations.largest)
            ring.flush()
            let lengths = Self.send(ring).map { $0.count }
            #expect(lengths[0] == PacketHeader.byteCount + fill / count * count)
            #expect(lengths.allSatisfy { $0 <= Self.slotByteCount })
        }
    }

    /// A slot of just so many bytes, a bracket as the last message.
    @Test func aPacketIsFilledToItsLastByte() throws {
        let byteCount = PacketHeader.byteCount + 20 * 16 + Bracket.byteCount
        let ring = try SendRing(slotCount: 8, slotByteCount: byteCount, wake: nil)
        ring.reset(epoch: 9, nodeID: 3)
        for port in 0..<20 { _ = ring.appendDelete(Self.key(port)) }
        #expect(ring.append(Bracket(number: 1), .UPDATE) == 1)
        for port in 0..<21 { _ = ring.appendDelete(Self.key(port)) }
        #expect(ring.append(Bracket(number: 1), .DELETE) == 3)
        #expect(Self.send(ring).map { $0.count }.first == byteCount)
    }

    /// State updates of TCP on Ethernet: 228 packets, with address translation 323 (with a header of
    /// 44 bytes). When packets were closed as soon as the largest message, of 288 bytes then, might
    /// not fit, it took 278 and 400.
    @Test(arguments: [(false, 32), (true, 46)])
    func tenThousandTypicalUpdates(_ isTranslated: Bool, _ byteCount: Int) throws {
        let ring = try SendRing(slotCount: 512, slotByteCount: 1_472, wake: nil)
        ring.reset(epoch: 9, nodeID: 3)
        var entry = SampleEntries.plain[2]
        entry.fields.remove(.mark)
        if isTranslated { entry.reply.destination = Address(ipv4: 0xCB00_7101) }
        for port in 0..<10_000 as Range<UInt16> {
            entry.key.tuple.sourcePort = port
            entry.reply.destinationPort = port
            #expect(ring.appendUpdate(entry, bits: 0) == .appended)
        }
        ring.flush()
        let packets = Self.send(ring, maximum: 512)
        let fitting = (1_472 - PacketHeader.byteCount) / byteCount
        #expect(packets.count == (10_000 + fitting - 1) / fitting)
        let before = (1_472 - PacketHeader.byteCount - 288) / byteCount + 1
        #expect(packets.count * 100 < (10_000 + before - 1) / before * 85)
        let content = packets.reduce(0) { $0 + $1.count - PacketHeader.byteCount }
        #expect(content == 10_000 * byteCount)
    }

    /// Round and round: the same bytes as long as they are in the backlog, then nil.
    @Test func theBacklogIsWhatHasNotBeenOverwritten() throws {
        let ring = try Self.makeRing()
        var sent: [[UInt8]] = []
        for port in 1...50 {
            #expect(ring.appendDelete(Self.key(port)) == .appended)
            ring.flush()
            sent += Self.send(ring)
            let newest = UInt64(port)
            // One slot is the open packet's.
            let oldest = newest > 7 ? newest - 6 : 1
            #expect(try PacketBytes.header(of: sent[port - 1]).oldest == oldest)
            for sequence in 0...newest + 2 {
                let isThere = sequence >= oldest && sequence <= newest && sequence > 0
                let expected = isThere ? sent[Int(sequence) - 1] : nil
                #expect(Self.copied(ring, sequence) == expected)
            }
        }
    }

    @Test func whatHasNotBeenSentIsNotInTheBacklog() throws {
        let ring = try Self.makeRing()
        _ = ring.appendDelete(Self.key(1))
        ring.flush()
        #expect(Self.copied(ring, 1) == nil)
    }

    @Test func aFullRingTakesNothingAndLosesNothing() throws {
        let ring = try Self.makeRing()
        for port in 1...8 {
            #expect(ring.appendDelete(Self.key(port)) == .appended)
            ring.flush()
        }
        #expect(ring.appendDelete(Self.key(9)) == .full)
        #expect(ring.appendUpdate(SampleEntries.plain[0], bits: 0) == .full)
        #expect(ring.append(Bracket(number: 1), .UPDATE) == nil)
        ring.flush()
        #expect(ring.lastClosed == 8)
        #expect(Self.send(ring, maximum: 1).count == 1)
        #expect(ring.appendDelete(Self.key(10)) == .appended)
        // An open packet takes more although the ring is full.
        #expect(ring.appendDelete(Self.key(11)) == .appended)
        ring.flush()
        #expect(ring.appendDelete(Self.key(12)) == .full)
        let packets = Self.send(ring)
        #expect(
            try packets.map { try Self.ports($0) } == [
                [2], [3], [4], [5], [6], [7], [8], [10, 11],
            ])
    }

    @Test func anInitsyncLeavesHalfTheRingToTheLiveStream() throws {
        let ring = try Self.makeRing()
        let entry = SampleEntries.plain[0]
        for _ in 0..<4 {
            #expect(ring.appendUpdate(entry, bits: MessageKind.initsync) == .appended)
            ring.flush()
        }
        #expect(ring.appendUpdate(entry, bits: MessageKind.initsync) == .full)
        for _ in 0..<4 {
            #expect(ring.appendUpdate(entry, bits: 0) == .appended)
            ring.flush()
        }
        #expect(ring.appendUpdate(entry, bits: 0) == .full)
    }

    @Test func aBracketEndsItsPacket() throws {
        let ring = try Self.makeRing()
        _ = ring.appendDelete(Self.key(1))
        #expect(ring.append(Bracket(number: 7), .UPDATE) == 1)
        #expect(ring.append(Bracket(number: 7), .DELETE) == 2)
        #expect(ring.lastClosed == 2)
        let packets = Self.send(ring)
        #expect(try packets.map { try PacketBytes.header(of: $0).messageCount } == [2, 1])
    }

    @Test func packetsSayWhetherEventsAreLost() throws {
        let ring = try Self.makeRing()
        var flags: [Bool] = []
        for isIncomplete in [false, true, true, false] {
            ring.setIncomplete(isIncomplete)
            _ = ring.appendDelete(Self.key(1))
            ring.flush()
            var target = [UInt8](repeating: 0, count: SendRing.announcementByteCount)
            _ = target.withUnsafeMutableBytes {
                ring.writeAnnouncement(Announcement(), $0, clockMicroseconds: 1)
            }
            let header = try PacketBytes.header(of: target)
            #expect(header.flags.contains(.incomplete) == isIncomplete)
            #expect(header.sequence == 0)
        }
        for packet in Self.send(ring) {
            flags.append(try PacketBytes.header(of: packet).flags.contains(.incomplete))
        }
        #expect(flags == [false, true, true, false])
    }

    @Test func anAnnouncementNamesTheLastPacketSent() throws {
        let ring = try Self.makeRing()
        for port in 1...20 {
            _ = ring.appendDelete(Self.key(port))
            ring.flush()
            Self.send(ring)
        }
        _ = ring.appendDelete(Self.key(21))
        ring.flush()
        var target = [UInt8](repeating: 0, count: SendRing.announcementByteCount)
        let length = target.withUnsafeMutableBytes {
            ring.writeAnnouncement(Announcement(), $0, clockMicroseconds: 77)
        }
        let header = try PacketBytes.header(of: target)
        #expect(length == SendRing.announcementByteCount)
        #expect(header.type == .MASTER_ANNOUNCE)
        #expect(header.sequence == 20)
        #expect(header.oldest == 14)
        #expect(header.clockMicroseconds == 77)
    }

    @Test func aNewEpochStartsAnew() throws {
        let ring = try Self.makeRing()
        ring.setIncomplete(true)
        for port in 1...5 {
            _ = ring.appendDelete(Self.key(port))
            ring.flush()
        }
        Self.send(ring, maximum: 2)
        _ = ring.appendDelete(Self.key(6))
        ring.reset(epoch: 10, nodeID: 4)
        #expect(Self.send(ring).isEmpty)
        #expect(Self.copied(ring, 1) == nil)
        _ = ring.appendDelete(Self.key(7))
        ring.flush()
        let packets = Self.send(ring)
        let header = try PacketBytes.header(of: packets[0])
        #expect(header.sequence == 1)
        #expect(header.epoch == 10)
        #expect(header.nodeID == 4)
        #expect(header.flags == [])
        #expect(try Self.ports(packets[0]) == [7])
    }

    @Test func theSenderMaySleepOnlyWhenAllIsSent() throws {
        let ring = try Self.makeRing()
        #expect(ring.prepareToSleep())
        ring.wokeUp()
        _ = ring.appendDelete(Self.key(1))
        #expect(ring.prepareToSleep())
        ring.flush()
        #expect(!ring.prepareToSleep())
        Self.send(ring)
        #expect(ring.prepareToSleep())
    }
}
