// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A master with two links: over which it sends, and where to it sends again.
@Suite struct MasterLinksTests {
    private static let peers = (0..<2).map {
        PeerAddress(
            address: Address(ipv4: 0xA9FE_0002 + UInt32($0) << 8), family: .ipv4, port: 9,
            link: UInt8($0))
    }

    private static func make() throws -> MasterProtocol {
        try .havingSent(3, nodeID: 5, linkCount: 2)
    }

    /// A NACK for the second packet.
    private static func nack(
        _ links: LinkSet, clock: UInt64, from node: UInt8 = 2
    ) -> [UInt8] {
        var header = PacketHeader(type: .NACK, nodeID: node, epoch: 100, sequence: 2)
        header.messageCount = 1
        header.clockMicroseconds = clock
        var report = SlaveReport()
        report.links = links
        return PacketBytes.sealed(
            header, [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1] + PacketBytes.report(report))
    }

    private static func again(_ master: MasterProtocol) -> [UInt8] {
        var links: [UInt8] = []
        while let item = master.nextAgain(now: .max) { links.append(item.peer.link) }
        return links
    }

    /// Nobody heard: all links. Then as few as reach those that were heard in the last two seconds.
    @Test func theStreamGoesOverWhatTheSlavesHear() throws {
        let master = try Self.make()
        #expect(master.links == .all(2))
        func hears(_ node: UInt8, _ links: LinkSet, by link: Int, at now: Instant) {
            let packet = Self.nack(links, clock: now, from: node)
            _ = master.receive(packet.span.bytes, from: Self.peers[link], now: now)
        }
        let second = Duration.second
        hears(2, .all(2), by: 0, at: second)
        #expect(master.links == LinkSet(link: 0))
        hears(2, LinkSet(link: 1), by: 1, at: second + 1)
        #expect(master.links == LinkSet(link: 1))
        hears(3, LinkSet(link: 0), by: 0, at: second + 2)
        #expect(master.links == .all(2))
        // A slave that does not say what it hears is reached where it answers.
        hears(2, [], by: 0, at: second + 3)
        #expect(master.links == LinkSet(link: 0))
        hears(2, LinkSet(link: 1), by: 0, at: second + 4)
        // Links that this master does not have.
        hears(3, [LinkSet(link: 2), LinkSet(link: 1)], by: 0, at: second + 5)
        #expect(master.links == LinkSet(link: 1))
        master.chooseLinks(now: 4 * second)
        #expect(master.links == .all(2))
    }

    /// Packets are sent again by each link that the slave hears, once, though the NACK comes by both.
    @Test func packetsAreSentAgainWhereTheyAreHeard() throws {
        let master = try Self.make()
        func receive(_ packet: [UInt8], by link: Int, at now: Instant) -> [UInt8] {
            _ = master.receive(packet.span.bytes, from: Self.peers[link], now: now)
            return Self.again(master)
        }
        let first = Self.nack(.all(2), clock: 1)
        // By the second link the slave was not heard yet.
        #expect(receive(first, by: 0, at: 10) == [0])
        #expect(receive(first, by: 1, at: 11).isEmpty)
        #expect(master.counters.nacks == 1)
        var now = 11 + Retransmission.pause
        let second = Self.nack(.all(2), clock: 2)
        #expect(receive(second, by: 1, at: now) == [0, 1])
        #expect(receive(second, by: 0, at: now + 1).isEmpty)
        // Another one so soon is no copy, and answered by neither link.
        #expect(receive(Self.nack(.all(2), clock: 3), by: 0, at: now + 2).isEmpty)
        #expect(master.counters.nacks == 3)
        now += 2 * Retransmission.pause
        #expect(receive(Self.nack(LinkSet(link: 1), clock: 4), by: 0, at: now) == [1])
        #expect(master.peers.first?.paths.map(\.address) == Self.peers)
    }

    /// Who takes a handover does not say what it hears: it is sent what it lacks by all links that it
    /// was heard by.
    @Test func whoSaysNothingOfLinksIsSentAgainByAll() throws {
        let master = try Self.make()
        _ = master.receive(Self.nack([], clock: 1).span.bytes, from: Self.peers[0], now: 10)
        #expect(Self.again(master) == [0])
        let now = 10 + 2 * Retransmission.pause
        _ = master.receive(Self.nack([], clock: 2).span.bytes, from: Self.peers[1], now: now)
        #expect(Self.again(master) == [0, 1])
        #expect(master.addresses(of: 2) == Self.peers)
    }

    /// Who is known by a link cannot be spoken for from another address there.
    @Test func aSlaveIsKnownByEachLink() throws {
        let master = try Self.make()
        for link in 0..<2 {
            let packet = Self.nack(.all(2), clock: UInt64(link))
            _ = master.receive(packet.span.bytes, from: Self.peers[link], now: 10)
        }
        _ = Self.again(master)
        for link in 0..<2 {
            var forged = Self.peers[link]
            forged.address = Address(ipv4: 0xA9FE_0009)
            let packet = Self.nack(.all(2), clock: 9)
            _ = master.receive(packet.span.bytes, from: forged, now: 10 * Duration.millisecond)
        }
        #expect(Self.again(master).isEmpty && master.counters.stale == 2)
    }
}
