// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Random bytes, and good packets with wrong ones, at a slave and at a master.
@Suite struct HostilePacketTests {
    private static let seed = Chance.anySeed

    private static func makeSlave() throws -> SlaveProtocol {
        let slave = try SlaveProtocol.sample()
        // Above the claims of `receive`: whatever passes the checksum there is stale.
        feed(slave, PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)], epoch: 1_000))
        return slave
    }

    private static func feed(_ slave: SlaveProtocol, _ packet: [UInt8]) {
        slave.receive(
            packet.span.bytes, from: PacketBytes.peer, now: Duration.second, wallMicroseconds: 0)
    }

    /// All that a packet may change.
    private static func state(_ slave: SlaveProtocol) -> [UInt64] {
        [
            slave.applied, slave.master.epoch, UInt64(slave.table.aliveCount), slave.lastHeard,
            slave.counters.messages, UInt64(slave.table.book.pool.count),
            UInt64(slave.table.book.ledger.generation), slave.deadline ?? 0,
        ]
    }

    @Test func randomBytesAreCountedAndChangeNothing() throws {
        let chance = Chance(seed: Self.seed)
        let slave = try Self.makeSlave()
        let ring = try SendRing(slotCount: 16, slotByteCount: 1_400, wake: nil)
        let master = MasterProtocol(ring: ring)
        master.start(MasterClaim(epoch: 100, nodeID: 1))
        let before = Self.state(slave)
        for _ in 0..<100_000 {
            var bytes = (0..<chance.below(200)).map { _ in UInt8(chance.below(256)) }
            if !bytes.isEmpty, chance.happens(500) { bytes[0] = 0x10 }
            if bytes.count > 5, chance.happens(500) {
                bytes[4] = 0
                bytes[5] = UInt8(bytes.count)
            }
            Self.feed(slave, bytes)
            let answer = master.receive(bytes.span.bytes, from: PacketBytes.peer, now: 1)
            #expect(answer == .none, "seed \(Self.seed)")
        }
        #expect(Self.state(slave) == before, "seed \(Self.seed)")
        let bad = (0..<6).reduce(UInt64(0)) { $0 + slave.counters.bad[$1] }
        #expect(bad == 100_000, "seed \(Self.seed)")
    }

    /// Changed after sealing: the checksum finds it. The tag's place is not looked at.
    @Test func changedBytesAreCountedAndChangeNothing() throws {
        let chance = Chance(seed: Self.seed)
        let slave = try Self.makeSlave()
        let before = Self.state(slave)
        let entries = SampleEntries.plain + SampleEntries.translated
        for _ in 0..<20_000 {
            let message = PacketBytes.update(chance.one(of: entries))
            var packet = PacketBytes.sync(2, [message], epoch: 1_000)
            for _ in 0...chance.below(3) {
                packet[chance.below(packet.count)] ^= UInt8(1 << chance.below(8))
            }
            let isWhole = packet == PacketBytes.sync(2, [message], epoch: 1_000)
            if !isWhole { Self.feed(slave, packet) }
        }
        #expect(Self.state(slave) == before, "seed \(Self.seed)")
    }

    /// Changed before sealing: the messages themselves contradict each other, or say something else.
    @Test func changedMessagesNeverCrash() throws {
        let chance = Chance(seed: Self.seed)
        let slave = try Self.makeSlave()
        let ring = try SendRing(slotCount: 16, slotByteCount: 1_400, wake: nil)
        let master = MasterProtocol(ring: ring)
        master.start(MasterClaim(epoch: 1_000, nodeID: 1))
        let entries = SampleEntries.plain + SampleEntries.translated
        var refused = 0
        for step in 0..<50_000 {
            var content = PacketBytes.update(chance.one(of: entries), bits: UInt8(chance.below(4)))
            content += PacketBytes.delete(chance.one(of: entries).key)
            content += PacketBytes.bracket(chance.happens(500) ? .UPDATE : .DELETE, 1)
            for _ in 0..<chance.below(4) {
                content[chance.below(content.count)] = UInt8(chance.below(256))
            }
            let types = PacketHeader.PacketType.allCases
            var header = PacketHeader(
                type: chance.happens(700) ? .SYNC : chance.one(of: types), nodeID: 1,
                epoch: 1_000, sequence: slave.applied + 1)
            if chance.happens(20) { header.sequence |= 1 << 62 }
            header.messageCount = chance.happens(100) ? UInt16(chance.below(9)) : 3
            header.oldest = chance.happens(20) ? header.sequence + 1 : 1
            let packet = PacketBytes.sealed(header, content)
            let before = Self.state(slave)
            let bad = slave.counters.bad[WireError.message.index]
            Self.feed(slave, packet)
            if slave.counters.bad[WireError.message.index] != bad {
                refused += 1
                #expect(Self.state(slave) == before, "seed \(Self.seed), step \(step)")
            }
            header.nodeID = 2
            _ = master.receive(
                PacketBytes.sealed(header, content).span.bytes, from: PacketBytes.peer, now: 1)
        }
        #expect(refused > 1_000)
        #expect(slave.counters.messages > 1_000)
    }

    @Test func foreignAndStalePacketsAreCountedAndChangeNothing() throws {
        let slave = try Self.makeSlave()
        let before = Self.state(slave)
        let update = PacketBytes.update(SampleEntries.plain[0])
        Self.feed(slave, PacketBytes.sync(2, [update], epoch: 999))
        Self.feed(slave, PacketBytes.announcement(2, from: 0, epoch: 1_000))
        #expect(slave.counters.stale == 2)
        // All that follows is an answer: which claim is followed.
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)
        defer { target.deallocate() }
        let answer = slave.output(now: Duration.second, wallMicroseconds: 0, target)
        #expect(answer?.1 == PacketBytes.peer)
        Self.feed(slave, PacketBytes.sync(2, [update], from: 2, epoch: 2_000))
        #expect(slave.counters.ownID == 1)
        let request = PacketHeader(type: .SLAVE_INITSYNC, nodeID: 3, epoch: 1_000, sequence: 1)
        Self.feed(slave, PacketBytes.sealed(request))
        #expect(Self.state(slave) == before)
    }
}
