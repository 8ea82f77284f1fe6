// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// One end of a link in memory: what it sends is kept, what it is given it opens.
final class SealedNode {
    /// Keeps what is sent.
    final class Port: SyncLink, @unchecked Sendable {
        var sent: [(datagram: [UInt8], peer: PeerAddress?)] = []
        let linkCount: Int

        init(linkCount: Int) { self.linkCount = linkCount }

        func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
            for index in 0..<count { sent.append((Array(buffers.pointed(index)), peer)) }
            return 0
        }

        /// What was sent since the last call.
        func take() -> [[UInt8]] {
            defer { sent = [] }
            return sent.map(\.datagram)
        }
    }

    let id: UInt8
    let seal: LinkSeal
    let port: Port
    let sealer: LinkSealer
    let opener: LinkOpener
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2_048, alignment: 8)

    /// A node with these keys, each 32 times the same byte.
    init(
        _ id: UInt8, keys: [UInt8], _ mode: SealMode = .strict, linkCount: Int = 1
    ) throws {
        self.id = id
        port = Port(linkCount: linkCount)
        seal = try LinkSeal(nodeID: id)
        try seal.use(try keys.map { try SealTests.key($0) }, mode)
        sealer = try LinkSealer(seal)
        opener = try LinkOpener(sealer, link: port, reach: 64)
    }

    deinit { buffer.deallocate() }

    var peer: PeerAddress { address(by: 0) }

    /// Where it is by a link.
    func address(by link: UInt8, _ family: Family = .ipv4) -> PeerAddress {
        let address =
            family == .ipv4
            ? Address(ipv4: 0x0A00_0000 + UInt32(link) << 8 + UInt32(id))
            : Address(high: 0xFD00 << 48 + UInt64(link), low: UInt64(id))
        return PeerAddress(address: address, family: family, port: 3781, link: link)
    }

    var report: SealReport {
        opener.publish()
        return seal.report
    }

    /// A packet of this node, ready for the link; unsealed if it does not seal now.
    func packet(
        sequence: UInt64 = 7, id: UInt8? = nil, to peer: PeerAddress? = nil, now: Instant
    ) -> [UInt8] {
        var header = PacketHeader(
            type: .MASTER_ANNOUNCE, nodeID: id ?? self.id, epoch: 5, sequence: sequence)
        header.length = UInt16(SendRing.announcementByteCount)
        let memory = UnsafeMutableRawBufferPointer(
            rebasing: buffer[..<(LinkSealer.room + Int(header.length))])
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        var bytes = UnsafeMutableRawBufferPointer(rebasing: memory[LinkSealer.room...])
            .mutableBytes
        header.seal(&bytes, nil)
        return Array(sealer.finish(memory, sealer.sealer(to: peer, now: now)))
    }

    /// Takes a datagram; gives the packet in it, nil if it was dropped.
    @discardableResult
    func open(
        _ datagram: [UInt8], from node: SealedNode, by link: UInt8 = 0,
        _ family: Family = .ipv4, now: Instant
    ) -> [UInt8]? {
        let memory = UnsafeMutableRawBufferPointer(rebasing: buffer[..<datagram.count])
        memory.copyBytes(from: datagram)
        return opener.open(memory, from: node.address(by: link, family), now: now).map { Array($0) }
    }

    /// Has both nodes prove themselves to each other, with a packet of the first.
    static func meet(_ one: SealedNode, _ other: SealedNode, now: Instant) {
        other.open(one.packet(now: now), from: one, now: now)
        for _ in 0..<3 {
            for datagram in other.port.take() { one.open(datagram, from: other, now: now) }
            for datagram in one.port.take() { other.open(datagram, from: one, now: now) }
        }
    }
}
