// SPDX-License-Identifier: GPL-2.0-or-later

/// The messages of entries: events, pieces of a dump and answers are read, requests written.
///
/// ```
/// nlmsghdr, nfgenmsg with the family
/// CTA_TUPLE_ORIG:                          see TupleCodec
/// CTA_ZONE 2:                              where it is both directions'
/// CTA_TUPLE_REPLY, CTA_NAT_SRC, CTA_NAT_DST: see TranslationCodec
/// CTA_STATUS 4, CTA_TIMEOUT 4 in seconds, CTA_MARK 4
/// CTA_ID 4:                                read only
/// CTA_PROTOINFO:                           see ProtocolInfoCodec
/// the rest:                                see ExtrasCodec
/// ```
///
/// Reading is the path of every event, so the attributes are walked here and not by
/// libnetfilter_conntrack: some 70 ns for a TCP entry, an eighth of the library's time, and no malloc.
/// One pass over the attributes, in whatever order they come; unknown ones are stepped over. Whatever
/// the bytes are, nothing outside them is read.
package enum EntryCodec {
    /// The most bytes of a request: everything of an IPv6 entry with a zone. An entry that has
    /// protocol state has ports, so the real ones are 16 bytes shorter.
    static let maximumByteCount =
        NetlinkWriter.headerByteCount
        + TupleCodec.maximumByteCount + Attribute.byteCount(2)  // CTA_TUPLE_ORIG, zone
        + TranslationCodec.maximumByteCount
        + 3 * Attribute.byteCount(4)  // CTA_TIMEOUT, CTA_STATUS, CTA_MARK
        + ProtocolInfoCodec.maximumByteCount
        + ExtrasCodec.maximumByteCount
        + ExtrasCodec.maximumCreationByteCount

    // MARK: Reading

    /// Reads one message.
    ///
    /// - Parameters:
    ///   - message: from its nlmsghdr on; what follows nlmsg_len is not looked at.
    ///   - entry: set where the kind is `new`, `update` or `destroy`. What the message did not say
    ///     is not in its `fields`; its status is as the kernel gave it.
    /// - Returns: what the message is.
    /// - Throws: `NetlinkError` if the bytes are no message of the kernel's; the entry is then
    ///   of no use.
    package static func read(
        _ message: RawSpan, into entry: inout Entry
    ) throws(NetlinkError) -> CtnetlinkKind {
        let length = try message.messageLength()
        let kind = CtnetlinkKind(
            type: message.hostUInt16(at: 4), flags: message.hostUInt16(at: 6))
        guard kind == .new || kind == .update || kind == .destroy else { return kind }
        let family = try message.ctnetlinkFamily(before: length)
        try readAttributes(message, length, family, into: &entry)
        return kind
    }

    @inline(__always)
    private static func readAttributes(
        _ message: RawSpan, _ end: Int, _ family: Family, into entry: inout Entry
    ) throws(NetlinkError) {
        entry = blank
        var tuples = 0
        var offset = NetlinkWriter.headerByteCount
        while offset < end {
            let attribute = try message.attribute(at: offset, before: end)
            offset = attribute.next
            switch attribute.type {
            case CTA_TUPLE_ORIG:
                let zone = try TupleCodec.read(message, attribute, family, into: &entry.key.tuple)
                if zone >= 0 { setZone(UInt16(zone), .original, &entry) }
                tuples |= 1
            case CTA_TUPLE_REPLY:
                let zone = try TranslationCodec.read(message, attribute, family, into: &entry)
                if zone >= 0 { setZone(UInt16(zone), .reply, &entry) }
                tuples |= 2
            case CTA_ZONE:
                setZone(try message.uint16(attribute), .both, &entry)
            case CTA_STATUS:
                entry.status = Status(rawValue: try message.uint32(attribute))
                entry.fields.insert(.status)
            case CTA_TIMEOUT:
                entry.timeoutSeconds = try message.uint32(attribute)
                entry.fields.insert(.timeout)
            case CTA_MARK:
                entry.mark = try message.uint32(attribute)
                entry.fields.insert(.mark)
            case CTA_ID:
                entry.id = try message.uint32(attribute)
                entry.fields.insert(.id)
            case CTA_PROTOINFO:
                try ProtocolInfoCodec.read(message, attribute, into: &entry)
            default:
                try ExtrasCodec.read(message, attribute, family, into: &entry)
            }
        }
        guard tuples == 3 else { throw .incompleteTuple }
    }

    private static let blank = Entry(Key(.none))

    @inline(__always)
    private static func setZone(_ zone: UInt16, _ direction: ZoneDirection, _ entry: inout Entry) {
        entry.key.zone = zone
        entry.key.zoneDirection = zone == 0 ? .both : direction
    }

    // MARK: Writing

    /// What finds an entry: zone and original tuple.
    ///
    /// A zone of the reply direction only is no part of how an original tuple is looked up
    /// (nf_ct_zone_id with IP_CT_DIR_ORIGINAL).
    @inline(__always)
    static func write(_ key: Key, to writer: inout NetlinkWriter) {
        if key.zone != 0, key.zoneDirection == .both { writer.put(CTA_ZONE, key.zone) }
        TupleCodec.write(
            CTA_TUPLE_ORIG, key.tuple, zone: key.zoneDirection == .original ? key.zone : 0,
            to: &writer)
    }

    /// All of a new entry; `writeChange` and what can be said only now.
    ///
    /// - Returns: whether it had something that the kernel does not take (`KernelRange`).
    @inline(__always)
    static func writeCreation(
        _ entry: borrowing Entry, timeoutSeconds: UInt32, status: Status,
        to writer: inout NetlinkWriter
    ) -> Bool {
        write(entry.key, to: &writer)
        TranslationCodec.write(entry, to: &writer)
        let isReplaced = writeParts(
            entry, timeoutSeconds: timeoutSeconds, status: status, to: &writer)
        if !entry.fields.isDisjoint(with: .extras) {
            ExtrasCodec.writeCreationOnly(entry, to: &writer)
        }
        return isReplaced
    }

    /// What can be changed of an entry.
    ///
    /// - Returns: whether it had something that the kernel does not take (`KernelRange`).
    @inline(__always)
    static func writeChange(
        _ entry: borrowing Entry, timeoutSeconds: UInt32, status: Status,
        to writer: inout NetlinkWriter
    ) -> Bool {
        write(entry.key, to: &writer)
        return writeParts(entry, timeoutSeconds: timeoutSeconds, status: status, to: &writer)
    }

    /// What is neither a tuple nor said at creation only.
    @inline(__always)
    static func writeParts(
        _ entry: borrowing Entry, timeoutSeconds: UInt32, status: Status,
        to writer: inout NetlinkWriter
    ) -> Bool {
        writer.put(CTA_TIMEOUT, timeoutSeconds)
        writer.put(CTA_STATUS, status.rawValue)
        writer.put(CTA_MARK, entry.mark)
        var isReplaced = false
        if entry.fields.contains(.protocolInfo) {
            isReplaced = ProtocolInfoCodec.write(entry, to: &writer)
        }
        if !entry.fields.isDisjoint(with: .extras) { ExtrasCodec.write(entry, to: &writer) }
        return isReplaced
    }
}
