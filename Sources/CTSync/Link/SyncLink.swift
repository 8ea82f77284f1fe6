// SPDX-License-Identifier: GPL-2.0-or-later

/// The sync link as the engines see it: the socket, or a simulated one.
protocol SyncLink: Sendable {
    /// Sends the first `count` datagrams of the buffers.
    ///
    /// - Parameter peer: where to; nil for all nodes.
    /// - Returns: how many the network refused; the others may be lost all the same.
    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64
}

extension SyncSocket: SyncLink {}
