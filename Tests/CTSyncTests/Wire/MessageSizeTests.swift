// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The bytes of a message are known before it is written, and none has more than the limits say.
@Suite struct MessageSizeTests {
    /// A span that ends where the message should: a byte more is a crash, a byte less is seen.
    private static func written(
        _ byteCount: Int, _ write: (inout MutableRawSpan) -> Int
    ) -> Int {
        var bytes = [UInt8](repeating: 0xEE, count: byteCount)
        return bytes.withUnsafeMutableBytes { raw in
            var span = raw.mutableBytes
            return write(&span)
        }
    }

    private static func check(_ entry: Entry, sourceLocation: SourceLocation = #_sourceLocation) {
        let update = EntryMessage.byteCount(entry)
        let written = written(update) { EntryMessage.writeUpdate(entry, bits: 0, &$0, at: 0) }
        #expect(written == update, "\(entry.summary)", sourceLocation: sourceLocation)
        #expect(update <= EntryMessage.maximumByteCount, sourceLocation: sourceLocation)
        let delete = KeyPart.byteCount(entry.key)
        #expect(
            Self.written(delete) { EntryMessage.writeDelete(entry.key, &$0, at: 0) } == delete,
            sourceLocation: sourceLocation)
    }

    @Test func ofEverySampleEntry() {
        for entry in SampleEntries.plain + SampleEntries.translated { Self.check(entry) }
    }

    /// Every set of said fields, of TCP and SCTP, of both families, with and without a zone, a
    /// translation, a parent of the other family and a helper's name of any length.
    @Test func ofEverySetOfFields() {
        for family in [Family.ipv4, .ipv6] {
            for number in [ProtocolNumber.tcp, ProtocolNumber.sctp, ProtocolNumber.icmp] {
                for variant in 0..<8 {
                    var entry = Entry(Key(SampleEntries.tuple(number, 1, 2, family: family)))
                    if variant & 1 != 0 { entry.key.zone = 7 }
                    if variant & 2 != 0 { entry.reply.sourcePort = 99 }
                    entry.extras.parent = SampleEntries.tuple(
                        6, 1, 2, family: variant & 4 != 0 ? .ipv4 : .ipv6)
                    for fields in 0..<UInt16(1 << 9) {
                        entry.fields = Entry.Fields(rawValue: fields)
                        let length = Int(fields) % 16
                        entry.extras.helper = SampleExpectations.helper(
                            String(repeating: "h", count: length))
                        Self.check(entry)
                    }
                }
            }
        }
    }

    @Test func ofEveryExpectation() {
        for family in [Family.ipv4, .ipv6] {
            for zone in [0, 3] as [UInt16] {
                for length in 0...ExpectFunctionName.maximumByteCount {
                    let control = SampleExpectations.control(
                        String(repeating: "h", count: length / 2), 4_000, family: family,
                        zone: zone)
                    let expectation = SampleExpectations.expectation(of: control, port: 3_000) {
                        $0.isTranslated = length % 2 == 1
                        $0.translation = control.key.tuple
                        $0.function = SampleExpectations.function(
                            String(repeating: "f", count: length))
                    }
                    let update = ExpectationMessage.byteCount(expectation)
                    let delete = ExpectationMessage.deleteByteCount(expectation)
                    #expect(
                        Self.written(update) {
                            ExpectationMessage.writeUpdate(expectation, bits: 0, &$0, at: 0)
                        } == update)
                    #expect(
                        Self.written(delete) {
                            ExpectationMessage.writeDelete(expectation, &$0, at: 0)
                        } == delete)
                    #expect(update <= ExpectationMessage.maximumByteCount)
                }
            }
        }
    }

    /// Each limit is what its largest case has, no more.
    @Test func theLimitsAreTheLargestCases() {
        let entry = SampleEntries.largest
        #expect(EntryMessage.byteCount(entry) == EntryMessage.maximumByteCount)
        #expect(EntryMessage.maximumByteCount == 222)
        let expectation = SampleExpectations.largest
        #expect(ExpectationMessage.byteCount(expectation) == ExpectationMessage.maximumByteCount)
        #expect(ExpectationMessage.maximumByteCount == 225)
        #expect(Message.maximumByteCount == 225)
        #expect(KeyPart.byteCount(entry.key) == KeyPart.maximumByteCount)
        #expect(Bracket.byteCount == 28)
    }
}
