// SPDX-License-Identifier: GPL-2.0-or-later

/// Consecutive sequence numbers that a slave misses; a NACK has up to 64 of them after its header.
///
/// ```
///        0                        8             12
///       +------------------------+-------------+
///       |first                   |count        |
///       +------------------------+-------------+
/// bytes  8                        4
/// ```
struct SequenceRange: Equatable, Sendable, BitwiseCopyable {
    private static let firstByteCount = 8
    private static let countByteCount = 4
    /// Bytes of a range on the wire.
    static let byteCount = firstByteCount + countByteCount
    /// The most ranges in one NACK.
    static let maximumCount = 64

    /// The first number.
    var first: UInt64
    /// How many, at least one.
    var count: UInt32

    /// A range by its first number and its length.
    init(first: UInt64, count: UInt32) {
        self.first = first
        self.count = count
    }

    /// Writes it as the range of this number in a NACK.
    func write(_ packet: inout MutableRawSpan, index: Int) {
        let place = PacketHeader.byteCount + index * Self.byteCount
        packet.setBig(place, first)
        packet.setBig(place + Self.firstByteCount, count)
    }

    /// Reads the range of this number in a NACK.
    ///
    /// - Throws: `WireError.message` if the packet ends before it, it is empty, or it counts past
    ///   the last number there is.
    static func read(_ packet: RawSpan, index: Int) throws(WireError) -> SequenceRange {
        let place = PacketHeader.byteCount + index * byteCount
        guard place + byteCount <= packet.byteCount else { throw .message }
        let range = SequenceRange(
            first: packet.big(place), count: packet.big(place + firstByteCount))
        guard range.count > 0, range.first < .max - UInt64(range.count) else { throw .message }
        return range
    }
}
