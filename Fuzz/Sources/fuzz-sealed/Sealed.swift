// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync

/// Sealed datagrams at a node that has the key, made by somebody who has it too: by the functions that
/// the daemon's thread of the link calls, up to the slave and the master behind the seal.
///
/// An input is a series of datagrams:
///
/// ```
/// +------+------------+--------------------+------+---- ...
/// |steps |length 2    |datagram, or content|steps |
/// +------+------------+--------------------+------+---- ...
/// ```
///
/// Without any of the steps (0) a datagram comes as it is.
private enum Step {
    /// It is the content of a datagram, which is sealed.
    static let seal: UInt8 = 1 << 0
    /// ... as a HELLO, else as a packet.
    static let hello: UInt8 = 1 << 1
    /// ... of a session that is not proven, else of one that is.
    static let stranger: UInt8 = 1 << 2
    /// The content is a packet whose version, length, node and epoch fit.
    static let mend: UInt8 = 1 << 3
    /// It is the next that the slave expects.
    static let next: UInt8 = 1 << 4
    /// It comes a tenth of a second later, else a millisecond.
    static let later: UInt8 = 1 << 5
    /// None of that: the datagram that came before comes once more.
    static let again: UInt8 = 1 << 6
    /// A byte of the sealed datagram is changed: which one the first byte of the content says.
    static let spoil: UInt8 = 1 << 7
}

@main enum SealedFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

/// Keeps the last datagram, and how many there were.
private final class Port: SyncLink, @unchecked Sendable {
    var sent: [UInt8] = []
    var count = 0

    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
        sent = Array(buffers.pointed(0))
        self.count += count
        return 0
    }
}

/// One end of the link, with the key.
private struct End {
    static let peer = PeerAddress(
        address: Address(ipv4: 0xA9FE_0001), family: .ipv4, port: 3_781)
    let port = Port()
    let sealer: LinkSealer
    let opener: LinkOpener

    init(_ nodeID: UInt8) throws {
        let seal = try LinkSeal(nodeID: nodeID)
        guard let key = SealKey([UInt8](repeating: 0x5A, count: 32)) else {
            fatalError("32 bytes are a key")
        }
        try seal.use([key], .strict)
        sealer = try LinkSealer(seal)
        opener = try LinkOpener(sealer, link: port, reach: 64)
    }

    func seal(_ content: [UInt8], _ kind: SealEnvelope.Kind) -> [UInt8] {
        var datagram = [UInt8](repeating: 0, count: LinkSealer.room) + content
        datagram.withUnsafeMutableBytes { sealer.always.seal($0, kind) }
        return datagram
    }

    /// The packet in a datagram; nil if it is dropped. Nothing larger than it goes out.
    func open(_ datagram: [UInt8], now: Instant) -> [UInt8]? {
        var copy = datagram
        let before = port.count
        let packet = copy.withUnsafeMutableBytes {
            opener.open($0, from: Self.peer, now: now).map { Array($0) }
        }
        precondition(port.count <= before + 1)
        precondition(port.count == before || port.sent.count <= datagram.count)
        return packet
    }
}

private let slotByteCount = 1_432

/// Node 2, which is slave and master, and two ends of node 1, of which it knows one.
private final class Table {
    private let node: End
    private let friend: End
    private let stranger: End
    private let slave: SlaveProtocol
    private let master: MasterProtocol
    private var now = Duration.second
    private var last: [UInt8] = []
    /// Whether it is a packet of the end that is known, which has not come yet.
    private var mayPass = false

    init() throws {
        (node, friend, stranger) = (try End(2), try End(1), try End(1))
        slave = try SlaveProtocol(
            nodeID: 2, table: try ReplicaTable(capacity: 64, seed: 1), filter: .everything,
            ringSlots: 16, slotByteCount: slotByteCount, checksum: nil)
        let ring = try SendRing(slotCount: 16, slotByteCount: slotByteCount, wake: nil)
        ring.reset(epoch: 1, nodeID: 2)
        master = MasterProtocol(ring: ring, checksum: nil)
        master.start(MasterClaim(epoch: 1, nodeID: 2))
        var header = PacketHeader(type: .NACK, nodeID: 1, epoch: 0, sequence: 0)
        header.length = UInt16(PacketHeader.byteCount + SlaveReport.byteCount)
        var first = [UInt8](repeating: 0, count: Int(header.length))
        first.withUnsafeMutableBytes { raw in
            var bytes = raw.mutableBytes
            header.seal(&bytes, nil)
        }
        _ = node.open(friend.seal(first, .SEALED), now: now)
        for _ in 0..<2 {
            _ = friend.open(node.port.sent, now: now)
            _ = node.open(friend.port.sent, now: now)
        }
        precondition(node.open(friend.seal(first, .SEALED), now: now) != nil, "they have met")
    }

    func take(_ input: inout FuzzInput) {
        let steps = input.byte()
        let length = Int(input.byte()) << 8 | Int(input.byte())
        var content = input.array(atMost: min(length, slotByteCount))
        now += (steps & Step.later != 0 ? 100 : 1) * Duration.millisecond
        if steps & Step.again == 0 {
            let isSealed = steps & Step.seal != 0
            if isSealed, steps & Step.mend != 0 {
                mend(&content, isNext: steps & Step.next != 0)
            }
            let end = steps & Step.stranger != 0 ? stranger : friend
            let kind: SealEnvelope.Kind = steps & Step.hello != 0 ? .HELLO : .SEALED
            last = isSealed ? end.seal(content, kind) : content
            mayPass = isSealed && steps & (Step.stranger | Step.hello) == 0
        }
        var datagram = last
        let isSpoiled = steps & Step.spoil != 0 && !datagram.isEmpty
        if isSpoiled { datagram[Int(content.first ?? 0) * 7 % datagram.count] ^= 0x10 }
        let packet = node.open(datagram, now: now)
        defer { if !isSpoiled { mayPass = false } }
        guard let packet else { return }
        precondition(mayPass && !isSpoiled, "a packet passed that is none, or once more")
        _ = slave.receive(
            packet.span.bytes, from: End.peer, now: now, wallMicroseconds: 1 << 50)
        _ = master.receive(
            packet.span.bytes, from: End.peer, now: now, wallMicroseconds: 1 << 50)
        while master.nextAgain(now: now) != nil {}
        slave.table.assertValid()
    }

    private func mend(_ packet: inout [UInt8], isNext: Bool) {
        guard packet.count >= PacketHeader.byteCount else { return }
        let count = packet.count
        packet.withUnsafeMutableBytes { raw in
            var bytes = raw.mutableBytes
            bytes.setByte(0, PacketHeader.version)
            bytes.setByte(2, 1)
            bytes.setBig(4, UInt16(count))
            bytes.setBig(8, max(slave.master.epoch, 2))
            if isNext { bytes.setBig(16, slave.applied + 1) }
            bytes.setBig(PacketChecksum.place, UInt32(0))
        }
    }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    guard let table = try? Table() else { fatalError("no memory") }
    while !input.isEmpty { table.take(&input) }
    return 0
}
