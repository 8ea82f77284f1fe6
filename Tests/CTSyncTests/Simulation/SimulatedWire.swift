// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// The sync link: packets to one node or to all others, lost, doubled, late and out of order.
final class SimulatedWire {
    private struct Packet {
        var due: Instant
        var source: Int
        var target: Int
        var bytes: [UInt8]
    }

    /// How many packets in a thousand are lost on the way to one node.
    var loss = 0
    /// How many come twice.
    var doubling = 0
    /// How late a packet may be, in microseconds.
    var delay = 1
    /// Nodes whose link is down.
    var isCut: [Bool]

    private var packets: [Packet] = []
    private let chance: Chance

    init(nodes: Int, _ chance: Chance) {
        isCut = Array(repeating: false, count: nodes)
        self.chance = chance
    }

    func send(_ bytes: UnsafeRawBufferPointer, from source: Int, to target: Int?, now: Instant) {
        let packet = Array(bytes)
        for node in isCut.indices where node != source && (target == nil || target == node) {
            guard !isCut[source], !isCut[node] else { continue }
            for _ in 0..<(chance.happens(doubling) ? 2 : 1) where !chance.happens(loss) {
                let late = UInt64(20 + chance.below(delay)) * Duration.microsecond
                packets.append(
                    Packet(due: now + late, source: source, target: node, bytes: packet))
            }
        }
    }

    /// Hands over what is due, the earliest first.
    func deliver(_ now: Instant, _ body: (_ source: Int, _ target: Int, _ bytes: [UInt8]) -> Void) {
        guard packets.contains(where: { $0.due <= now }) else { return }
        let due = packets.enumerated().filter { $0.element.due <= now }
            .sorted { ($0.element.due, $0.offset) < ($1.element.due, $1.offset) }
        packets.removeAll { $0.due <= now }
        for (_, packet) in due where !isCut[packet.target] {
            body(packet.source, packet.target, packet.bytes)
        }
    }
}
