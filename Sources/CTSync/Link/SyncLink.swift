// SPDX-License-Identifier: GPL-2.0-or-later

/// The sync link as the engines see it: the sockets of its devices, or a simulated one.
protocol SyncLink: Sendable {
    /// Sends the first `count` datagrams of the buffers.
    ///
    /// - Parameter peer: where to; nil for all nodes, over all links.
    /// - Returns: how many the network refused; the others may be lost all the same.
    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64

    /// How many links there are: sync devices.
    var linkCount: Int { get }

    /// Whether a packet for all nodes is sent once, and not to each in turn.
    var isMulticast: Bool { get }

    /// The same to all nodes, over some of the links.
    func send(_ buffers: DatagramBuffers, count: Int, over links: LinkSet) -> UInt64

    /// Whether all links take a batch of packets without delay.
    var isReady: Bool { get }
}

extension SyncLink {
    var linkCount: Int { 1 }
    var isMulticast: Bool { false }

    func send(_ buffers: DatagramBuffers, count: Int, over links: LinkSet) -> UInt64 {
        send(buffers, count: count, to: nil)
    }

    var isReady: Bool { true }
}
