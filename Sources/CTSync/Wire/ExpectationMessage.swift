// SPDX-License-Identifier: GPL-2.0-or-later

/// EXPECT: an expectation's UPDATE, with all that holds, or its DELETE, with the mask.
///
/// ```
///        0                  16/40 or, with a zone, 19/43
///       +------------------+---------------------------------------------
///       |expected key      |attributes
///       +------------------+---------------------------------------------
/// ```
///
/// | attribute         | value                                            | bytes   | in        |
/// |-------------------|--------------------------------------------------|---------|-----------|
/// | mask              | CTA_EXPECT_MASK, `TuplePart`                     | 12, 36  | both      |
/// | timeout           | CTA_EXPECT_TIMEOUT, seconds                      | 4       | UPDATE    |
/// | parent            | CTA_EXPECT_MASTER: protocol 1, tuple             | 13, 37  | UPDATE    |
/// | helper            | CTA_EXPECT_HELP_NAME                             | 0 to 15 | if any    |
/// | expectPolicy      | CTA_EXPECT_FLAGS 4, CTA_EXPECT_CLASS 4           | 8       | UPDATE    |
/// | expectTranslation | CTA_EXPECT_NAT_DIR 1, protocol 1, tuple          | 14, 38  | if any    |
/// | expectFunction    | CTA_EXPECT_FN                                    | 1 to 30 | if any    |
enum ExpectationMessage {
    /// The most bytes: an IPv6 expectation in a zone, translated, with the longest names.
    @inline(__always)
    static var maximumByteCount: Int {
        KeyPart.maximumByteCount
            + AttributeType.mask.wholeByteCount(.ipv6)
            + AttributeType.timeout.wholeByteCount(.ipv6)
            + AttributeType.parent.wholeByteCount(.ipv6)
            + AttributeType.helper.wholeByteCount(.ipv6)
            + AttributeType.expectPolicy.wholeByteCount(.ipv6)
            + AttributeType.expectTranslation.wholeByteCount(.ipv6)
            + AttributeType.expectFunction.wholeByteCount(.ipv6)
    }

    // MARK: Writing

    /// Bytes of an expectation's UPDATE.
    static func byteCount(_ expectation: borrowing Expectation) -> Int {
        let family = expectation.key.tuple.family
        var count = deleteByteCount(expectation)
        count += AttributeType.timeout.wholeByteCount(family)
        count += AttributeType.parent.wholeByteCount(expectation.parent.family)
        count += AttributeType.expectPolicy.wholeByteCount(family)
        if expectation.helper.count > 0 { count += ExtrasPart.helperByteCount(expectation.helper) }
        if expectation.isTranslated {
            count += AttributeType.expectTranslation.wholeByteCount(family)
        }
        let function = expectation.function.count
        if function > 0 { count += AttributeType.headerByteCount + function }
        return count
    }

    /// Bytes of an expectation's DELETE.
    static func deleteByteCount(_ expectation: borrowing Expectation) -> Int {
        KeyPart.byteCount(expectation.key)
            + AttributeType.mask.wholeByteCount(expectation.key.tuple.family)
    }

    /// Writes an expectation; its parent is of the family that it is of.
    ///
    /// - Parameters:
    ///   - bits: `MessageKind.initsync` or none.
    ///   - packet: at least `byteCount` bytes from `offset` on.
    /// - Returns: the bytes written.
    static func writeUpdate(
        _ expectation: borrowing Expectation, bits: UInt8, _ packet: inout MutableRawSpan,
        at offset: Int
    ) -> Int {
        var kind = MessageKind(.EXPECT, .UPDATE)
        kind.rawValue |= bits
        let family = expectation.key.tuple.family
        var end = KeyPart.write(expectation.key, kind, &packet, at: offset)
        writeMask(expectation, &packet, &end)
        var place = packet.beginAttribute(.timeout, family, &end)
        packet.setBig(place, expectation.timeoutSeconds)
        ExtrasPart.writeParent(expectation.parent, &packet, &end)
        if expectation.helper.count > 0 {
            ExtrasPart.writeHelper(expectation.helper, &packet, &end)
        }
        place = packet.beginAttribute(.expectPolicy, family, &end)
        packet.setBig(place, expectation.flags)
        packet.setBig(place + 4, expectation.policyClass)
        if expectation.isTranslated {
            place = packet.beginAttribute(.expectTranslation, family, &end)
            packet.setByte(place, expectation.translationDirection)
            packet.setByte(place + 1, expectation.translation.protocolNumber)
            TuplePart.write(expectation.translation, &packet, at: place + 2)
        }
        let count = expectation.function.count
        if count > 0 {
            place = packet.beginAttribute(.expectFunction, byteCount: count, &end)
            for index in 0..<count { packet.setByte(place + index, expectation.function[index]) }
        }
        return KeyPart.finish(&packet, at: offset, end: end)
    }

