// SPDX-License-Identifier: GPL-2.0-or-later

/// The master that a slave follows: its claim, where and when it was heard, what it has announced.
struct FollowedMaster {
    /// The highest claim that was heard; of this node's own epoch while it takes a table over.
    private(set) var claim = MasterClaim.none
    /// By which links its packets come.
    private(set) var paths = MasterPaths()
    /// When it was last heard.
    private(set) var lastHeard: Instant = 0
    /// The receiver's clock less the master's at its last packet, in microseconds.
    private(set) var lagMicroseconds: Int64 = 0
    /// What it has announced of itself.
    private(set) var announced = Announcement()
    /// The fingerprint of its rules, as it was said last; 0 if it was not.
    private(set) var rules: UInt32 = 0
    private var preferred = PreferredAddress()

    /// Nobody.
    init() {}

    /// Where its packets come from; nil until one has.
    var address: PeerAddress? { preferred.address }

    /// Checks that where it is answered is where it was heard. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        guard let address else { return }
        if claim == .none { report("\(address) is nobody's") }
        if paths.address(Int(address.link)) == nil { report("nothing was heard from \(address)") }
    }

    /// Becomes another one, not heard yet; when anybody was heard last stays known.
    mutating func follow(_ claim: MasterClaim) {
        self.claim = claim
        paths = MasterPaths()
        forgetAnnouncement()
        preferred = PreferredAddress()
    }

    /// Records where it is, before a packet of it has come.
    ///
    /// - Parameter others: where it is by other links.
    mutating func found(at peer: PeerAddress, others: [PeerAddress], now: Instant) {
        preferred.heard(peer, now: now)
        for path in others + [peer] { paths.heard(path, now: now) }
        lastHeard = now
    }

    /// Records a valid packet.
    ///
    /// - Parameters:
    ///   - wallMicroseconds: this node's clock.
    ///   - clockMicroseconds: the master's, as the packet says.
    mutating func heard(
        _ peer: PeerAddress, now: Instant, wallMicroseconds: UInt64, clockMicroseconds: UInt64
    ) {
        preferred.heard(peer, now: now)
        paths.heard(peer, now: now)
        lastHeard = now
        lagMicroseconds = Int64(bitPattern: wallMicroseconds &- clockMicroseconds)
    }

    /// Whether it was not heard for longer than `SlaveProtocol.silence`.
    func isSilent(now: Instant) -> Bool {
        now > lastHeard + SlaveProtocol.silence
    }

    /// Whether a master of a lower claim is another node with the id of this one, which is heard.
    func isRival(_ nodeID: UInt8, at peer: PeerAddress, now: Instant) -> Bool {
        guard nodeID == claim.nodeID, let address, !isSilent(now: now) else { return false }
        return address.link == peer.link && address.family == peer.family
            && address.address != peer.address
    }

    /// Takes a whole announcement of it, whose packet was checked.
    ///
    /// - Returns: whether it is to know at once by which links it is heard.
    mutating func take(_ announcement: RawSpan, now: Instant) -> Bool {
        do throws(WireError) {
            var next = try Announcement.read(announcement)
            next.addresses = announced.addresses
            Announcement.readAddresses(announcement, into: &next.addresses)
            announced = next
            told(rules: next.rules)
            return paths.announced(next.link, now: now)
        } catch {
            preconditionFailure("an announcement was checked when it came: \(error)")
        }
    }

    /// Forgets what it has announced: its stream begins again.
    mutating func forgetAnnouncement() {
        announced = Announcement()
        rules = 0
    }

    /// It has said by which rules it replicates.
    mutating func told(rules: UInt32) {
        if rules != 0 { self.rules = rules }
    }

    /// Whether its rules are others than those of this fingerprint.
    func differs(from fingerprint: UInt32) -> Bool {
        rules != 0 && rules != fingerprint
    }
}
