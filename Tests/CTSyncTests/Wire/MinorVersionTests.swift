// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Testing

@testable import CTSync

/// Minor versions mix (WIRE.md): what a later one may add is stepped over, and nothing else is lost.
@Suite struct MinorVersionTests {
    /// A slave in sync with an empty table, up to packet 2, and what it is given.
    private final class Bench {
        let slave: SlaveProtocol
        let now: Instant = 10 * Duration.second
        private var sequence: UInt64 = 2

        /// - Parameter change: made to each packet.
        init(_ change: ([UInt8]) -> [UInt8] = { $0 }) throws {
            slave = try SlaveProtocol.sample()
            receive(change(PacketBytes.announcement(0)))
            receive(change(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)])))
            receive(change(PacketBytes.sync(2, [PacketBytes.bracket(.DELETE, 1)])))
            #expect(slave.outOfSync(now: now) == nil)
        }

        func receive(_ packet: [UInt8]) {
            slave.receive(
                packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
        }

        /// Gives it a packet of these messages, all of which must have been taken.
        func take(_ messages: [[UInt8]]) {
            sequence += 1
            receive(PacketBytes.sync(sequence, messages))
            expectNothingLost()
        }

        /// All that came was understood, it is in sync, and asks for nothing.
        func expectNothingLost() {
            let counters = slave.counters
            #expect(counters.bad.indices.allSatisfy { counters.bad[$0] == 0 })
            #expect(counters.insufficient == 0 && counters.initsyncRequests == 1)
            #expect(slave.applied == sequence && slave.outOfSync(now: now) == nil)
        }
    }

    /// Bytes that no version knows.
    private static let unknown: [UInt8] = [0xFE, 0xED, 0xFA, 0xCE, 0x01]
    private static let entries = SampleEntries.plain

    /// A packet as a later minor version writes it: changed, and the checksum over that.
    private static func rewritten(
        _ packet: [UInt8], minor: UInt8 = 15, _ change: (inout [UInt8]) -> Void = { _ in }
    ) -> [UInt8] {
        var packet = packet
        change(&packet)
        packet[0] = packet[0] & 0xF0 | minor
        packet[4] = UInt8(packet.count >> 8)
        packet[5] = UInt8(packet.count & 0xFF)
        let checksum = PacketBytes.checksum.value(of: packet.span.bytes)
        for place in 0..<4 { packet[40 + place] = UInt8(checksum >> UInt32(24 - 8 * place) & 0xFF) }
        return packet
    }

    /// A message with more behind what is known of it.
    private static func longer(_ message: [UInt8], by bytes: [UInt8]) -> [UInt8] {
        let message = message + bytes
        return [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message[2...]
    }

    // MARK: The version

    @Test(arguments: 1...15 as ClosedRange<UInt8>)
    func aHigherMinorVersionIsTaken(_ minor: UInt8) throws {
        let bench = try Bench { Self.rewritten($0, minor: minor) }
        bench.expectNothingLost()
        let master = try MasterProtocol.havingSent(2, nodeID: 1)
        let nack = Self.rewritten(Self.nack(), minor: minor)
        #expect(master.receive(nack.span.bytes, from: PacketBytes.peer, now: 1) == .sendAgain)
        let header = PacketHeader(type: .SLAVE_INITSYNC, nodeID: 2, epoch: 100, sequence: 2)
        let request = Self.rewritten(PacketBytes.sealed(header, PacketBytes.report()), minor: minor)
        #expect(master.receive(request.span.bytes, from: PacketBytes.peer, now: 1) == .initsync)
        // Another major version is another matter.
        var other = PacketBytes.sync(3, [])
        other[0] = 0x20 | minor
        bench.receive(other)
        #expect(bench.slave.counters.bad[WireError.version.index] == 1)
    }

    /// The envelope's version is authenticated as it stands there.
    @Test func aSealedPacketOfAHigherMinorVersionIsOpened() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        SealedNode.meet(one, two, now: Duration.second)
        let key = try SealTests.key(1)
        var packetKey = SealDerivation(cluster: "").packetKey(key, one.seal.session.id)
        let cipher = try #require(ctsync_gcm_new(1))
        defer { ctsync_gcm_free(cipher) }
        let result = withUnsafeBytes(of: &packetKey) { bytes in
            ctsync_gcm_set_key(cipher, bytes.bindMemory(to: UInt8.self).baseAddress)
        }
        #expect(result == 0)
        var text = Self.rewritten(PacketBytes.announcement(7))
        var head = Array(one.packet(now: Duration.second)[..<SealEnvelope.authenticatedByteCount])
        head[0] |= 15
        (head[4], head[5]) = (0, UInt8(SealEnvelope.byteCount + text.count))
        // Room that is zero today.
        (head[6], head[7]) = (0xFE, 0xED)
        let counter = head.span.bytes.big(16, as: UInt64.self)
        var tag = [UInt8](repeating: 0, count: SealEnvelope.tagByteCount)
        let sealed = SealNonce.with(counter) { nonce in
            ctsync_gcm_seal(cipher, nonce, head, head.count, &text, text.count, &tag)
        }
        #expect(sealed == 0)
        let opened = try #require(
            two.open(head + tag + text, from: one, now: Duration.second))
        #expect(try PacketHeader.read(opened.span.bytes, nil).sequence == 7)
    }

    // MARK: Messages

    /// Of a resource or a type that is not known, of any length: stepped over, and what is before and
    /// after it in the packet is taken.
    @Test(arguments: [0, 1, 221, 1_000])
    func anUnknownMessageIsSteppedOver(_ byteCount: Int) throws {
        let bench = try Bench()
        var number = 0
        for resource in 0..<4 as Range<UInt8> {
            for type in 0..<4 as Range<UInt8> where resource == 3 || type > 1 {
                for bits in [0, 15] as [UInt8] {
                    let message = Self.longer(
                        [0, 0, resource << 6 | type << 4 | bits, 0xFE],
                        by: [UInt8](repeating: 0xED, count: byteCount))
                    let entry = Self.entries[number % 2]
                    let isThere = bench.slave.table.aliveCount
                    let update = PacketBytes.update(entry, bits: MessageKind.new)
                    bench.take([update, message, PacketBytes.delete(entry.key), message, update])
                    #expect(bench.slave.table.aliveCount == min(isThere + 1, 2))
                    number += 1
                }
            }
        }
        #expect(bench.slave.counters.messages == UInt64(2 + 5 * number))
    }

    /// An attribute of a type that is not known, in each message that has attributes.
    @Test func anUnknownAttributeIsSteppedOver() throws {
        let bench = try Bench()
        let attributes: [[UInt8]] = [
            [16, 0], [200, UInt8(Self.unknown.count)] + Self.unknown,
            [255, 255] + [UInt8](repeating: 0xED, count: 255),
        ]
        for attribute in attributes {
            for entry in Self.entries + SampleEntries.translated {
                let update = PacketBytes.update(entry, bits: MessageKind.new)
                let read = try PacketBytes.message(Self.longer(update, by: attribute)).entry
                #expect(read == (try PacketBytes.message(update).entry))
            }
            let entry = Self.entries[0]
            bench.take([
                Self.longer(PacketBytes.update(entry, bits: MessageKind.new), by: attribute)
            ])
            #expect(bench.slave.table.aliveCount == 1)
            bench.take([Self.longer(PacketBytes.delete(entry.key), by: attribute)])
            #expect(bench.slave.table.aliveCount == 0)
            for expectation in [SampleExpectations.largest] {
                for message in [PacketBytes.update(expectation), PacketBytes.delete(expectation)] {
                    let read = try PacketBytes.message(Self.longer(message, by: attribute))
                    #expect(read.expectation == (try PacketBytes.message(message).expectation))
                }
            }
        }
    }

    @Test func aLongerBracketIsTaken() throws {
        let bench = try Bench()
        var begin = Self.longer(PacketBytes.bracket(.UPDATE, 9), by: Self.unknown)
        begin[3] |= 0xF8
        let entry = PacketBytes.update(Self.entries[0], bits: MessageKind.initsync)
        bench.take([begin, entry])
        bench.take([Self.longer(PacketBytes.bracket(.DELETE, 9), by: Self.unknown)])
        #expect(bench.slave.counters.initsyncs == 2 && bench.slave.table.aliveCount == 1)
    }

    // MARK: Announcements and reports

    /// More addresses, more traits, more behind them, other flags, and no room that is zero.
    @Test func aLongerAnnouncementIsTaken() throws {
        let bench = try Bench()
        let addresses = ["10.1.0.9", "fd00:1::9"].compactMap { HostAddress(text: $0) }
        let said = Announcement(
            basis: Basis(epoch: 7, sequence: 8), entryCount: 9,
            rules: ReplicationFilter.everything.fingerprint, addresses: addresses)
        let more = PacketHeader.byteCount + Announcement.byteCount
        var header = PacketHeader(type: .MASTER_ANNOUNCE, nodeID: 1, epoch: 100, sequence: 2)
        header.oldest = 1
        var traits = Traits()
        traits[.conntrackMax] = 262_144
        var later = PacketBytes.traits(traits)
        later[0] += 2
        let content = Array(Self.written(said)[PacketHeader.byteCount...])
        let packet = Self.rewritten(
            PacketBytes.sealed(header, content + later + [0, 0, 0, 1, 0, 0, 0, 2] + Self.unknown)
        ) { packet in
            packet[3] |= 0xF8
            packet[PacketHeader.byteCount + 25] |= 0xFE
            for place in PacketHeader.byteCount + 30..<more { packet[place] = 0xED }
        }
        bench.receive(packet)
        bench.expectNothingLost()
        var expected = said
        expected.traits = traits
        #expect(bench.slave.announced == expected)
    }

    /// More traits, or none before what is new, other flags, and no room that is zero.
    @Test(arguments: [false, true]) func aLongerReportIsTaken(_ hasTraits: Bool) throws {
        let master = try MasterProtocol.havingSent(2, nodeID: 1)
        var traits = Traits()
        traits[.conntrackMax] = 262_144
        let first = Self.nack(PacketBytes.traits(traits))
        #expect(master.receive(first.span.bytes, from: PacketBytes.peer, now: 1) == .sendAgain)
        var later = PacketBytes.traits(traits)
        later[0] += 1
        let added = (hasTraits ? later + [0, 0, 0, 1] : [0, 0, 0, 0]) + Self.unknown
        let packet = Self.rewritten(Self.nack(added)) { packet in
            packet[3] = 0xF8
            let place = PacketHeader.byteCount + SequenceRange.byteCount
            packet[place + 25] |= 0xF8
            packet[place + 27] = 0xED
        }
        _ = master.nextAgain(now: .max)
        let now = 1 + Retransmission.pause
        #expect(master.receive(packet.span.bytes, from: PacketBytes.peer, now: now) == .sendAgain)
        let peer = try #require(master.peers.first)
        #expect(peer.report.entryCount == 33 && peer.report.isInSync && peer.applied == 1)
        #expect(peer.traits == traits)
        #expect(master.counters.bad.indices.allSatisfy { master.counters.bad[$0] == 0 })
    }

    /// A HELLO with more behind what is known of it.
    @Test func aLongerHelloIsRead() throws {
        let hello = SealHello(receiverSalt: 1, challenge: 2, answer: 3)
        var bytes = [UInt8](repeating: 0, count: SealHello.datagramByteCount)
        bytes.withUnsafeMutableBytes { raw in
            var span = raw.mutableBytes
            hello.write(&span)
        }
        #expect(try SealHello.read((bytes + Self.unknown).span.bytes) == hello)
    }

    // MARK: What they have in common

    private static func written(_ announcement: Announcement) -> [UInt8] {
        var bytes = [UInt8](
            repeating: 0, count: PacketHeader.byteCount + announcement.byteCount)
        bytes.withUnsafeMutableBytes { raw in
            var span = raw.mutableBytes
            announcement.write(&span)
        }
        return bytes
    }

    /// A slave's NACK for the second packet.
    private static func nack(_ behind: [UInt8] = []) -> [UInt8] {
        var header = PacketHeader(type: .NACK, nodeID: 2, epoch: 100, sequence: 2)
        header.messageCount = 1
        var report = SlaveReport()
        (report.entryCount, report.isInSync) = (33, true)
        let range: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]
        return PacketBytes.sealed(header, range + PacketBytes.report(report) + behind)
    }
}
