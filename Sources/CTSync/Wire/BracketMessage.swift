// SPDX-License-Identifier: GPL-2.0-or-later

/// INITSYNC: the begin (UPDATE) or the end (DELETE) of an initsync.
///
/// ```
///        0             2      3        4                          8
///       +-------------+------+--------+--------------------------+
///       |length       |kind  |zero    |number of the initsync    |
///       +-------------+------+--------+--------------------------+
/// bytes  2             1      1        4
/// ```
enum BracketMessage {
    /// Bytes of a bracket.
    static let byteCount = Message.headerByteCount + 4

    /// Writes a bracket.
    ///
    /// - Returns: the bytes written.
    static func write(
        _ type: MessageKind.MessageType, number: UInt32, _ packet: inout MutableRawSpan,
        at offset: Int
    ) -> Int {
        packet.setBig(offset, UInt16(byteCount))
        packet.setByte(offset + 2, MessageKind(.INITSYNC, type).rawValue)
        packet.setByte(offset + 3, 0)
        packet.setBig(offset + Message.headerByteCount, number)
        return byteCount
    }

    /// Reads the number of a bracket.
    ///
    /// - Throws: `WireError.message` where the message ends before it.
    static func read(
        _ packet: RawSpan, at offset: Int, before end: Int
    ) throws(WireError) -> UInt32 {
        guard offset + byteCount <= end else { throw .message }
        return packet.big(offset + Message.headerByteCount)
    }
}
