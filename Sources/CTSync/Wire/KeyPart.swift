// SPDX-License-Identifier: GPL-2.0-or-later

/// The start of a CONNTRACK or EXPECT message: what it is about.
///
/// ```
///        0             2      3        4              16/40         19/43
///       +-------------+------+--------+--------------+-------------+
///       |length       |kind  |protocol|tuple         |zone         |
///       +-------------+------+--------+--------------+-------------+
/// bytes  2             1      1        12/36          2 + direction 1, or nothing
/// ```
///
/// Whether the tuple is of IPv6 and whether a zone follows, the kind says.
enum KeyPart {
    /// Bytes of a zone and its direction.
    private static let zoneByteCount = 2 + 1

    /// The most bytes.
    @inline(__always)
    static var maximumByteCount: Int {
        Message.headerByteCount + TuplePart.byteCount(.ipv6) + zoneByteCount
    }

    /// Bytes of a key.
    @inline(__always)
    static func byteCount(_ key: borrowing Key) -> Int {
        byteCount(key.tuple.family, hasZone: key.zone != 0)
    }

    @inline(__always)
    private static func byteCount(_ family: Family, hasZone: Bool) -> Int {
        Message.headerByteCount + TuplePart.byteCount(family) + (hasZone ? zoneByteCount : 0)
    }

    /// Writes all of it but the length, which `finish` writes.
    ///
    /// - Parameter kind: resource, type, `MessageKind.new` and `.initsync`.
    /// - Returns: the offset after it.
    @inline(__always)
    static func write(
        _ key: borrowing Key, _ kind: MessageKind, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        var kind = kind
        if key.tuple.family == .ipv6 { kind.rawValue |= MessageKind.ipv6 }
        if key.zone != 0 { kind.rawValue |= MessageKind.zone }
        packet.setByte(offset + 2, kind.rawValue)
        packet.setByte(offset + 3, key.tuple.protocolNumber)
        TuplePart.write(key.tuple, &packet, at: offset + Message.headerByteCount)
        let end = offset + byteCount(key)
        if key.zone != 0 {
            packet.setBig(end - zoneByteCount, key.zone)
            packet.setByte(end - 1, key.zoneDirection.rawValue)
        }
        return end
    }

    /// Writes the length of the message that begins at an offset.
    ///
    /// - Returns: the length.
    @inline(__always)
    static func finish(_ packet: inout MutableRawSpan, at offset: Int, end: Int) -> Int {
        packet.setBig(offset, UInt16(end - offset))
        return end - offset
    }

    /// Reads the key of the message at an offset.
    ///
    /// - Parameters:
    ///   - end: the message's.
    ///   - place: set to the offset behind the key.
    /// - Throws: `WireError.message` if the message ends before it, or the zone's direction is
    ///   none.
    @inline(__always)
    static func read(
        _ packet: RawSpan, at offset: Int, before end: Int, _ kind: MessageKind,
        _ place: inout Int
    ) throws(WireError) -> Key {
        let family: Family = kind.has(MessageKind.ipv6) ? .ipv6 : .ipv4
        let hasZone = kind.has(MessageKind.zone)
        place = offset + byteCount(family, hasZone: hasZone)
        guard place <= end else { throw .message }
        var key = Key(
            TuplePart.read(
                packet, at: offset + Message.headerByteCount, family, packet.byte(offset + 3)))
        if hasZone {
            guard let direction = ZoneDirection(rawValue: packet.byte(place - 1)) else {
                throw .message
            }
            key.zone = packet.big(place - zoneByteCount)
            key.zoneDirection = direction
        }
        return key
    }
}
