// SPDX-License-Identifier: GPL-2.0-or-later

/// By which links a slave hears its master, and where it answers it by each.
///
/// A master with several sync devices announces itself over each of them 20 times a second, with the
/// link's number. So a slave compares them with each other: one that is silent while another one goes
/// on is cut, one that brings much less than another loses packets. All of it is judged when an
/// announcement comes; no timer is needed, and a machine that stands still judges nothing.
struct MasterPaths: Sendable {
    /// How far a link may be behind the one that was heard last: two announcements, and some.
    static let patience = 120 * Duration.millisecond
    /// How long announcements are counted before links are compared by them.
    static let period = 1 * Duration.second
    /// A link is poor if it brings less than seven eighths of what the best one brings, and one packet
    /// more would not help.
    private static let (least, of) = (7, 8)

    /// One of the master's links.
    private struct Heard {
        var at: Instant = 0
        var count = 0
        var isPoor = false
    }

    /// By the place of this node's device.
    private var addresses = InlineArray<4, PreferredAddress>(repeating: PreferredAddress())
    /// By the master's number, less 1.
    private var heard = InlineArray<4, Heard>(repeating: Heard())
    private var periodAt: Instant = 0
    /// The master's links that it is heard well by; none if it does not number them.
    private(set) var links: LinkSet = []

    /// Nothing has been heard yet.
    init() {}

    /// Where the master is answered by one of this node's links; nil if it was never heard there.
    func address(_ link: Int) -> PeerAddress? { addresses[link].address }

    /// Where it is answered by the links other than an address's.
    func others(than peer: PeerAddress, _ body: (PeerAddress) -> Void) {
        for link in 0..<LinkSet.limit where link != Int(peer.link) {
            if let other = address(link) { body(other) }
        }
    }

    /// When it was heard there last.
    func heardAt(_ link: Int) -> Instant { addresses[link].heardAt }

    /// Records a valid packet of the master.
    mutating func heard(_ peer: PeerAddress, now: Instant) {
        let link = Int(peer.link)
        guard link < LinkSet.limit else { return }
        addresses[link].heard(peer, now: now)
    }

    /// Records an announcement.
    ///
    /// - Parameter number: the master's link, from 1 on; 0 if it has a single one.
    /// - Returns: whether the master is to know at once which links it is heard by.
    mutating func announced(_ number: UInt8, now: Instant) -> Bool {
        guard (1...LinkSet.limit).contains(Int(number)) else { return false }
        heard[Int(number) - 1].at = now
        heard[Int(number) - 1].count += 1
        if now >= periodAt + Self.period { compare(now) }
        let before = links
        links = current(now)
        return links != before
    }

    private mutating func compare(_ now: Instant) {
        // After a time in which nothing came the counts are of two times.
        let isWhole = now < periodAt + 2 * Self.period
        periodAt = now
        var most = 0
        for index in heard.indices { most = max(most, heard[index].count) }
        for index in heard.indices {
            if isWhole {
                heard[index].isPoor = (heard[index].count + 1) * Self.of < most * Self.least
            }
            heard[index].count = 0
        }
    }

    private func current(_ now: Instant) -> LinkSet {
        var (fresh, good): (LinkSet, LinkSet) = ([], [])
        for index in heard.indices where heard[index].at != 0 {
            guard now <= heard[index].at + Self.patience else { continue }
            fresh.insert(LinkSet(link: index))
            if !heard[index].isPoor { good.insert(LinkSet(link: index)) }
        }
        return good.isEmpty ? fresh : good
    }
}
