// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc

@testable import CTSync
@testable import CTSyncTests

/// The frames that come out of a wire, seen by a packet socket at this end of it.
final class Capture {
    private let socket: Descriptor

    /// Opens it on a device of the calling thread's namespace.
    init(_ device: String) throws {
        let index = if_nametoindex(device)
        guard index != 0 else { throw SystemError(device, errno: ENODEV) }
        socket = try Descriptor("capture on \(device)") { ctsync_packet_open(index) }
    }

    /// The frames since the last call that this end has not sent itself.
    func take() throws -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 2048)
        var kind: CInt = 0
        var device: UInt32 = 0
        while let count = try retryingNonBlocking(
            "recv",
            {
                buffer.withUnsafeMutableBytes {
                    ctsync_packet_receive(
                        socket.raw, $0.baseAddress, $0.count, &kind, &device)
                }
            })
        {
            if kind != 4 { frames.append(Array(buffer[..<min(count, 2048)])) }  // PACKET_OUTGOING
        }
        return frames
    }
}

extension TwoHosts {
    /// Captures at the neighbour's ends of these wires.
    func captures(_ devices: [String]) throws -> [Capture] {
        try inNeighbour { try devices.map { try Capture($0) } }
    }

    /// The address of a device of the node's.
    func station(_ device: String) throws -> [UInt8] {
        try inNode { try DeviceMonitor().devices().first { $0.name == device }?.address ?? [] }
    }

    /// Sends whole frames from the node through one of its devices; a refusal does not matter.
    func sendFromNode(_ frames: [[UInt8]], through device: String) throws {
        try inNode {
            let socket = try Descriptor("packet socket") { ctsync_packet_open(0) }
            for frame in frames {
                _ = ctsync_packet_send(socket.raw, if_nametoindex(device), frame, frame.count)
            }
        }
    }
}
