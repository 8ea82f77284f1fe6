// SPDX-License-Identifier: GPL-2.0-or-later

/// The address that another node is answered at, if it is heard in both families or by several links:
/// the first link's, and IPv4, as long as that is heard, so that two nodes come to use one family.
struct PreferredAddress: Sendable {
    /// Silence of a family after which the other is used.
    static let silence = 1 * Duration.second

    /// Where to answer; nil before anything was heard.
    private(set) var address: PeerAddress?
    /// When something came from it last.
    private(set) var heardAt: Instant = 0

    /// Nothing has been heard yet.
    init() {}

    /// A valid packet has come from this address.
    mutating func heard(_ peer: PeerAddress, now: Instant) {
        if let address, now < heardAt + Self.silence, Self.rank(address) < Self.rank(peer) {
            return
        }
        address = peer
        heardAt = now
    }

    private static func rank(_ peer: PeerAddress) -> Int {
        2 * Int(peer.link) + (peer.family == .ipv4 ? 0 : 1)
    }
}
