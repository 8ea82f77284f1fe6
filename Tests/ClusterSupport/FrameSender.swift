// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc

/// Sends frames that are neither IP nor ARP through devices of a host, as an LLDP agent does.
package final class FrameSender: Sendable {
    private let socket: CInt
    private let indexes: [UInt32]

    /// Opens a packet socket in a namespace, for devices of it.
    package init(_ devices: [String], in host: Namespace) throws {
        (socket, indexes) = try host.inside {
            let indexes = try devices.map { device in
                let index = if_nametoindex(device)
                guard index != 0 else { throw CallFailed("if_nametoindex \(device)") }
                return index
            }
            let socket = ctsync_packet_open(0)
            guard socket >= 0 else { throw CallFailed("packet socket") }
            return (socket, indexes)
        }
    }

    deinit { close(socket) }

    /// Sends one through each device; a refusal does not matter.
    package func send() {
        // The group address and the type of LLDP (IEEE 802.1AB), an empty body.
        let frame: [UInt8] =
            [0x01, 0x80, 0xC2, 0, 0, 0x0E, 0x02, 0xC7, 0, 0, 0, 0xEE, 0x88, 0xCC]
            + [UInt8](repeating: 0, count: 46)
        for index in indexes { _ = ctsync_packet_send(socket, index, frame, frame.count) }
    }
}
