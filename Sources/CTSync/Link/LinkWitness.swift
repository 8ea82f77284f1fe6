// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// Looks at the sync device itself while nobody is heard: a packet socket sees what arrives before any
/// rule, whatever port and group it is for. So it tells a cable that carries nothing from a setting
/// that differs and from a rule that drops.
///
/// Thread: control. It is there only while it is needed: each packet is copied to it.
struct LinkWitness: ~Copyable {
    /// The most frames of one look.
    private static let most = 256
    private let socket: Descriptor
    private let index: UInt32

    /// Opens it.
    ///
    /// - Parameter index: the number of the sync device.
    /// - Throws: `SystemError` of the socket calls.
    init(index: UInt32) throws(SystemError) {
        self.index = index
        socket = try Descriptor("packet socket") { ctsync_packet_open(index) }
    }

    /// Takes what has come since the last look.
    ///
    /// - Parameter isWanted: whether a packet is of interest.
    /// - Returns: one of these, over IPv4 if there is one.
    func look(
        _ expected: Sighting.Expectation, isWanted: (Sighting) -> Bool
    ) -> Sighting? {
        var frame = [UInt8](repeating: 0, count: SyncSocket.largestPacket + 128)
        var last: Sighting?
        for _ in 0..<Self.most {
            var kind: CInt = 0
            let length = ctsync_packet_receive(socket.raw, &frame, frame.count, &kind)
            guard length >= 0 else { break }
            // What goes out is seen too.
            guard kind != Self.outgoing else { continue }
            let sighting = frame.withUnsafeBytes { bytes in
                Sighting(
                    RawSpan(_unsafeBytes: bytes[..<min(length, bytes.count)]), expected: expected)
            }
            if let sighting, isWanted(sighting), last?.isIPv4 != true { last = sighting }
        }
        return last
    }

    /// PACKET_OUTGOING of linux/if_packet.h.
    private static let outgoing: CInt = 4
}
