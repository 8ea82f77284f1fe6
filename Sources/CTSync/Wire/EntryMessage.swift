// SPDX-License-Identifier: GPL-2.0-or-later

/// CONNTRACK: an entry's UPDATE, with what is known of it, or its DELETE, without attributes.
///
/// ```
///        0                  16/40 or, with a zone, 19/43
///       +------------------+---------------------------------------------
///       |key               |attributes, those that were said, in any order
///       +------------------+---------------------------------------------
/// ```
///
/// | attribute                        | value                                            | bytes |
/// |----------------------------------|--------------------------------------------------|-------|
/// | status                           | the low 16 bits of CTA_STATUS                    | 2     |
/// | timeout                          | CTA_TIMEOUT, seconds                             | 4     |
/// | mark                             | CTA_MARK                                         | 4     |
/// | tcp, sctp                        | see `ProtocolInfoPart`                           | 4, 9  |
/// | reply                            | `TuplePart`; only if it is not the inverse       | 12, 36|
/// | parent, helper, labels, ...      | see `ExtrasPart`                                 |       |
///
/// A TCP state update of an IPv4 connection takes 16 + 4 + 6 + 6 = 32 bytes, a deletion 16.
enum EntryMessage {
    /// The most bytes: an IPv6 entry of SCTP in a zone, translated, with everything.
    @inline(__always)
    static var maximumByteCount: Int {
        KeyPart.maximumByteCount
            + AttributeType.status.wholeByteCount(.ipv6)
            + AttributeType.timeout.wholeByteCount(.ipv6)
            + AttributeType.mark.wholeByteCount(.ipv6)
            + ProtocolInfoPart.maximumByteCount
            + AttributeType.reply.wholeByteCount(.ipv6)
            + ExtrasPart.maximumByteCount
    }

    // MARK: Writing

    /// Bytes of an entry's UPDATE.
    static func byteCount(_ entry: borrowing Entry) -> Int {
        let fields = entry.fields
        let family = entry.key.tuple.family
        var count = KeyPart.byteCount(entry.key)
        if fields.contains(.status) { count += AttributeType.status.wholeByteCount(family) }
        if fields.contains(.timeout) { count += AttributeType.timeout.wholeByteCount(family) }
        if fields.contains(.mark) { count += AttributeType.mark.wholeByteCount(family) }
        if fields.contains(.protocolInfo) { count += ProtocolInfoPart.byteCount(entry) }
        if entry.isTranslated {
            count += AttributeType.reply.wholeByteCount(entry.reply.family)
        }
        if !fields.isDisjoint(with: .extras) { count += ExtrasPart.byteCount(entry) }
        return count
    }

    /// Writes what is known of an entry.
    ///
    /// - Parameters:
    ///   - entry: of it the key, the reply tuple where it is translated, and the said fields.
    ///   - bits: `MessageKind.new`, `MessageKind.initsync` or none.
    ///   - packet: at least `byteCount` bytes from `offset` on.
    /// - Returns: the bytes written.
    static func writeUpdate(
        _ entry: borrowing Entry, bits: UInt8, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        var kind = MessageKind(.CONNTRACK, .UPDATE)
        kind.rawValue |= bits
        var end = KeyPart.write(entry.key, kind, &packet, at: offset)
        let fields = entry.fields
        let family = entry.key.tuple.family
        if fields.contains(.status) {
            let place = packet.beginAttribute(.status, family, &end)
            packet.setBig(place, UInt16(truncatingIfNeeded: entry.status.rawValue))
        }
        if fields.contains(.timeout) {
            let place = packet.beginAttribute(.timeout, family, &end)
            packet.setBig(place, entry.timeoutSeconds)
        }
        if fields.contains(.mark) {
            let place = packet.beginAttribute(.mark, family, &end)
            packet.setBig(place, entry.mark)
        }
        if fields.contains(.protocolInfo) { ProtocolInfoPart.write(entry, &packet, &end) }
        if entry.isTranslated {
            let place = packet.beginAttribute(.reply, entry.reply.family, &end)
            TuplePart.write(entry.reply, &packet, at: place)
        }
        if !fields.isDisjoint(with: .extras) { ExtrasPart.write(entry, &packet, &end) }
        return KeyPart.finish(&packet, at: offset, end: end)
    }

    /// Puts what is said later of an entry into an UPDATE of it that was written here, where it takes
    /// no more bytes for that. A reader of the one learns what it would of both in turn.
    ///
    /// - Returns: whether it did; false too if the UPDATE is of another connection.
    static func amend(
        _ entry: borrowing Entry, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Bool {
        let kind = MessageKind(rawValue: packet.bytes.byte(offset + 2))
        let length = Int(packet.bytes.big(offset, as: UInt16.self))
        var whole = Entry(entry.key)
        do throws(WireError) {
            try read(packet.bytes, at: offset, before: offset + length, kind, &whole)
        } catch {
            return false
        }
        guard whole.key == entry.key else { return false }
        whole.take(entry.fields, of: entry)
        guard byteCount(whole) == length else { return false }
        _ = writeUpdate(whole, bits: kind.rawValue & MessageKind.new, &packet, at: offset)
        return true
    }

    /// Writes that an entry is gone, in `KeyPart.byteCount` bytes.
    ///
    /// - Returns: the bytes written.
    static func writeDelete(
        _ key: borrowing Key, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        let end = KeyPart.write(key, MessageKind(.CONNTRACK, .DELETE), &packet, at: offset)
        return KeyPart.finish(&packet, at: offset, end: end)
    }

    // MARK: Reading

    /// Reads an UPDATE or a DELETE.
    ///
    /// - Parameter end: the message's.
    /// - Throws: `WireError.message` if an attribute runs past it or has a length that is not its
    ///   type's.
    static func read(
        _ packet: RawSpan, at offset: Int, before end: Int, _ kind: MessageKind,
        _ entry: inout Entry
    ) throws(WireError) {
        var place = offset
        entry = Entry(try KeyPart.read(packet, at: offset, before: end, kind, &place))
        while place < end {
            let attribute = try packet.messageAttribute(at: place, before: end)
            if let type = attribute.type { try read(packet, type, attribute, &entry) }
            place = attribute.end
        }
    }

    @inline(__always)
    private static func read(
        _ packet: RawSpan, _ type: AttributeType, _ attribute: MessageAttribute,
        _ entry: inout Entry
    ) throws(WireError) {
        let family = entry.key.tuple.family
        let place = attribute.start
        switch type {
        case .status:
            try attribute.require(.status, family)
            entry.status = Status(rawValue: UInt32(packet.big(place, as: UInt16.self)))
            entry.fields.insert(.status)
        case .timeout:
            try attribute.require(.timeout, family)
            entry.timeoutSeconds = packet.big(place)
            entry.fields.insert(.timeout)
        case .mark:
            try attribute.require(.mark, family)
            entry.mark = packet.big(place)
            entry.fields.insert(.mark)
        case .tcp:
            try ProtocolInfoPart.read(packet, .tcp, attribute, &entry)
        case .sctp:
            try ProtocolInfoPart.read(packet, .sctp, attribute, &entry)
        case .reply:
            try attribute.require(.reply, family)
            let number = entry.key.tuple.protocolNumber
            entry.reply = TuplePart.read(packet, at: place, family, number)
        case .parent, .helper, .labels, .sequenceAdjustment, .synproxy:
            try ExtrasPart.read(packet, type, attribute, &entry)
        case .mask, .expectPolicy, .expectTranslation, .expectFunction:
            return
        }
    }
}
