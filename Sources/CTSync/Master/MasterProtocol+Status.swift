// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What the status shows of a master's slaves.
extension MasterProtocol {
    /// One slave, as it was last heard.
    struct Peer: Sendable {
        /// Its node id.
        var nodeID: UInt8
        /// Where its packets come from.
        var address: PeerAddress
        /// When it was last heard.
        var lastHeard: Instant
        /// The sequence number up to which it has applied everything.
        var applied: UInt64
        /// What it says of itself.
        var report: SlaveReport
        /// What it says of its kernel; nil before it has.
        var traits: Traits?
        /// This node's clock less its, and the time that its last packet took.
        var clockOffsetMicroseconds: Int64
        /// Where its packets come from by each link.
        var paths: [PeerList.Path] = []
    }

    /// The slaves heard in this epoch, by id.
    var peers: [Peer] {
        slaves.withLock { slaves in
            var list: [Peer] = []
            slaves.peers.visit { nodeID, peer in
                let paths = (0..<linkCount).compactMap { slaves.peers.path(nodeID, $0) }
                // Heard by several links, it is shown at the first one.
                let path = paths.first { peer.lastHeard < $0.lastHeard + Self.addressPatience }
                list.append(
                    Peer(
                        nodeID: nodeID, address: path?.address ?? peer.address,
                        lastHeard: peer.lastHeard, applied: peer.applied, report: peer.report,
                        traits: peer.traits,
                        clockOffsetMicroseconds: peer.clockOffsetMicroseconds, paths: paths))
            }
            return list
        }
    }
}
