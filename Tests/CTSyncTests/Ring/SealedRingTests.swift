// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The send ring on a sealed link: a packet is sealed once, where it is.
@Suite struct SealedRingTests {
    private static let slotByteCount = 400

    private let ring: SendRing
    private let sealer: Sealer
    private let opener: SealOpener

    init() throws {
        ring = try SendRing(slotCount: 8, slotByteCount: Self.slotByteCount, wake: nil)
        ring.reset(epoch: 9, nodeID: 3)
        ring.limitPackets(to: Self.slotByteCount - PacketSlots.room)
        let keys = try SealTests.ring([1])
        sealer = try Sealer(SealSession(nodeID: 3, salt: 5, keys: keys))
        opener = try SealOpener(keys)
    }

    private func append(_ ports: Range<Int>) {
        for port in ports {
            let key = Key(SampleEntries.tuple(ProtocolNumber.udp, UInt16(port), 53))
            #expect(ring.appendDelete(key) == .appended)
        }
        ring.flush()
    }

    private func send(sealed: Bool = true) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        let count = ring.withUnsent(
            maximum: 64, clockMicroseconds: 5, sealer: sealed ? sealer : nil
        ) { packets.append(Array($1)) }
        ring.markSent(count)
        return packets
    }

    private func copied(_ sequence: UInt64, _ sealer: Sealer? = nil) -> [UInt8]? {
        var target = [UInt8](repeating: 0, count: ring.copyByteCount)
        let length = target.withUnsafeMutableBytes { ring.copy(sequence, to: $0, sealer: sealer) }
        return length.map { Array(target[..<$0]) }
    }

    @Test func packetsFitTheLinkWithTheirEnvelope() throws {
        append(1..<100)
        let packets = send()
        #expect(packets.count > 4 && packets.allSatisfy { $0.count <= Self.slotByteCount })
        #expect(packets[0].count > Self.slotByteCount - 16)
        var messages = 0
        for (number, packet) in packets.enumerated() {
            let opened = try SealTests.opened(packet, by: opener)
            let header = try PacketHeader.read(opened.span.bytes, nil)
            #expect(header.sequence == UInt64(number + 1) && header.nodeID == 3)
            messages += Int(header.messageCount)
        }
        #expect(messages == 99)
    }

    @Test func whatIsSentAgainIsTheSameBytes() throws {
        append(1..<5)
        append(5..<9)
        let packets = send()
        #expect(copied(1) == packets[0] && copied(2) == packets[1])
        #expect(copied(1) == packets[0])
        #expect(sealer.session.lastCounter == 2)
    }

    /// A slave that has become strict since asks for it.
    @Test func whatWasSentWithoutASealIsSealedForWhoSeals() throws {
        append(1..<5)
        let unsealed = send(sealed: false)
        append(5..<9)
        let sealed = send()
        let again = try #require(copied(1, sealer))
        let opened = try SealTests.opened(again, by: opener)
        let place = PacketChecksum.place..<PacketChecksum.place + 4
        #expect(opened[place].allSatisfy { $0 == 0 })
        #expect(opened[..<place.lowerBound] == unsealed[0][..<place.lowerBound])
        #expect(opened[place.upperBound...] == unsealed[0][place.upperBound...])
        // What has an envelope is the same bytes, as its number is taken; what is kept has not changed.
        #expect(copied(2, sealer) == sealed[0] && copied(1) == unsealed[0])
        #expect(sealer.session.lastCounter == 2)
    }

    /// Whatever was said when a packet went out holds for it.
    @Test func sealedAndUnsealedPacketsStandInOneRing() throws {
        append(1..<5)
        let first = send(sealed: false)
        append(5..<9)
        let second = send()
        append(9..<13)
        let third = send(sealed: false)
        #expect([copied(1), copied(2), copied(3)] == [first[0], second[0], third[0]])
        #expect(try PacketBytes.header(of: third[0]).sequence == 3)
        let opened = try SealTests.opened(second[0], by: opener)
        #expect(try PacketHeader.read(opened.span.bytes, nil).sequence == 2)
    }
}
