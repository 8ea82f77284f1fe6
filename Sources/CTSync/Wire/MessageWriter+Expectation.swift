// SPDX-License-Identifier: GPL-2.0-or-later

/// EXPECT messages have the key of CONNTRACK messages: the expected tuple and the zone. Then come
/// attributes, in an UPDATE all that hold, in a DELETE the mask:
///
/// | attribute             | bytes of its value                                                 |
/// |-----------------------|--------------------------------------------------------------------|
/// | mask (12)             | source 4/16, destination 4/16, source port 2, destination port 2   |
/// | timeout (2)           | 4, in seconds                                                      |
/// | parent (7)            | protocol 1, source 4/16, destination 4/16, ports 2 + 2             |
/// | helper (8)            | 1 to 15                                                            |
/// | expectPolicy (13)     | flags 4, class 4                                                   |
/// | expectTranslation (14)| direction 1, protocol 1, source 4/16, destination 4/16, ports 2 + 2|
/// | expectFunction (15)   | 1 to 30                                                            |
///
/// An IPv6 expectation with everything takes 229 bytes, an FTP server's over IPv4 69.
extension MessageWriter {
    /// Writes an expectation.
    ///
    /// - Parameter bits: `MessageKind.initsync` or none.
    /// - Returns: the bytes written.
    static func writeUpdate(
        _ expectation: borrowing Expectation, bits: UInt8, _ packet: inout MutableRawSpan,
        at offset: Int
    ) -> Int {
        var kind = MessageKind(.EXPECT, .UPDATE)
        kind.rawValue |= bits
        var end = writeKey(expectation.key, kind, &packet, at: offset)
        writeMask(expectation, &packet, &end)
        attribute(.timeout, 4, &packet, &end)
        packet.setBig(end - 4, expectation.timeoutSeconds)
        let tupleLength = expectation.key.tuple.family == .ipv4 ? 12 : 36
        attribute(.parent, 1 + tupleLength, &packet, &end)
        packet.setByte(end - tupleLength - 1, expectation.parent.protocolNumber)
        writeTuple(expectation.parent, &packet, at: end - tupleLength)
        let helperLength = expectation.helper.count
        if helperLength > 0 {
            attribute(.helper, helperLength, &packet, &end)
            for index in 0..<helperLength {
                packet.setByte(end - helperLength + index, expectation.helper[index])
            }
        }
        attribute(.expectPolicy, 8, &packet, &end)
        packet.setBig(end - 8, expectation.flags)
        packet.setBig(end - 4, expectation.policyClass)
        if expectation.isTranslated {
            attribute(.expectTranslation, 2 + tupleLength, &packet, &end)
            packet.setByte(end - tupleLength - 2, expectation.translationDirection)
            packet.setByte(end - tupleLength - 1, expectation.translation.protocolNumber)
            writeTuple(expectation.translation, &packet, at: end - tupleLength)
        }
        let length = expectation.function.count
        if length > 0 {
            attribute(.expectFunction, length, &packet, &end)
            for index in 0..<length {
                packet.setByte(end - length + index, expectation.function[index])
            }
        }
        packet.setBig(offset, UInt16(end - offset))
        return end - offset
    }

    /// Writes that an expectation is gone.
    ///
    /// - Returns: the bytes written.
    static func writeDelete(
        _ expectation: borrowing Expectation, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        var end = writeKey(expectation.key, MessageKind(.EXPECT, .DELETE), &packet, at: offset)
        writeMask(expectation, &packet, &end)
        packet.setBig(offset, UInt16(end - offset))
        return end - offset
    }

    private static func writeMask(
        _ expectation: borrowing Expectation, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let length = expectation.key.tuple.family == .ipv4 ? 12 : 36
        attribute(.mask, length, &packet, &end)
        writeTuple(expectation.mask, &packet, at: end - length)
    }
}
