// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// The sync link: packets to one node or to all others; lost, doubled, late and out of order, broken,
/// or swallowed where they are large. Each way of each pair of nodes can be cut.
final class SimulatedWire {
    private struct Packet {
        var due: Instant
        var source: Int
        var target: Int
        var bytes: [UInt8]
    }

    /// A way from one node to another.
    struct Way: Hashable {
        var source: Int
        var target: Int
    }

    /// How many packets in a thousand are lost on the way to one node.
    var loss = 0
    /// How many come twice.
    var doubling = 0
    /// How late a packet may be, in microseconds.
    var delay = 1
    /// How many have a byte changed.
    var corruption = 0
    /// Packets of more bytes are swallowed.
    var largest = Int.max
    /// Changes a packet on its way to a node.
    var alter: ((_ source: Int, _ target: Int, _ bytes: inout [UInt8]) -> Void)?
    /// Sees each packet at its target's device, also those of ways that are down.
    var tap: ((_ source: Int, _ target: Int, _ bytes: [UInt8]) -> Void)?
    /// How many packets went to where no node is.
    private(set) var strayCount = 0
    /// Ways that are down.
    var cuts: Set<Way> = []
    let nodeCount: Int
    /// The link that it is, of several.
    let place: UInt8

    private var packets: [Packet] = []
    private let chance: Chance

    init(nodes: Int, _ chance: Chance, place: UInt8 = 0) {
        nodeCount = nodes
        self.place = place
        self.chance = chance
    }

    /// The link's address of a node.
    static func address(_ index: Int, link: UInt8 = 0) -> PeerAddress {
        PeerAddress(
            address: Address(ipv4: 0xA9FE_0001 + UInt32(index)), family: .ipv4, port: 1, link: link)
    }

    /// The node at an address.
    static func index(of peer: PeerAddress) -> Int {
        Int(peer.address.low - address(0).address.low)
    }

    /// Whether a packet from one node reaches the other.
    func connects(_ source: Int, _ target: Int) -> Bool {
        !cuts.contains(Way(source: source, target: target))
    }

    /// Cuts all ways of a node, or joins them again.
    func cut(_ node: Int, _ isCut: Bool) {
        for other in 0..<nodeCount where other != node {
            for way in [Way(source: node, target: other), Way(source: other, target: node)] {
                if isCut { cuts.insert(way) } else { cuts.remove(way) }
            }
        }
    }

    func send(_ bytes: UnsafeRawBufferPointer, from source: Int, to target: Int?, now: Instant) {
        if let target, target >= nodeCount { strayCount += 1 }
        guard bytes.count <= largest else { return }
        for node in 0..<nodeCount where node != source && (target == nil || target == node) {
            var packet = Array(bytes)
            alter?(source, node, &packet)
            tap?(source, node, packet)
            guard connects(source, node) else { continue }
            for _ in 0..<(chance.happens(doubling) ? 2 : 1) where !chance.happens(loss) {
                let late = UInt64(20 + chance.below(delay)) * Duration.microsecond
                var copy = packet
                if chance.happens(corruption) {
                    copy[chance.below(copy.count)] ^= UInt8(1 << chance.below(8))
                }
                packets.append(
                    Packet(due: now + late, source: source, target: node, bytes: copy))
            }
        }
    }

    /// Hands over what is due, the earliest first.
    func deliver(_ now: Instant, _ body: (_ source: Int, _ target: Int, _ bytes: [UInt8]) -> Void) {
        guard packets.contains(where: { $0.due <= now }) else { return }
        let due = packets.enumerated().filter { $0.element.due <= now }
            .sorted { ($0.element.due, $0.offset) < ($1.element.due, $1.offset) }
        packets.removeAll { $0.due <= now }
        for (_, packet) in due where connects(packet.source, packet.target) {
            body(packet.source, packet.target, packet.bytes)
        }
    }
}

/// One node's ends of the links.
final class SimulatedPort: SyncLink, @unchecked Sendable {
    private let wires: [SimulatedWire]
    private let index: Int
    /// The instant at which the node sends.
    var now: Instant = 0
    /// Sees each packet that it is to send.
    var look: ([UInt8]) -> Void = { _ in }
    /// How many packets in a thousand the network refuses, and by which chances.
    var refusal: (perMille: Int, chance: Chance)?
    /// How many packets it has sent.
    private(set) var sentCount = 0

    init(_ wires: [SimulatedWire], _ index: Int) {
        self.wires = wires
        self.index = index
    }

    var linkCount: Int { wires.count }
    let isMulticast = true

    func send(_ buffers: DatagramBuffers, count: Int, over links: LinkSet) -> UInt64 {
        var refused = UInt64(count)
        for wire in wires where links.contains(link: Int(wire.place)) {
            var here: UInt64 = 0
            for item in 0..<count {
                sentCount += 1
                look(Array(buffers.pointed(item)))
                guard !isRefused else {
                    here += 1
                    continue
                }
                wire.send(buffers.pointed(item), from: index, to: nil, now: now)
            }
            refused = min(refused, here)
        }
        return refused
    }

    private var isRefused: Bool {
        refusal.map { $0.chance.happens($0.perMille) } ?? false
    }

    /// Now and then it would make the event listener wait, which leaves the packets to the sender.
    var isReady: Bool { sentCount % 4 != 3 }

    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
        var refused: UInt64 = 0
        for item in 0..<count where !send(buffers.pointed(item), to: peer) { refused += 1 }
        return refused
    }

    /// Sends a packet; false if the network takes it by no link.
    func send(_ bytes: UnsafeRawBufferPointer, to peer: PeerAddress?) -> Bool {
        var isTaken = false
        for wire in wires where peer == nil || peer?.link == wire.place {
            sentCount += 1
            look(Array(bytes))
            guard !isRefused else { continue }
            isTaken = true
            wire.send(bytes, from: index, to: peer.map { SimulatedWire.index(of: $0) }, now: now)
        }
        return isTaken
    }
}
