// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master says of itself in a MASTER_ANNOUNCE: 52 bytes, no less than a slave's report, so that
/// an answer to one is never larger than the packet that it answers.
///
/// ```
/// | 0 basis: epoch 8, sequence 8 | 16 entries 4 | 20 rules 4 | 24 zero: room 28 |
/// ```
struct Announcement: Equatable, Sendable, BitwiseCopyable {
    /// What it had when it was promoted, and what it was handed since.
    var basis = Basis.none
    /// About how many connections it replicates; 0 if it does not say.
    var entryCount: UInt32 = 0
    /// The fingerprint of its rules of what is replicated; 0 if it does not say.
    var rules: UInt32 = 0

    /// Bytes on the wire.
    static let byteCount = SlaveReport.byteCount

    func write(_ packet: inout MutableRawSpan) {
        let place = PacketHeader.byteCount
        basis.write(&packet, at: place)
        packet.setBig(place + 16, entryCount)
        packet.setBig(place + 20, rules)
        for offset in 24..<Self.byteCount { packet.setByte(place + offset, 0) }
    }

    /// Whether it says that its rules are others than those of this fingerprint.
    func differs(from fingerprint: UInt32) -> Bool {
        rules != 0 && fingerprint != 0 && rules != fingerprint
    }

    /// Reads one.
    ///
    /// - Throws: `WireError.message` where the packet ends before it.
    static func read(_ packet: RawSpan) throws(WireError) -> Announcement {
        let place = PacketHeader.byteCount
        guard place + byteCount <= packet.byteCount else { throw .message }
        return Announcement(
            basis: Basis.read(packet, at: place), entryCount: packet.big(place + 16),
            rules: packet.big(place + 20))
    }
}
