// SPDX-License-Identifier: GPL-2.0-or-later

/// The slaves that a master has heard, by node id; a fixed place for each of the 256.
struct PeerList: ~Copyable {
    /// One slave.
    struct Peer: BitwiseCopyable {
        var address: PeerAddress
        var lastHeard: Instant
        /// The sequence number up to which it has applied everything.
        var applied: UInt64
        /// What it says of itself.
        var report = SlaveReport()
        /// What it says of its kernel, once a second; nil before it has.
        var traits: Traits?
    }

    private let peers: UnsafeMutablePointer<Peer>

    init() {
        peers = .allocate(capacity: 256)
        let none = Peer(
            address: PeerAddress(address: .any, family: .ipv4, port: 0), lastHeard: 0, applied: 0)
        peers.initialize(repeating: none, count: 256)
    }

    deinit {
        peers.deallocate()
    }

    /// Records a packet from a slave; what one without traits has said of them stays.
    mutating func heard(_ nodeID: UInt8, _ peer: Peer) {
        var peer = peer
        if peer.traits == nil { peer.traits = peers[Int(nodeID)].traits }
        peers[Int(nodeID)] = peer
    }

    /// Whether a slave was heard so recently.
    func isHeard(_ nodeID: UInt8, since silence: UInt64, now: Instant) -> Bool {
        let last = peers[Int(nodeID)].lastHeard
        return last != 0 && now < last + silence
    }

    /// Whether a slave's packets may come from there: it is not known by another address of the same
    /// family.
    func isAt(
        _ address: PeerAddress, _ nodeID: UInt8, since patience: UInt64, now: Instant
    ) -> Bool {
        let known = peers[Int(nodeID)].address
        return !isHeard(nodeID, since: patience, now: now) || known.family != address.family
            || known.address == address.address
    }

    /// Calls `body` with each slave heard so far, by id.
    func visit(_ body: (UInt8, Peer) -> Void) {
        for nodeID in 0..<256 where peers[nodeID].lastHeard != 0 {
            body(UInt8(nodeID), peers[nodeID])
        }
    }
}
