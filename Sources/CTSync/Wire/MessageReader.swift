// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the messages of a packet, one after the other.
enum MessageReader {
    /// Reads the message at an offset and moves the offset past it.
    ///
    /// Attributes of unknown type are stepped over; so are, by their length, messages of an unknown
    /// resource or type, of which only `kind` is set.
    ///
    /// - Throws: `WireError.message` if a length runs past the packet or does not fit its part.
    static func read(
        _ packet: RawSpan, at offset: inout Int, into message: inout Message
    ) throws(WireError) {
        guard offset + Message.headerByteCount <= packet.byteCount else { throw .message }
        let length = Int(packet.big(offset, as: UInt16.self))
        let end = offset + length
        guard length >= Message.headerByteCount, end <= packet.byteCount else { throw .message }
        let kind = MessageKind(rawValue: packet.byte(offset + 2))
        message.kind = kind
        let start = offset
        offset = end
        guard let resource = kind.resource, kind.type != nil else { return }
        switch resource {
        case .CONNTRACK:
            try EntryMessage.read(packet, at: start, before: end, kind, &message.entry)
        case .EXPECT:
            try ExpectationMessage.read(packet, at: start, before: end, kind, &message.expectation)
        case .INITSYNC:
            message.bracket = try Bracket.read(packet, at: start, byteCount: length)
        }
    }

    /// Checks that a packet holds as many whole messages as its header says.
    ///
    /// - Parameter scratch: overwritten.
    /// - Throws: `WireError.message` if it does not.
    static func validate(
        _ packet: RawSpan, count: UInt16, scratch: inout Message
    ) throws(WireError) {
        var offset = PacketHeader.byteCount
        for _ in 0..<count { try read(packet, at: &offset, into: &scratch) }
        guard offset == packet.byteCount else { throw .message }
    }
}
