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
        /// When it had last applied more than before.
        var advancedAt: Instant = 0
        /// Another address from which packets of its id have come, and when.
        var rival: (address: PeerAddress, at: Instant)?
        /// Type and clock of its last packet: a copy of it that comes by another link has the same.
        var kind: UInt8 = 0
        var clock: UInt64 = 0
        /// This node's clock when that came, less that.
        var clockOffsetMicroseconds: Int64 = 0
    }

    /// Where a slave's packets come from by one link.
    struct Path: BitwiseCopyable {
        var address: PeerAddress
        /// 0 for never.
        var lastHeard: Instant = 0
    }

    private let peers: UnsafeMutablePointer<Peer>
    /// `LinkSet.limit` for each node.
    private let paths: UnsafeMutablePointer<Path>

    init() {
        peers = .allocate(capacity: 256)
        let nowhere = PeerAddress(address: .any, family: .ipv4, port: 0)
        peers.initialize(
            repeating: Peer(address: nowhere, lastHeard: 0, applied: 0), count: 256)
        paths = .allocate(capacity: 256 * LinkSet.limit)
        paths.initialize(repeating: Path(address: nowhere), count: 256 * LinkSet.limit)
    }

    deinit {
        peers.deallocate()
        paths.deallocate()
    }

    /// Checks that of each slave that was heard its place, its links and its times agree. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        visit { nodeID, peer in
            if peer.advancedAt > peer.lastHeard { report("\(nodeID) got on after it was heard") }
            if path(nodeID, Int(peer.address.link))?.address != peer.address {
                report("\(nodeID) is elsewhere than its packets come from")
            }
            for link in 0..<LinkSet.limit {
                guard let path = path(nodeID, link) else { continue }
                if Int(path.address.link) != link { report("\(path.address) is by link \(link)") }
                if path.lastHeard > peer.lastHeard { report("\(nodeID) is heard by \(link) only") }
            }
        }
    }

    /// Records a packet from a slave; what one without traits has said of them stays.
    mutating func heard(_ nodeID: UInt8, _ peer: Peer) {
        let before = peers[Int(nodeID)]
        var peer = peer
        if peer.traits == nil { peer.traits = before.traits }
        peer.rival = before.rival
        let hasAdvanced = before.lastHeard == 0 || peer.applied > before.applied
        peer.advancedAt = hasAdvanced ? peer.lastHeard : before.advancedAt
        peers[Int(nodeID)] = peer
        paths[place(nodeID, Int(peer.address.link))] = Path(
            address: peer.address, lastHeard: peer.lastHeard)
    }

    /// Records that a packet of a slave's id came from elsewhere than it is.
    mutating func heardElsewhere(_ nodeID: UInt8, _ address: PeerAddress, now: Instant) {
        peers[Int(nodeID)].rival = (address, now)
    }

    /// The other address of its id, if both were heard lately: there are two nodes of that id.
    func rival(of nodeID: UInt8, since patience: UInt64, now: Instant) -> PeerAddress? {
        guard let rival = peers[Int(nodeID)].rival, now < rival.at + patience else { return nil }
        return rival.address
    }

    /// What the slowest has applied of those that take part in a walk: that were heard lately and get
    /// on, or have all; nil if none does.
    ///
    /// - Parameter floor: the oldest packet that is to be asked for: those before do not keep a walk waiting.
    func slowest(
        of last: UInt64, from floor: UInt64, since patience: UInt64, now: Instant
    ) -> UInt64? {
        var slowest: UInt64?
        visit { _, peer in
            let applied = max(peer.applied, max(floor, 1) - 1)
            guard now < peer.lastHeard + patience,
                applied >= last || now < peer.advancedAt + patience
            else { return }
            slowest = min(slowest ?? applied, applied)
        }
        return slowest
    }

    private func place(_ nodeID: UInt8, _ link: Int) -> Int {
        Int(nodeID) * LinkSet.limit + min(link, LinkSet.limit - 1)
    }

    /// Where a slave's packets come from by a link; nil if none has.
    func path(_ nodeID: UInt8, _ link: Int) -> Path? {
        let path = paths[place(nodeID, link)]
        return path.lastHeard == 0 ? nil : path
    }

    /// Whether this is the packet that came last, once more by another link.
    func isCopy(_ nodeID: UInt8, _ header: PacketHeader, from peer: PeerAddress) -> Bool {
        let last = peers[Int(nodeID)]
        return last.address.link != peer.link && last.clock == header.clockMicroseconds
            && last.kind == header.type.rawValue
    }

    /// By which of the master's links a slave hears it: as it says, or else by the one it answers by.
    static func links(_ peer: Peer) -> LinkSet {
        peer.report.links.isEmpty ? LinkSet(link: Int(peer.address.link)) : peer.report.links
    }

    /// A slave as it was last heard.
    func peer(_ nodeID: UInt8) -> Peer { peers[Int(nodeID)] }

    /// Whether a slave was heard so recently.
    func isHeard(_ nodeID: UInt8, since silence: UInt64, now: Instant) -> Bool {
        let last = peers[Int(nodeID)].lastHeard
        return last != 0 && now < last + silence
    }

    /// Whether more than one slave was heard so recently.
    func areSeveral(since silence: UInt64, now: Instant) -> Bool {
        var count = 0
        visit { _, peer in if now < peer.lastHeard + silence { count += 1 } }
        return count > 1
    }

    /// Whether a slave's packets may come from there: it is not known by another address of the same
    /// link and family.
    func isAt(
        _ address: PeerAddress, _ nodeID: UInt8, since patience: UInt64, now: Instant
    ) -> Bool {
        let known = paths[place(nodeID, Int(address.link))]
        return known.lastHeard == 0 || now >= known.lastHeard + patience
            || known.address.family != address.family
            || known.address.address == address.address
    }

    /// Calls `body` with each slave heard so far, by id.
    func visit(_ body: (UInt8, Peer) -> Void) {
        for nodeID in 0..<256 where peers[nodeID].lastHeard != 0 {
            body(UInt8(nodeID), peers[nodeID])
        }
    }
}
