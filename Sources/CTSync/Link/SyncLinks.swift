// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The sync sockets of a node, one for each sync device, as one link.
///
/// A packet for one node goes out by the link in its address. One for all goes out over the links that
/// it is given for: the stream over as few as reach all slaves, announcements over each. Which these
/// are the engines decide. With one device it is that device's socket and nothing more.
final class SyncLinks: SyncLink {
    /// By their places in the configuration; at least one.
    let sockets: [SyncSocket]
    /// What to poll for POLLIN.
    let raw: CInt
    /// Readable while a socket is; nil for a single one.
    private let poll: Descriptor?

    /// - Throws: `SystemError` of epoll(7).
    init(_ sockets: [SyncSocket]) throws(SystemError) {
        precondition((1...LinkSet.limit).contains(sockets.count))
        self.sockets = sockets
        guard sockets.count > 1 else {
            raw = sockets[0].raw
            poll = nil
            return
        }
        let poll = try Descriptor("epoll") { ctsync_epoll() }
        let raw = poll.raw
        for socket in sockets {
            let descriptor = socket.raw
            try retrying("epoll") { ctsync_epoll_add(raw, descriptor, 0) }
        }
        self.raw = raw
        self.poll = consume poll
    }

    /// The first one.
    var first: SyncSocket { sockets[0] }
    var linkCount: Int { sockets.count }
    var isMulticast: Bool { sockets.allSatisfy(\.isMulticast) }
    var isReady: Bool { sockets.allSatisfy(\.isReady) }

    /// Bytes of the largest packet that all devices take.
    var packetByteCount: Int { present.map(\.packetByteCount).min() ?? first.packetByteCount }
    /// Bytes of the largest packet that one of them takes.
    var largestByteCount: Int { present.map(\.packetByteCount).max() ?? first.packetByteCount }

    private var present: [SyncSocket] { sockets.filter { $0.device.index != 0 } }

    /// errno of the last packet that the network refused; 0 if it refused none.
    var lastRefusal: CInt { sockets.map(\.lastRefusal).first { $0 != 0 } ?? 0 }

    /// The networks of the devices.
    var networks: [ReplicationFilter.Network] { sockets.flatMap(\.device.networks) }

    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
        guard let peer else { return send(buffers, count: count, over: .all(sockets.count)) }
        return sockets[min(Int(peer.link), sockets.count - 1)]
            .send(buffers, count: count, to: peer)
    }

    /// Returns how many were refused by each of the links.
    func send(_ buffers: DatagramBuffers, count: Int, over links: LinkSet) -> UInt64 {
        var least = UInt64(count)
        for link in sockets.indices where sockets.count == 1 || links.contains(link: link) {
            least = min(least, sockets[link].send(buffers, count: count, to: nil))
        }
        return least
    }
}
