// SPDX-License-Identifier: GPL-2.0-or-later

/// The attribute with the protocol's own state: `tcp`, or `sctp` for entries of that protocol.
///
/// ```
///        0       1                2                3                4
///       +-------+----------------+----------------+----------------+
///  tcp  |state  |flags, original |flags, reply    |scales          |
///       +-------+----------------+----------------+----------------+
/// bytes  1       1                1                1: original's << 4 | reply's
///
///        0       1                5                9
///       +-------+----------------+----------------+
///  sctp |state  |tag, original   |tag, reply      |
///       +-------+----------------+----------------+
/// bytes  1       4                4
/// ```
enum ProtocolInfoPart {
    /// The most bytes of the attribute.
    @inline(__always)
    static var maximumByteCount: Int { AttributeType.sctp.wholeByteCount(.ipv6) }

    /// Which of the two an entry of a protocol has.
    @inline(__always)
    private static func type(_ protocolNumber: UInt8) -> AttributeType {
        protocolNumber == ProtocolNumber.sctp ? .sctp : .tcp
    }

    /// Bytes of the attribute of an entry.
    @inline(__always)
    static func byteCount(_ entry: borrowing Entry) -> Int {
        type(entry.key.tuple.protocolNumber).wholeByteCount(entry.key.tuple.family)
    }

    /// Writes an entry's attribute.
    static func write(
        _ entry: borrowing Entry, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let info = entry.protocolInfo
        let family = entry.key.tuple.family
        if type(entry.key.tuple.protocolNumber) == .sctp {
            let place = packet.beginAttribute(.sctp, family, &end)
            packet.setByte(place, info.state)
            packet.setBig(place + 1, info.originalTag)
            packet.setBig(place + 5, info.replyTag)
        } else {
            let place = packet.beginAttribute(.tcp, family, &end)
            packet.setByte(place, info.state)
            packet.setByte(place + 1, info.originalFlags)
            packet.setByte(place + 2, info.replyFlags)
            packet.setByte(place + 3, info.windowScales)
        }
    }

    /// Reads the attribute, of one of the two types.
    @inline(__always)
    static func read(
        _ packet: RawSpan, _ type: AttributeType, _ attribute: MessageAttribute,
        _ entry: inout Entry
    ) throws(WireError) {
        try attribute.require(type, entry.key.tuple.family)
        let place = attribute.start
        entry.protocolInfo.state = packet.byte(place)
        if type == .sctp {
            entry.protocolInfo.originalTag = packet.big(place + 1)
            entry.protocolInfo.replyTag = packet.big(place + 5)
        } else {
            entry.protocolInfo.originalFlags = packet.byte(place + 1)
            entry.protocolInfo.replyFlags = packet.byte(place + 2)
            entry.protocolInfo.windowScales = packet.byte(place + 3)
        }
        entry.fields.insert(.protocolInfo)
    }
}
