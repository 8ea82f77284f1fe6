// SPDX-License-Identifier: GPL-2.0-or-later

/// What became of packets before the engines saw them, and who speaks in another way than this node.
struct SealReport: Sendable {
    /// Datagrams that were read and not handed on.
    var packets: UInt64 = 0
    /// Their bytes, and those of the envelopes of the others.
    var bytes: UInt64 = 0
    /// Sealed packets that were opened and handed on.
    var opened: UInt64 = 0
    /// Packets without a seal; dropped if the mode is strict.
    var unsealed: UInt64 = 0
    /// Dropped: no key of this node has the packet's key id.
    var anotherKey: UInt64 = 0
    /// Dropped: the tag does not fit.
    var tag: UInt64 = 0
    /// Dropped: come before, or older than the proof of its session.
    var replayed: UInt64 = 0
    /// Dropped: come before by another way, or asked for again.
    var doubles: UInt64 = 0
    /// Dropped: of a session that is not proven.
    var unproven: UInt64 = 0
    /// Dropped: it has come by another link than it is of.
    var anotherLink: UInt64 = 0
    /// Dropped: the sender has this node's id.
    var ownID: UInt64 = 0
    /// Dropped: malformed, by reason, in the order of `WireError.allCases`.
    var bad = InlineArray<7, UInt64>(repeating: 0)
    /// The last packet of each reason.
    var drops = DropRecord()
    /// Who speaks in another way.
    var strangers = Strangers()

    /// Nothing counted.
    init() {}
}

/// Nodes whose packets are whole but of another key, or of none; a few at a time.
struct Strangers: Sendable {
    /// Silence after which a node is forgotten ...
    static let silence = 5 * Duration.second
    /// ... and after which one is that has spoken as this one does meanwhile: in the mode `permissive` a node
    /// speaks in both ways in turn.
    static let understoodSilence = 1_500 * Duration.millisecond
    /// The most that are known at a time.
    static let limit = 8

    /// What is different.
    enum Kind: Sendable, Equatable {
        /// Its key is not one of this node's.
        case anotherKey
        /// It has a key, this node has none.
        case sealed
        /// It has none, this node has one.
        case unsealed
    }

    /// One node.
    struct Stranger: Sendable, Equatable {
        var nodeID: UInt8
        var peer: PeerAddress
        var kind: Kind
        /// When it was heard last; 0 for nobody.
        var at: Instant = 0
        /// When it last spoke as this node does; 0 for never.
        var understoodAt: Instant = 0

        /// What a person is told.
        var sentence: String {
            let node = "node \(nodeID) at \(HostAddress(peer.family, peer.address))"
            switch kind {
            case .anotherKey: return "\(node) speaks with another key"
            case .sealed: return "\(node) seals its packets, and this node has no key"
            case .unsealed: return "\(node) does not seal its packets"
            }
        }

        /// The same node with the same difference, whenever and wherever it was heard.
        func isSame(_ other: Stranger) -> Bool {
            nodeID == other.nodeID && kind == other.kind
        }

        /// It was heard again; a node that is heard in both families is shown with IPv4.
        fileprivate mutating func heard(_ again: Stranger) {
            let isOther = peer.family == .ipv4 && again.peer.family == .ipv6
            if !isOther || again.at >= at + PreferredAddress.silence { self = again }
        }
    }

    private var places = InlineArray<8, Stranger>(
        repeating: Stranger(
            nodeID: 0, peer: PeerAddress(address: .any, family: .ipv4, port: 0), kind: .sealed))

    /// Nobody.
    init() {}

    /// Records a packet; while all places are taken, others have to wait.
    mutating func heard(_ stranger: Stranger) {
        var free: Int?
        for index in 0..<Self.limit {
            if places[index].isSame(stranger) {
                if isHeard(index, now: stranger.at) {
                    places[index].heard(stranger)
                } else {
                    places[index] = stranger
                }
                return
            }
            if !isHeard(index, now: stranger.at) { free = index }
        }
        if let free { places[free] = stranger }
    }

    /// A node speaks as this one does.
    mutating func understands(_ nodeID: UInt8, _ peer: PeerAddress, now: Instant) {
        for index in 0..<Self.limit
        where places[index].at != 0 && places[index].nodeID == nodeID && places[index].peer == peer
        {
            places[index].understoodAt = now
        }
    }

    /// Those that were heard lately.
    func all(now: Instant) -> [Stranger] {
        (0..<Self.limit).filter { isHeard($0, now: now) }.map { places[$0] }
    }

    private func isHeard(_ index: Int, now: Instant) -> Bool {
        let place = places[index]
        let silence = place.understoodAt >= place.at ? Self.understoodSilence : Self.silence
        return place.at != 0 && now < place.at + silence
    }
}
