// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc

/// Counts the frames that come in through a device: what the host at the wire's other end sends.
package final class FrameCount: Sendable {
    private let socket: CInt
    /// Room for what comes in while nobody looks: the kernel counts 16 KiB for a frame of 9,000 bytes.
    private static let bufferBytes: CInt = 32 * 1_024 * 1_024

    /// Opens a packet socket on a device of a namespace.
    package init(_ device: String, in host: Namespace) throws {
        socket = try host.inside {
            let index = if_nametoindex(device)
            guard index != 0 else { throw CallFailed("if_nametoindex \(device)") }
            let socket = ctsync_packet_open(index)
            guard socket >= 0 else { throw CallFailed("packet socket on \(device)") }
            guard ctsync_set_receive_buffer(socket, Self.bufferBytes) >= Self.bufferBytes else {
                throw CallFailed("buffer of the packet socket on \(device)")
            }
            return socket
        }
    }

    deinit { close(socket) }

    /// The frames since the last call; to be called before the socket's buffer is full.
    ///
    /// - Parameter isWanted: told the first 96 bytes of each.
    package func take(_ isWanted: ([UInt8]) -> Bool = { _ in true }) -> Int {
        let outgoing: CInt = 4  // PACKET_OUTGOING
        var bytes = [UInt8](repeating: 0, count: 96)
        var (count, kind, device): (Int, CInt, UInt32) = (0, 0, 0)
        while ctsync_packet_receive(socket, &bytes, bytes.count, &kind, &device) >= 0 {
            if kind != outgoing, isWanted(bytes) { count += 1 }
        }
        return count
    }
}
