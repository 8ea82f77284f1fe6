// SPDX-License-Identifier: GPL-2.0-or-later

extension MessageReader {
    /// Reads an EXPECT message; the layout is in `MessageWriter+Expectation`.
    static func readExpectation(
        _ packet: RawSpan, _ start: Int, _ end: Int, _ kind: MessageKind,
        _ expectation: inout Expectation
    ) throws(WireError) {
        let family: Family = kind.has(MessageKind.ipv6) ? .ipv6 : .ipv4
        let tupleLength = family == .ipv4 ? 12 : 36
        let hasZone = kind.has(MessageKind.zone)
        var place = start + 4 + tupleLength
        guard place + (hasZone ? 3 : 0) <= end else { throw .message }
        let tuple = readTuple(packet, start + 4, family, packet.byte(start + 3))
        expectation = Expectation(Key(tuple))
        if hasZone {
            guard let direction = ZoneDirection(rawValue: packet.byte(place + 2)) else {
                throw .message
            }
            expectation.key.zone = packet.big(place)
            expectation.key.zoneDirection = direction
            place += 3
        }
        var hasMask = false
        var hasParent = kind.type == .DELETE
        while place < end {
            guard place + 2 <= end else { throw .message }
            let length = Int(packet.byte(place + 1))
            guard place + 2 + length <= end else { throw .message }
            if let type = AttributeType(rawValue: packet.byte(place)) {
                try readAttribute(packet, type, place + 2, length, &expectation)
                if type == .mask { hasMask = true }
                if type == .parent { hasParent = true }
            }
            place += 2 + length
        }
        guard hasMask, hasParent else { throw .message }
    }

    private static func readAttribute(
        _ packet: RawSpan, _ type: AttributeType, _ place: Int, _ length: Int,
        _ expectation: inout Expectation
    ) throws(WireError) {
        let family = expectation.key.tuple.family
        let tupleLength = family == .ipv4 ? 12 : 36
        switch type {
        case .mask:
            guard length == tupleLength else { throw .message }
            let number = expectation.key.tuple.protocolNumber
            expectation.mask = readTuple(packet, place, family, number)
        case .timeout:
            guard length == 4 else { throw .message }
            expectation.timeoutSeconds = packet.big(place)
        case .parent:
            guard length == 1 + tupleLength else { throw .message }
            expectation.parent = readTuple(packet, place + 1, family, packet.byte(place))
        case .helper:
            guard let name = HelperName(packet.extracting(place..<place + length)) else {
                throw .message
            }
            expectation.helper = name
        case .expectPolicy:
            guard length == 8 else { throw .message }
            expectation.flags = packet.big(place)
            expectation.policyClass = packet.big(place + 4)
        case .expectTranslation:
            guard length == 2 + tupleLength else { throw .message }
            expectation.translationDirection = packet.byte(place)
            expectation.translation = readTuple(packet, place + 2, family, packet.byte(place + 1))
            expectation.isTranslated = true
        case .expectFunction:
            let name = packet.extracting(place..<place + length)
            guard let function = ExpectFunctionName(name) else { throw .message }
            expectation.function = function
        default:
            return
        }
    }
}
