// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The seal of the sync link as all threads of a node share it: the keys, this start's session, and
/// whether a packet that goes out is to be sealed.
///
/// In the mode `permissive` a packet for all nodes is sealed if somebody who seals was heard in the
/// last seconds, and nobody who does not; one for a single node if that one was heard sealing. So a
/// cluster changes over by itself, at the moment when the last node has the key.
final class LinkSeal: Sendable {
    /// How long a node counts as one that seals, or as one that does not, after it was heard.
    static let heardInterval = 3 * Duration.second

    let session: SealSession
    private let current = Atomic<UInt8>(SealMode.off.rawValue)
    private let sealedAt = Atomic<UInt64>(0)
    private let unsealedAt = Atomic<UInt64>(0)
    private let nodes = Mutex(SealingNodes())
    private let latest = Mutex(SealReport())

    /// The seal of a node that starts now, without a key.
    ///
    /// - Parameter cluster: the cluster's name.
    init(nodeID: UInt8, cluster: String = "") throws(ConfigurationError) {
        var random = SystemRandomNumberGenerator()
        session = SealSession(
            nodeID: nodeID, salt: random.next(upperBound: UInt64.max) + 1,
            keys: try SealKeyRing([], cluster: cluster))
    }

    /// What packets that are not sealed have.
    var checksum: PacketChecksum { PacketChecksum(cluster: session.keys.cluster) }

    /// What is done about it now.
    var mode: SealMode { SealMode(rawValue: current.load(ordering: .acquiring)) ?? .off }

    /// Bytes that each packet has to leave free.
    var overhead: Int { mode == .off ? 0 : SealEnvelope.byteCount }

    /// How many keys there are.
    var keyCount: Int { session.keys.all.count }

    /// Takes other keys or another mode; session and counter go on.
    ///
    /// - Parameter keys: none for the mode `off`, which alone does without.
    /// - Throws: `ConfigurationError` if two keys have one id; nothing has changed then.
    func use(_ keys: [SealKey], _ mode: SealMode) throws(ConfigurationError) {
        precondition(keys.isEmpty == (mode == .off))
        // No thread may seal without a key: it is there before the mode and goes after it.
        if mode == .off { current.store(mode.rawValue, ordering: .releasing) }
        try session.keys.replace(keys)
        current.store(mode.rawValue, ordering: .releasing)
    }

    /// Whether a packet that goes out now is to be sealed.
    ///
    /// - Parameter peer: nil for all nodes.
    func isSealing(to peer: PeerAddress?, now: Instant) -> Bool {
        switch mode {
        case .off: return false
        case .strict: return true
        case .permissive:
            if let peer { return nodes.withLock { $0.isSealing(peer, now: now) } }
            return Self.isRecent(sealedAt.load(ordering: .relaxed), now)
                && !Self.isRecent(unsealedAt.load(ordering: .relaxed), now)
        }
    }

    /// Whether nodes that wait for a sealed packet are to be given one now and then.
    func wantsBeacon(now: Instant) -> Bool {
        mode == .permissive && !isSealing(to: nil, now: now)
    }

    /// Records a packet of a proven session.
    func heardSealed(_ nodeID: UInt8, _ peer: PeerAddress, now: Instant) {
        guard mode == .permissive else { return }
        sealedAt.store(now, ordering: .relaxed)
        nodes.withLock { $0.heard(nodeID, peer, now: now) }
    }

    /// Records a packet that was taken without a seal.
    func heardUnsealed(now: Instant) {
        unsealedAt.store(now, ordering: .relaxed)
    }

    fileprivate static func isRecent(_ instant: Instant, _ now: Instant) -> Bool {
        instant != 0 && now < instant + heardInterval
    }

    // MARK: For the status

    /// What was dropped, as of the last batch, and who speaks in another way.
    var report: SealReport { latest.withLock { $0 } }

    /// Shows it; for the thread that opens.
    func publish(_ report: SealReport) {
        latest.withLock { $0 = report }
    }
}

/// Where the sealed packets of each node came from, and when last.
private struct SealingNodes: ~Copyable {
    private struct SealingNode: BitwiseCopyable {
        var peer = PeerAddress(address: .any, family: .ipv4, port: 0)
        var at: Instant = 0
    }

    /// A node and a link each.
    private static let count = 256 * LinkSet.limit
    private let nodes: UnsafeMutablePointer<SealingNode>

    init() {
        nodes = .allocate(capacity: Self.count)
        nodes.initialize(repeating: SealingNode(), count: Self.count)
    }

    deinit { nodes.deallocate() }

    /// The place of node 0 of a peer's link.
    private static func first(_ peer: PeerAddress) -> Int {
        256 * min(Int(peer.link), LinkSet.limit - 1)
    }

    /// Records a sealed packet of a node.
    func heard(_ nodeID: UInt8, _ peer: PeerAddress, now: Instant) {
        nodes[Self.first(peer) + Int(nodeID)] = SealingNode(peer: peer, at: now)
    }

    /// Whether any node has sent sealed packets from here lately.
    func isSealing(_ peer: PeerAddress, now: Instant) -> Bool {
        let first = Self.first(peer)
        for index in first..<first + 256 where LinkSeal.isRecent(nodes[index].at, now) {
            if nodes[index].peer == peer { return true }
        }
        return false
    }
}
