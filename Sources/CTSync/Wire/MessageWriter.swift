// SPDX-License-Identifier: GPL-2.0-or-later

/// Writes messages in place.
///
/// ```
///  0             2      3        4
/// +-------------+------+--------+------------+--------------+-----------+
/// |length       |kind  |protocol|source 4/16 |dest. 4/16    |ports 2 + 2|
/// +-------------+------+--------+------------+--------------+-----------+
/// |zone 2, direction 1, if there is one| attributes: type 1, length 1, value ...
/// +------------------------------------+--------------------------------
/// ```
///
/// A TCP state update of an IPv4 connection takes 16 + 4 + 6 + 6 = 32 bytes, a deletion 16.
enum MessageWriter {
    /// The most bytes one message takes: an IPv6 entry with everything.
    static let maximumByteCount = 288

    /// The bytes of an entry's UPDATE or DELETE.
    @inline(__always)
    static func keyByteCount(_ key: borrowing Key) -> Int {
        4 + (key.tuple.family == .ipv4 ? 12 : 36) + (key.zone == 0 ? 0 : 3)
    }

    /// Writes what is known of an entry.
    ///
    /// - Parameters:
    ///   - entry: of it the key, the reply tuple where it is translated, and the said fields.
    ///   - bits: `MessageKind.new`, `MessageKind.initsync` or none.
    ///   - packet: at least `maximumByteCount` bytes from `offset` on.
    /// - Returns: the bytes written.
    static func writeUpdate(
        _ entry: borrowing Entry, bits: UInt8, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        var kind = MessageKind(.CONNTRACK, .UPDATE)
        kind.rawValue |= bits
        var end = writeKey(entry.key, kind, &packet, at: offset)
        let fields = entry.fields
        if fields.contains(.status) {
            attribute(.status, 2, &packet, &end)
            packet.setBig(end - 2, UInt16(truncatingIfNeeded: entry.status.rawValue))
        }
        if fields.contains(.timeout) {
            attribute(.timeout, 4, &packet, &end)
            packet.setBig(end - 4, entry.timeoutSeconds)
        }
        if fields.contains(.mark) {
            attribute(.mark, 4, &packet, &end)
            packet.setBig(end - 4, entry.mark)
        }
        if fields.contains(.protocolInfo) { writeProtocolInfo(entry, &packet, &end) }
        if entry.isTranslated {
            let length = entry.reply.family == .ipv4 ? 12 : 36
            attribute(.reply, length, &packet, &end)
            writeTuple(entry.reply, &packet, at: end - length)
        }
        if !fields.isDisjoint(with: .extras) { writeExtras(entry, &packet, &end) }
        packet.setBig(offset, UInt16(end - offset))
        return end - offset
    }

    /// Writes that an entry is gone.
    ///
    /// - Returns: the bytes written.
    static func writeDelete(
        _ key: borrowing Key, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        let end = writeKey(key, MessageKind(.CONNTRACK, .DELETE), &packet, at: offset)
        packet.setBig(offset, UInt16(end - offset))
        return end - offset
    }

    static func writeKey(
        _ key: borrowing Key, _ kind: MessageKind, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        var kind = kind
        if key.tuple.family == .ipv6 { kind.rawValue |= MessageKind.ipv6 }
        if key.zone != 0 { kind.rawValue |= MessageKind.zone }
        packet.setByte(offset + 2, kind.rawValue)
        packet.setByte(offset + 3, key.tuple.protocolNumber)
        writeTuple(key.tuple, &packet, at: offset + 4)
        let end = offset + keyByteCount(key)
        if key.zone != 0 {
            packet.setBig(end - 3, key.zone)
            packet.setByte(end - 1, key.zoneDirection.rawValue)
        }
        return end
    }

    @inline(__always)
    static func attribute(
        _ type: AttributeType, _ length: Int, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        packet.setByte(end, type.rawValue)
        packet.setByte(end + 1, UInt8(length))
        end += 2 + length
    }

    static func writeTuple(
        _ tuple: borrowing Tuple, _ packet: inout MutableRawSpan, at offset: Int
    ) {
        var place = offset
        if tuple.family == .ipv4 {
            packet.setBig(place, UInt32(truncatingIfNeeded: tuple.source.low))
            packet.setBig(place + 4, UInt32(truncatingIfNeeded: tuple.destination.low))
            place += 8
        } else {
            packet.setBig(place, tuple.source.high)
            packet.setBig(place + 8, tuple.source.low)
            packet.setBig(place + 16, tuple.destination.high)
            packet.setBig(place + 24, tuple.destination.low)
            place += 32
        }
        packet.setBig(place, tuple.sourcePort)
        packet.setBig(place + 2, tuple.destinationPort)
    }

    private static func writeProtocolInfo(
        _ entry: borrowing Entry, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let info = entry.protocolInfo
        if entry.key.tuple.protocolNumber == ProtocolNumber.sctp {
            attribute(.sctp, 9, &packet, &end)
            packet.setByte(end - 9, info.state)
            packet.setBig(end - 8, info.originalTag)
            packet.setBig(end - 4, info.replyTag)
        } else {
            attribute(.tcp, 4, &packet, &end)
            packet.setByte(end - 4, info.state)
            packet.setByte(end - 3, info.originalFlags)
            packet.setByte(end - 2, info.replyFlags)
            packet.setByte(end - 1, info.windowScales)
        }
    }

    private static func writeExtras(
        _ entry: borrowing Entry, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let fields = entry.fields
        let extras = entry.extras
        if fields.contains(.parent) {
            let length = extras.parent.family == .ipv4 ? 13 : 37
            attribute(.parent, length, &packet, &end)
            packet.setByte(end - length, extras.parent.protocolNumber)
            writeTuple(extras.parent, &packet, at: end - length + 1)
        }
        if fields.contains(.helper) {
            let length = extras.helper.count
            attribute(.helper, length, &packet, &end)
            for index in 0..<length { packet.setByte(end - length + index, extras.helper[index]) }
        }
        if fields.contains(.labels) {
            attribute(.labels, 16, &packet, &end)
            packet.setBig(end - 16, extras.labelsLow.byteSwapped)
            packet.setBig(end - 8, extras.labelsHigh.byteSwapped)
        }
        if fields.contains(.sequenceAdjustment) {
            attribute(.sequenceAdjustment, 24, &packet, &end)
            writeAdjustment(extras.originalAdjustment, &packet, at: end - 24)
            writeAdjustment(extras.replyAdjustment, &packet, at: end - 12)
        }
        if fields.contains(.synproxy) {
            attribute(.synproxy, 12, &packet, &end)
            packet.setBig(end - 12, extras.synproxyISN)
            packet.setBig(end - 8, extras.synproxyITS)
            packet.setBig(end - 4, extras.synproxyTSOffset)
        }
    }

    private static func writeAdjustment(
        _ adjustment: SequenceAdjustment, _ packet: inout MutableRawSpan, at offset: Int
    ) {
        packet.setBig(offset, adjustment.correctionPosition)
        packet.setBig(offset + 4, adjustment.offsetBefore)
        packet.setBig(offset + 8, adjustment.offsetAfter)
    }
}
