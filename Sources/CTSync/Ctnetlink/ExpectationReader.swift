// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads expectations out of ctnetlink messages, as `EntryReader` reads entries.
///
/// Source: `ctnetlink_exp_dump_expect`, net/netfilter/nf_conntrack_netlink.c.
package enum ExpectationReader {
    /// Reads one message of the kind `expectNew` or `expectDestroy`, whose header `EntryReader` has
    /// checked.
    ///
    /// - Throws: `NetlinkError` where the bytes are no message of the kernel's.
    package static func read(
        _ message: RawSpan, into expectation: inout Expectation
    ) throws(NetlinkError) {
        let start = NLMSG_HDRLEN + NFGENMSG_LENGTH
        guard message.byteCount >= start else { throw .shortMessage }
        let end = Int(message.hostUInt32(at: 0))
        guard end >= start, end <= message.byteCount else { throw .shortMessage }
        let number = message.unsafeLoad(fromByteOffset: NLMSG_HDRLEN, as: UInt8.self)
        guard let family = Family(rawValue: number) else { throw .unknownFamily(number) }
        expectation = Expectation(Key(.none))
        var tuples = 0
        var offset = start
        while offset < end {
            let attribute = try message.attribute(at: offset, before: end)
            offset = attribute.next
            tuples |= try read(message, attribute, family, into: &expectation)
        }
        guard tuples == 7 else { throw .incompleteTuple }
    }

    /// Reads one attribute; which of the three tuples it was.
    private static func read(
        _ message: RawSpan, _ attribute: Attribute, _ family: Family,
        into expectation: inout Expectation
    ) throws(NetlinkError) -> Int {
        switch attribute.type {
        case CTA_EXPECT_TUPLE:
            _ = try EntryReader.readTuple(message, attribute, family, into: &expectation.key.tuple)
            return 1
        case CTA_EXPECT_MASK:
            _ = try EntryReader.readTuple(message, attribute, family, into: &expectation.mask)
            return 2
        case CTA_EXPECT_MASTER:
            _ = try EntryReader.readTuple(message, attribute, family, into: &expectation.parent)
            return 4
        case CTA_EXPECT_TIMEOUT: expectation.timeoutSeconds = try message.uint32(attribute)
        case CTA_EXPECT_ID: expectation.id = try message.uint32(attribute)
        case CTA_EXPECT_FLAGS: expectation.flags = try message.uint32(attribute)
        case CTA_EXPECT_CLASS: expectation.policyClass = try message.uint32(attribute)
        case CTA_EXPECT_ZONE: expectation.key.zone = try message.uint16(attribute)
        case CTA_EXPECT_NAT: try readTranslation(message, attribute, family, into: &expectation)
        case CTA_EXPECT_HELP_NAME:
            guard let name = HelperName(message.extracting(text(message, attribute))) else {
                throw .wrongSize(attribute.type)
            }
            expectation.helper = name
        case CTA_EXPECT_FN:
            guard
                let name = ExpectFunctionName(
                    message.extracting(text(message, attribute)))
            else {
                throw .wrongSize(attribute.type)
            }
            expectation.function = name
        default: break
        }
        return 0
    }

    private static func readTranslation(
        _ message: RawSpan, _ nest: Attribute, _ family: Family,
        into expectation: inout Expectation
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            if attribute.type == CTA_EXPECT_NAT_DIR {
                let direction = try message.uint32(attribute)
                expectation.translationDirection = UInt8(truncatingIfNeeded: direction)
            } else if attribute.type == CTA_EXPECT_NAT_TUPLE {
                _ = try EntryReader.readTuple(
                    message, attribute, family, into: &expectation.translation)
                expectation.isTranslated = true
            }
        }
    }

    /// Where a string's bytes are, without a final zero byte.
    private static func text(_ message: RawSpan, _ attribute: Attribute) -> Range<Int> {
        var end = attribute.start
        while end < attribute.end, message.unsafeLoad(fromByteOffset: end, as: UInt8.self) != 0 {
            end += 1
        }
        return attribute.start..<end
    }
}
