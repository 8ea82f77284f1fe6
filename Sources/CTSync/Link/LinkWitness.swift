// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Looks at devices while nobody is heard: a packet socket sees what arrives before any rule. That of the sync
/// device sees it whatever port and group it is for. So it tells a cable that carries nothing from a setting
/// that differs and from a rule that drops. That of all devices sees what is for this node's port: another
/// device may be on the wire.
///
/// Thread: control. It is there only while it is needed: each packet is copied to it.
struct LinkWitness: ~Copyable {
    /// The most frames of one look.
    private static let most = 256
    private let socket: LateDescriptor

    /// Opens that of a sync device.
    ///
    /// - Parameter index: the number of the device.
    /// - Throws: `SystemError` of the socket calls.
    init(index: UInt32) throws(SystemError) {
        socket = try LateDescriptor("packet socket") { ctsync_packet_open(index) }
    }

    /// Opens that of all devices.
    ///
    /// - Throws: `SystemError` of the socket calls.
    init(port: UInt16) throws(SystemError) {
        socket = try LateDescriptor("packet socket") { ctsync_packet_watch(port) }
    }

    /// Takes what has come since the last look.
    ///
    /// - Parameter isWanted: whether a packet, that arrived on a device of this number, is of interest.
    /// - Returns: one of these, over IPv4 if there is one.
    func look(
        _ expected: Sighting.Expectation, isWanted: (Sighting, UInt32) -> Bool
    ) -> (seen: Sighting, device: UInt32)? {
        var frame = [UInt8](repeating: 0, count: SyncSocket.largestPacket + 128)
        var last: (seen: Sighting, device: UInt32)?
        for _ in 0..<Self.most {
            var kind: CInt = 0
            var device: UInt32 = 0
            let length = ctsync_packet_receive(socket.raw, &frame, frame.count, &kind, &device)
            guard length >= 0 else { break }
            // What goes out is seen too.
            guard kind != Self.outgoing else { continue }
            let sighting = frame.withUnsafeBytes { bytes in
                Sighting(
                    RawSpan(_unsafeBytes: bytes[..<min(length, bytes.count)]), expected: expected)
            }
            if let sighting, isWanted(sighting, device), last?.seen.isIPv4 != true {
                last = (sighting, device)
            }
        }
        return last
    }

    /// The name of a device; nil if it is gone.
    static func name(of index: UInt32) -> String? {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(index, &name) != nil else { return nil }
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// PACKET_OUTGOING of linux/if_packet.h.
    private static let outgoing: CInt = 4
}