    /// Writes that an expectation is gone.
    ///
    /// - Returns: the bytes written, `deleteByteCount`.
    static func writeDelete(
        _ expectation: borrowing Expectation, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        var end = KeyPart.write(
            expectation.key, MessageKind(.EXPECT, .DELETE), &packet, at: offset)
        writeMask(expectation, &packet, &end)
        return KeyPart.finish(&packet, at: offset, end: end)
    }

    private static func writeMask(
        _ expectation: borrowing Expectation, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let place = packet.beginAttribute(.mask, expectation.key.tuple.family, &end)
        TuplePart.write(expectation.mask, &packet, at: place)
    }

    // MARK: Reading

    /// Reads an UPDATE or a DELETE.
    ///
    /// - Parameter end: the message's.
    /// - Throws: `WireError.message` if an attribute runs past it or has a length that is not its
    ///   type's, or one is missing that must be there.
    static func read(
        _ packet: RawSpan, at offset: Int, before end: Int, _ kind: MessageKind,
        _ expectation: inout Expectation
    ) throws(WireError) {
        var place = offset
        expectation = Expectation(try KeyPart.read(packet, at: offset, before: end, kind, &place))
        var hasMask = false
        var hasParent = kind.type == .DELETE
        while place < end {
            let attribute = try packet.messageAttribute(at: place, before: end)
            if let type = attribute.type {
                try read(packet, type, attribute, &expectation)
                if type == .mask { hasMask = true }
                if type == .parent { hasParent = true }
            }
            place = attribute.end
        }
        guard hasMask, hasParent else { throw .message }
    }

    private static func read(
        _ packet: RawSpan, _ type: AttributeType, _ attribute: MessageAttribute,
        _ expectation: inout Expectation
    ) throws(WireError) {
        let family = expectation.key.tuple.family
        let place = attribute.start
        switch type {
        case .mask:
            try attribute.require(.mask, family)
            let number = expectation.key.tuple.protocolNumber
            expectation.mask = TuplePart.read(packet, at: place, family, number)
        case .timeout:
            try attribute.require(.timeout, family)
            expectation.timeoutSeconds = packet.big(place)
        case .parent:
            try attribute.require(.parent, family)
            expectation.parent = try ExtrasPart.readParent(packet, attribute)
        case .helper:
            expectation.helper = try ExtrasPart.readHelper(packet, attribute)
        case .expectPolicy:
            try attribute.require(.expectPolicy, family)
            expectation.flags = packet.big(place)
            expectation.policyClass = packet.big(place + 4)
        case .expectTranslation:
            try attribute.require(.expectTranslation, family)
            expectation.translationDirection = packet.byte(place)
            expectation.translation = TuplePart.read(
                packet, at: place + 2, family, packet.byte(place + 1))
            expectation.isTranslated = true
        case .expectFunction:
            expectation.function = try readFunction(packet, attribute)
        default:
            return
        }
    }

    /// A function's name; one of no bytes would be none, which is said by leaving the attribute out.
    private static func readFunction(
        _ packet: RawSpan, _ attribute: MessageAttribute
    ) throws(WireError) -> ExpectFunctionName {
        guard attribute.end > attribute.start,
            let name = ExpectFunctionName(packet.extracting(attribute.start..<attribute.end))
        else { throw .message }
        return name
    }
}
