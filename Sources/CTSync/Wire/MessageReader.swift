// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the messages of a packet, one after the other; the layout is in `MessageWriter`.
enum MessageReader {
    /// Reads the message at an offset and moves the offset behind it.
    ///
    /// Attributes of unknown type are stepped over; so are, by their length, messages of an unknown
    /// resource or type, of which only `kind` is set.
    ///
    /// - Throws: `WireError.message` where a length runs past the packet or does not fit its part.
    static func read(
        _ packet: RawSpan, at offset: inout Int, into message: inout Message
    ) throws(WireError) {
        guard offset + 4 <= packet.byteCount else { throw .message }
        let length = Int(packet.big(offset, as: UInt16.self))
        let end = offset + length
        guard length >= 4, end <= packet.byteCount else { throw .message }
        let kind = MessageKind(rawValue: packet.byte(offset + 2))
        message.kind = kind
        let start = offset
        offset = end
        guard let resource = kind.resource, kind.type != nil else { return }
        switch resource {
        case .CONNTRACK:
            try readEntry(packet, start, end, kind, &message.entry)
        case .EXPECT:
            try readExpectation(packet, start, end, kind, &message.expectation)
        case .INITSYNC:
            message.bracket = try Bracket.read(packet, at: start, byteCount: length)
        }
    }

    /// Checks that a packet holds as many whole messages as its header says.
    ///
    /// - Parameter scratch: overwritten.
    /// - Throws: `WireError.message` where it does not.
    static func validate(
        _ packet: RawSpan, count: UInt16, scratch: inout Message
    ) throws(WireError) {
        var offset = PacketHeader.byteCount
        for _ in 0..<count { try read(packet, at: &offset, into: &scratch) }
        guard offset == packet.byteCount else { throw .message }
    }

    private static func readEntry(
        _ packet: RawSpan, _ start: Int, _ end: Int, _ kind: MessageKind, _ entry: inout Entry
    ) throws(WireError) {
        let family: Family = kind.has(MessageKind.ipv6) ? .ipv6 : .ipv4
        let hasZone = kind.has(MessageKind.zone)
        var place = start + 4 + (family == .ipv4 ? 12 : 36)
        guard place + (hasZone ? 3 : 0) <= end else { throw .message }
        let tuple = readTuple(packet, start + 4, family, packet.byte(start + 3))
        entry = Entry(Key(tuple))
        if hasZone {
            guard let direction = ZoneDirection(rawValue: packet.byte(place + 2)) else {
                throw .message
            }
            entry.key.zone = packet.big(place)
            entry.key.zoneDirection = direction
            place += 3
        }
        while place < end {
            guard place + 2 <= end else { throw .message }
            let length = Int(packet.byte(place + 1))
            guard place + 2 + length <= end else { throw .message }
            if let type = AttributeType(rawValue: packet.byte(place)) {
                try readAttribute(packet, type, place + 2, length, &entry)
            }
            place += 2 + length
        }
    }

    private static func readAttribute(
        _ packet: RawSpan, _ type: AttributeType, _ place: Int, _ length: Int, _ entry: inout Entry
    ) throws(WireError) {
        switch type {
        case .status:
            guard length == 2 else { throw .message }
            entry.status = Status(rawValue: UInt32(packet.big(place, as: UInt16.self)))
            entry.fields.insert(.status)
        case .timeout:
            guard length == 4 else { throw .message }
            entry.timeoutSeconds = packet.big(place)
            entry.fields.insert(.timeout)
        case .mark:
            guard length == 4 else { throw .message }
            entry.mark = packet.big(place)
            entry.fields.insert(.mark)
        case .tcp:
            guard length == 4 else { throw .message }
            entry.protocolInfo.state = packet.byte(place)
            entry.protocolInfo.originalFlags = packet.byte(place + 1)
            entry.protocolInfo.replyFlags = packet.byte(place + 2)
            entry.protocolInfo.windowScales = packet.byte(place + 3)
            entry.fields.insert(.protocolInfo)
        case .sctp:
            guard length == 9 else { throw .message }
            entry.protocolInfo.state = packet.byte(place)
            entry.protocolInfo.originalTag = packet.big(place + 1)
            entry.protocolInfo.replyTag = packet.big(place + 5)
            entry.fields.insert(.protocolInfo)
        case .reply:
            let tuple = entry.key.tuple
            guard length == (tuple.family == .ipv4 ? 12 : 36) else { throw .message }
            entry.reply = readTuple(packet, place, tuple.family, tuple.protocolNumber)
        case .parent, .helper, .labels, .sequenceAdjustment, .synproxy:
            try readExtra(packet, type, place, length, &entry)
        case .mask, .expectPolicy, .expectTranslation, .expectFunction:
            return
        }
    }

    private static func readExtra(
        _ packet: RawSpan, _ type: AttributeType, _ place: Int, _ length: Int, _ entry: inout Entry
    ) throws(WireError) {
        switch type {
        case .parent:
            guard length == 13 || length == 37 else { throw .message }
            let family: Family = length == 13 ? .ipv4 : .ipv6
            entry.extras.parent = readTuple(packet, place + 1, family, packet.byte(place))
            entry.fields.insert(.parent)
        case .helper:
            guard let name = HelperName(packet.extracting(place..<place + length)) else {
                throw .message
            }
            entry.extras.helper = name
            entry.fields.insert(.helper)
        case .labels:
            guard length == 16 else { throw .message }
            entry.extras.labelsLow = packet.big(place, as: UInt64.self).byteSwapped
            entry.extras.labelsHigh = packet.big(place + 8, as: UInt64.self).byteSwapped
            entry.fields.insert(.labels)
        case .sequenceAdjustment:
            guard length == 24 else { throw .message }
            entry.extras.originalAdjustment = readAdjustment(packet, place)
            entry.extras.replyAdjustment = readAdjustment(packet, place + 12)
            entry.fields.insert(.sequenceAdjustment)
        case .synproxy:
            guard length == 12 else { throw .message }
            entry.extras.synproxyISN = packet.big(place)
            entry.extras.synproxyITS = packet.big(place + 4)
            entry.extras.synproxyTSOffset = packet.big(place + 8)
            entry.fields.insert(.synproxy)
        default:
            return
        }
    }

    @inline(__always)
    static func readTuple(
        _ packet: RawSpan, _ place: Int, _ family: Family, _ protocolNumber: UInt8
    ) -> Tuple {
        let source: Address
        let destination: Address
        let ports: Int
        if family == .ipv4 {
            source = Address(ipv4: packet.big(place))
            destination = Address(ipv4: packet.big(place + 4))
            ports = place + 8
        } else {
            source = Address(high: packet.big(place), low: packet.big(place + 8))
            destination = Address(high: packet.big(place + 16), low: packet.big(place + 24))
            ports = place + 32
        }
        return Tuple(
            family: family, protocolNumber: protocolNumber, source: source,
            destination: destination, sourcePort: packet.big(ports),
            destinationPort: packet.big(ports + 2))
    }

    private static func readAdjustment(_ packet: RawSpan, _ place: Int) -> SequenceAdjustment {
        var adjustment = SequenceAdjustment()
        adjustment.correctionPosition = packet.big(place)
        adjustment.offsetBefore = packet.big(place + 4)
        adjustment.offsetAfter = packet.big(place + 8)
        return adjustment
    }
}
