// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync

/// Packets at a slave and at a master, by the functions that the daemon's thread of the link calls.
///
/// An input is a series of packets:
///
/// ```
/// +------+------------+--------------------+------+---- ...
/// |steps |length 2    |packet              |steps |
/// +------+------------+--------------------+------+---- ...
/// ```
///
/// `steps` says what is mended before the packet is handed in, as hardly any mutation would pass the
/// checksum: without any of it (0) it comes as it is.
private enum Step {
    /// Version, length and checksum fit.
    static let seal: UInt8 = 1 << 0
    /// It is of the epoch and the node that the slave follows.
    static let follow: UInt8 = 1 << 1
    /// It is the next that the slave expects.
    static let next: UInt8 = 1 << 2
    /// It comes a tenth of a second later, else a millisecond.
    static let later: UInt8 = 1 << 3
}

private let checksum = PacketChecksum()
private let peer = PeerAddress(address: Address(ipv4: 0xA9FE_0001), family: .ipv4, port: 3_781)
private let slotByteCount = 1_472

private func mend(_ packet: inout [UInt8], _ steps: UInt8, _ slave: SlaveProtocol) {
    guard steps & Step.seal != 0, packet.count >= PacketHeader.byteCount else { return }
    let count = packet.count
    packet.withUnsafeMutableBytes { raw in
        var bytes = raw.mutableBytes
        bytes.setByte(0, PacketHeader.version)
        bytes.setBig(4, UInt16(count))
        if steps & Step.follow != 0 {
            bytes.setByte(2, max(slave.master.nodeID, 1))
            bytes.setBig(8, max(slave.master.epoch, 1))
        }
        if steps & Step.next != 0 { bytes.setBig(16, slave.applied + 1) }
        bytes.setBig(PacketChecksum.place, UInt32(0))
        bytes.setBig(PacketChecksum.place, checksum.value(of: bytes.bytes))
    }
}

@main enum PacketFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    guard let table = try? ReplicaTable(capacity: 64, seed: 1),
        let slave = try? SlaveProtocol(
            nodeID: 2, table: table, filter: .everything, ringSlots: 16,
            slotByteCount: slotByteCount),
        let ring = try? SendRing(slotCount: 16, slotByteCount: slotByteCount, wake: nil)
    else { fatalError("no memory") }
    let master = MasterProtocol(ring: ring)
    ring.reset(epoch: 1, nodeID: 1)
    master.start(MasterClaim(epoch: 1, nodeID: 1))
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: slotByteCount, alignment: 8)
    defer { target.deallocate() }
    var now = Duration.second
    while !input.isEmpty {
        let steps = input.byte()
        let length = Int(input.byte()) << 8 | Int(input.byte())
        var packet = input.array(atMost: min(length, slotByteCount))
        mend(&packet, steps, slave)
        now += (steps & Step.later != 0 ? 100 : 1) * Duration.millisecond
        _ = slave.receive(packet.span.bytes, from: peer, now: now, wallMicroseconds: 1 << 50)
        _ = master.receive(packet.span.bytes, from: peer, now: now, wallMicroseconds: 1 << 50)
        for _ in 0..<4 where slave.output(now: now, wallMicroseconds: 1, target) == nil { break }
        while let item = master.nextAgain(now: now) { _ = ring.copy(item.sequence, to: target) }
        _ = slave.outOfSync(now: now)
    }
    slave.table.assertValid()
    return 0
}
