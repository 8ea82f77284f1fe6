// SPDX-License-Identifier: GPL-2.0-or-later

/// The messages of expectations: events and pieces of a dump are read, requests written.
///
/// ```
/// nlmsghdr, nfgenmsg with the family
/// CTA_EXPECT_ZONE 2
/// CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_MASTER: see TupleCodec
/// CTA_EXPECT_TIMEOUT 4 in seconds, CTA_EXPECT_FLAGS 4, CTA_EXPECT_CLASS 4
/// CTA_EXPECT_ID 4: read only
/// CTA_EXPECT_HELP_NAME: text of up to 15 bytes
/// CTA_EXPECT_NAT
/// |- CTA_EXPECT_NAT_DIR 4
/// `- CTA_EXPECT_NAT_TUPLE: see TupleCodec
/// CTA_EXPECT_FN: text of up to 30 bytes
/// ```
///
/// Source: `ctnetlink_exp_dump_expect`, net/netfilter/nf_conntrack_netlink.c.
package enum ExpectationCodec {
    /// The most bytes of a request.
    static let maximumByteCount =
        NetlinkWriter.headerByteCount
        + Attribute.byteCount(2)  // CTA_EXPECT_ZONE
        + 3 * TupleCodec.maximumByteCount  // CTA_EXPECT_TUPLE, _MASK, _MASTER
        + 3 * Attribute.byteCount(4)  // CTA_EXPECT_TIMEOUT, _FLAGS, _CLASS
        + Attribute.byteCount(HelperName.maximumByteCount + 1)
        + NLA_HDRLEN + Attribute.byteCount(4) + TupleCodec.maximumByteCount  // CTA_EXPECT_NAT
        + Attribute.byteCount(ExpectFunctionName.maximumByteCount + 1)

    // MARK: Reading

    /// Reads one message of the kind `expectNew` or `expectDestroy`.
    ///
    /// - Throws: `NetlinkError` if the bytes are no message of the kernel's.
    package static func read(
        _ message: RawSpan, into expectation: inout Expectation
    ) throws(NetlinkError) {
        let end = try message.messageLength()
        let family = try message.ctnetlinkFamily(before: end)
        expectation = Expectation(Key(.none))
        var tuples = 0
        var offset = NetlinkWriter.headerByteCount
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
            _ = try TupleCodec.read(message, attribute, family, into: &expectation.key.tuple)
            return 1
        case CTA_EXPECT_MASK:
            _ = try TupleCodec.read(message, attribute, family, into: &expectation.mask)
            return 2
        case CTA_EXPECT_MASTER:
            _ = try TupleCodec.read(message, attribute, family, into: &expectation.parent)
            return 4
        case CTA_EXPECT_TIMEOUT: expectation.timeoutSeconds = try message.uint32(attribute)
        case CTA_EXPECT_ID: expectation.id = try message.uint32(attribute)
        case CTA_EXPECT_FLAGS: expectation.flags = try message.uint32(attribute)
        case CTA_EXPECT_CLASS: expectation.policyClass = try message.uint32(attribute)
        case CTA_EXPECT_ZONE: expectation.key.zone = try message.uint16(attribute)
        case CTA_EXPECT_NAT: try readTranslation(message, attribute, family, into: &expectation)
        case CTA_EXPECT_HELP_NAME:
            guard let name = HelperName(message.extracting(message.text(attribute))) else {
                throw .wrongSize(attribute.type)
            }
            expectation.helper = name
        case CTA_EXPECT_FN:
            let text = message.text(attribute)
            guard let name = ExpectFunctionName(message.extracting(text)) else {
                throw .wrongSize(attribute.type)
            }
            expectation.function = name
        default: break
        }
        return 0
    }

    // MARK: Writing

    /// What finds an expectation: zone and tuple.
    static func write(_ key: Key, to writer: inout NetlinkWriter) {
        if key.zone != 0 { writer.put(CTA_EXPECT_ZONE, key.zone) }
        TupleCodec.write(CTA_EXPECT_TUPLE, key.tuple, to: &writer)
    }

    /// All of a new expectation.
    ///
    /// - Returns: whether it had something that the kernel does not take (`KernelRange`).
    static func writeCreation(
        _ expectation: borrowing Expectation, to writer: inout NetlinkWriter
    ) -> Bool {
        writeChange(expectation, timeoutSeconds: expectation.timeoutSeconds, to: &writer)
        let flags = KernelRange.expectationFlags(expectation.flags)
        var isReplaced = flags != expectation.flags
        writer.put(CTA_EXPECT_FLAGS, flags)
        writer.put(CTA_EXPECT_CLASS, expectation.policyClass)
        let helper = expectation.helper
        if helper.count > 0 {
            writer.putText(CTA_EXPECT_HELP_NAME, byteCount: helper.count) { helper[$0] }
        }
        if expectation.isTranslated, writeTranslation(expectation, to: &writer) {
            isReplaced = true
        }
        let function = expectation.function
        if function.count > 0 {
            writer.putText(CTA_EXPECT_FN, byteCount: function.count) { function[$0] }
        }
        return isReplaced
    }

    /// A change of the timeout. ctnetlink_new_expect wants mask and master as well, and looks at
    /// neither in a change.
    static func writeChange(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32,
        to writer: inout NetlinkWriter
    ) {
        write(expectation.key, to: &writer)
        TupleCodec.write(CTA_EXPECT_MASK, expectation.mask, to: &writer)
        TupleCodec.write(CTA_EXPECT_MASTER, expectation.parent, to: &writer)
        writer.put(CTA_EXPECT_TIMEOUT, timeoutSeconds)
    }

    // MARK: CTA_EXPECT_NAT

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
                _ = try TupleCodec.read(message, attribute, family, into: &expectation.translation)
                expectation.isTranslated = true
            }
        }
    }

    private static func writeTranslation(
        _ expectation: borrowing Expectation, to writer: inout NetlinkWriter
    ) -> Bool {
        let direction = KernelRange.direction(expectation.translationDirection)
        let nest = writer.beginNest(CTA_EXPECT_NAT)
        writer.put(CTA_EXPECT_NAT_DIR, UInt32(direction))
        TupleCodec.write(CTA_EXPECT_NAT_TUPLE, expectation.translation, to: &writer)
        writer.endNest(nest)
        return direction != expectation.translationDirection
    }
}
