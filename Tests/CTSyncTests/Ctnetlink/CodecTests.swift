// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What the writers write the readers read; no kernel takes part.
@Suite struct CodecTests {
    private static var entries: [Entry] {
        SampleEntries.plain + SampleEntries.translated + [SampleEntries.largest]
    }

    @Test func everyEntryComesBack() throws {
        let page = try GuardedPage()
        for entry in Self.entries {
            let (kind, read) = try page.read(WrittenMessages.told(entry))
            #expect(kind == .update)
            var told = entry
            // The windows of an open connection mean nothing to the kernel it goes to.
            if entry.key.tuple.protocolNumber == ProtocolNumber.tcp,
                (TCPState.synSent...TCPState.lastAck).contains(entry.protocolInfo.state)
            {
                told.protocolInfo.originalFlags |= TCPFlag.beLiberal
                told.protocolInfo.replyFlags |= TCPFlag.beLiberal
            }
            #expect(read == told, "\(read.summary) is not \(told.summary)")
        }
    }

    @Test func everyExpectationComesBack() throws {
        let page = try GuardedPage()
        let ftp = SampleExpectations.expectation(
            of: SampleExpectations.control("ftp", 4_000, zone: 5), port: 3_000
        ) {
            $0.flags = 3
            $0.policyClass = 2
        }
        for expectation in [ftp, SampleExpectations.largest] {
            #expect(try page.readExpectation(WrittenMessages.told(expectation)) == expectation)
        }
    }

    /// The limit is the sum of each part's largest case, of which no entry has all: one with the
    /// largest state has ports, in each of its two tuples an attribute of one byte less than ICMPv6's
    /// id, type and code.
    @Test func theLimitsAreTheLargestCases() throws {
        var entry = SampleEntries.largest
        entry.key.tuple.protocolNumber = ProtocolNumber.tcp
        entry.reply.protocolNumber = ProtocolNumber.tcp
        entry.extras.parent.protocolNumber = ProtocolNumber.icmpv6
        let request = WrittenMessages.written(NFNL_SUBSYS_CTNETLINK, type: 0, .ipv6) { writer in
            _ = EntryCodec.writeCreation(entry, timeoutSeconds: 1, status: [], to: &writer)
        }
        #expect(request.count == EntryCodec.maximumByteCount - 2 * Attribute.byteCount(1))
        var expectation = SampleExpectations.largest
        for path in [\Expected.key.tuple, \.mask, \.parent, \.translation] {
            expectation[keyPath: path].protocolNumber = ProtocolNumber.icmpv6
        }
        #expect(WrittenMessages.told(expectation).count == ExpectationCodec.maximumByteCount)
        #expect(RequestBatch.largestRequestBytes == EntryCodec.maximumByteCount)
        #expect(EntryCodec.maximumByteCount == 628 && ExpectationCodec.maximumByteCount == 456)
    }

    /// The header and the attributes of a request, cut by field.
    @Test func goldenBytes() {
        var entry = SampleEntries.plain[2]
        entry.mark = 0x1122_3344
        let request = WrittenMessages.written(
            NFNL_SUBSYS_CTNETLINK, type: IPCTNL_MSG_CT_NEW, flags: NLM_F_REQUEST, .ipv4
        ) { writer in
            _ = EntryCodec.writeChange(
                entry, timeoutSeconds: 600, status: [.IPS_ASSURED], to: &writer)
        }
        let fields: [(String, [UInt8])] = [
            ("nlmsghdr", [144, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
            ("nfgenmsg", [2, 0, 0, 0]),
            ("CTA_TUPLE_ORIG", [52, 0, 1, 0x80]),
            ("CTA_TUPLE_IP", [20, 0, 1, 0x80]),
            ("CTA_IP_V4_SRC", [8, 0, 1, 0, 10, 0, 0, 1]),
            ("CTA_IP_V4_DST", [8, 0, 2, 0, 192, 0, 2, 1]),
            ("CTA_TUPLE_PROTO", [28, 0, 2, 0x80]),
            ("CTA_PROTO_NUM", [5, 0, 1, 0, 6, 0, 0, 0]),
            ("CTA_PROTO_SRC_PORT", [6, 0, 2, 0, 0x03, 0xEB, 0, 0]),
            ("CTA_PROTO_DST_PORT", [6, 0, 3, 0, 0, 80, 0, 0]),
            ("CTA_TIMEOUT", [8, 0, 7, 0, 0, 0, 2, 88]),
            ("CTA_STATUS", [8, 0, 3, 0, 0, 0, 0, 4]),
            ("CTA_MARK", [8, 0, 8, 0, 0x11, 0x22, 0x33, 0x44]),
            ("CTA_PROTOINFO", [48, 0, 4, 0x80]),
            ("CTA_PROTOINFO_TCP", [44, 0, 1, 0x80]),
            ("CTA_PROTOINFO_TCP_STATE", [5, 0, 1, 0, 3, 0, 0, 0]),
            ("CTA_PROTOINFO_TCP_WSCALE_ORIGINAL", [5, 0, 2, 0, 7, 0, 0, 0]),
            ("CTA_PROTOINFO_TCP_WSCALE_REPLY", [5, 0, 3, 0, 10, 0, 0, 0]),
            ("CTA_PROTOINFO_TCP_FLAGS_ORIGINAL", [6, 0, 4, 0, 11, 15, 0, 0]),
            ("CTA_PROTOINFO_TCP_FLAGS_REPLY", [6, 0, 5, 0, 9, 15, 0, 0]),
        ]
        var offset = 0
        for (name, bytes) in fields {
            let end = min(offset + bytes.count, request.count)
            #expect(Array(request[offset..<end]) == bytes, "\(name)")
            offset = end
        }
        #expect(offset == request.count)
    }

    @Test func kindsOfMessages() throws {
        let table: [(UInt16, UInt16, CtnetlinkKind)] = [
            (0x100, 0x600, .new), (0x100, 0, .update), (0x100, 0x400, .update),
            (0x102, 0, .destroy), (0x200, 0x600, .expectNew), (0x202, 0, .expectDestroy),
            (2, 0, .error), (3, 2, .done), (1, 0, .other), (0x101, 0, .other), (0xA00, 0, .other),
        ]
        for (type, flags, kind) in table {
            #expect(CtnetlinkKind(type: type, flags: flags) == kind)
        }
    }
}
