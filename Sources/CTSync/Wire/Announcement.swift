// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master says of itself in a MASTER_ANNOUNCE: 36 bytes, no less than a slave's report, so that
/// an answer to one is never larger than the packet that it answers.
///
/// ```
/// | 0 basis: epoch 8, sequence 8 | 16 zero: room 20 |
/// ```
struct Announcement: Equatable, Sendable, BitwiseCopyable {
    /// What it had when it was promoted, and what it was handed since.
    var basis = Basis.none

    /// Bytes on the wire.
    static let byteCount = SlaveReport.byteCount

    func write(_ packet: inout MutableRawSpan) {
        let place = PacketHeader.byteCount
        basis.write(&packet, at: place)
        for offset in Basis.byteCount..<Self.byteCount { packet.setByte(place + offset, 0) }
    }

    /// Reads one.
    ///
    /// - Throws: `WireError.message` where the packet ends before it.
    static func read(_ packet: RawSpan) throws(WireError) -> Announcement {
        let place = PacketHeader.byteCount
        guard place + byteCount <= packet.byteCount else { throw .message }
        return Announcement(basis: Basis.read(packet, at: place))
    }
}
