// SPDX-License-Identifier: GPL-2.0-or-later

/// A slave that says that it hears no master; known only to be shown to people.
struct Stranger: Sendable, BitwiseCopyable {
    /// Its node id.
    var nodeID: UInt8
    /// Where its packets come from.
    var address: PeerAddress
    /// When it was last heard.
    var lastHeard: Instant

    /// The one that this packet is of, with the address that is shown.
    static func heard(
        _ nodeID: UInt8, from peer: PeerAddress, after last: Stranger?, now: Instant
    ) -> Stranger {
        let before = last.flatMap { $0.nodeID == nodeID ? ($0.address, $0.lastHeard) : nil }
        return Stranger(
            nodeID: nodeID, address: peer.shown(after: before, now: now), lastHeard: now)
    }
}
