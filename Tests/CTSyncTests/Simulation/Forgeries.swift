// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A stranger on the link: packets in the master's name that are far ahead of its stream, requests in a
/// slave's name from elsewhere, announcements of another cluster.
///
/// Promise 6: nobody follows it, and nobody sends it anything. That slaves get over what leads them astray,
/// the end of each schedule shows.
final class Forgeries {
    /// Where it is on the link, and its id: no node's.
    private static let (place, nodeID) = (200, UInt8(201))
    /// How far ahead of the stream its packets are.
    private static let jump: UInt64 = 1 << 40
    /// A slave that was heard so lately is not believed to be elsewhere.
    private static let patience = 500 * Duration.millisecond

    private let chance: Chance
    private let wires: [SimulatedWire]
    private let checksum = PacketChecksum()
    private let foreign = PacketChecksum(cluster: "other")

    init(_ schedule: Schedule, _ wires: [SimulatedWire]) {
        chance = Chance(seed: schedule.seed &* 53 &+ 27)
        self.wires = wires
    }

    /// Sends something, now and then.
    ///
    /// - Returns: whether slaves may be led astray.
    func send(_ nodes: [SimulatedNode], now: Instant) -> Bool {
        guard chance.happens(4), let master = nodes.first(where: { $0.role == .master }),
            let daemon = master.daemon
        else { return false }
        switch chance.below(3) {
        case 0:
            leadAstray(nodes, master, daemon)
            return true
        case 1: ask(master, daemon, now)
        default: announce(nodes, daemon)
        }
        return false
    }

    /// - Throws: what breaks the promise.
    func check(_ nodes: [SimulatedNode]) throws {
        if wires.contains(where: { $0.strayCount > 0 }) {
            throw SimulatedCluster.Failure(6, "a stranger is sent something")
        }
        for node in nodes {
            guard let daemon = node.daemon else { continue }
            let claims = [daemon.slave.slave.master, daemon.engine.machine.highest]
            guard claims.contains(where: { $0.nodeID == Self.nodeID }) else { continue }
            throw SimulatedCluster.Failure(6, "node \(node.index) believes another cluster")
        }
    }

    private func leadAstray(
        _ nodes: [SimulatedNode], _ master: SimulatedNode, _ daemon: SimulatedDaemon
    ) {
        let claim = daemon.engine.claim
        var header = PacketHeader(
            type: .SYNC, nodeID: claim.nodeID, epoch: claim.epoch,
            sequence: daemon.master.ring.lastSent + Self.jump)
        header.oldest = chance.happens(500) ? header.sequence : 1
        let packet = sealed(header, byteCount: 0, checksum) { _ in }
        for node in nodes where node !== master {
            node.trace("is led astray")
            node.deliver(packet, from: master.index, by: 0)
        }
    }

    private func ask(_ master: SimulatedNode, _ daemon: SimulatedDaemon, _ now: Instant) {
        let heard = daemon.master.exchange.peers.filter { now < $0.lastHeard + Self.patience }
        guard !heard.isEmpty else { return }
        var header = PacketHeader(
            type: .NACK, nodeID: chance.one(of: heard).nodeID, epoch: daemon.engine.claim.epoch,
            sequence: 1)
        header.messageCount = 1
        let packet = sealed(
            header, byteCount: SequenceRange.byteCount + SlaveReport.byteCount, checksum
        ) { bytes in
            SequenceRange(first: 1, count: .max).write(&bytes, index: 0)
            SlaveReport().write(&bytes, at: PacketHeader.byteCount + SequenceRange.byteCount)
        }
        master.deliver(packet, from: Self.place, by: 0)
    }

    private func announce(_ nodes: [SimulatedNode], _ daemon: SimulatedDaemon) {
        let header = PacketHeader(
            type: .MASTER_ANNOUNCE, nodeID: Self.nodeID, epoch: daemon.engine.claim.epoch + 1,
            sequence: 0)
        let packet = sealed(header, byteCount: Announcement.byteCount, foreign) { bytes in
            Announcement().write(&bytes)
        }
        for node in nodes { node.deliver(packet, from: Self.place, by: 0) }
    }

    private func sealed(
        _ header: PacketHeader, byteCount: Int, _ checksum: PacketChecksum,
        _ write: (inout MutableRawSpan) -> Void
    ) -> [UInt8] {
        var header = header
        var packet = [UInt8](repeating: 0, count: PacketHeader.byteCount + byteCount)
        header.length = UInt16(packet.count)
        packet.withUnsafeMutableBytes { buffer in
            var bytes = buffer.mutableBytes
            write(&bytes)
            header.seal(&bytes, checksum)
        }
        return packet
    }
}
