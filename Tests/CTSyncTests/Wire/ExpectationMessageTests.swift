// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// EXPECT messages: golden bytes, every short length refused, everything there and back.
struct ExpectationMessageTests {
    private func written(
        _ write: (inout MutableRawSpan) -> Int
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: Message.maximumByteCount)
        let count = bytes.withUnsafeMutableBytes { raw -> Int in
            var span = raw.mutableBytes
            return write(&span)
        }
        return Array(bytes[..<count])
    }

    private func read(_ bytes: [UInt8]) throws -> Message {
        var message = Message()
        try bytes.withUnsafeBytes { raw in
            var offset = 0
            try MessageReader.read(raw.bytes, at: &offset, into: &message)
            #expect(offset == bytes.count)
        }
        return message
    }

    private var ftp: Expected {
        SampleExpectations.expectation(
            of: SampleExpectations.control("ftp", 4000, zone: 5), port: 3000
        ) {
            $0.flags = 1
            $0.policyClass = 2
        }
    }

    @Test func goldenBytes() {
        let update = written { ExpectationMessage.writeUpdate(ftp, bits: 0, &$0, at: 0) }
        var golden: [UInt8] = [0, 79, 0x44, 6]  // length, EXPECT UPDATE with a zone, TCP
        golden += [192, 0, 2, 1, 10, 0, 0, 1, 0, 0, 0x0B, 0xB8]  // server, client, any, 3000
        golden += [0, 5, 0]  // zone 5, both directions
        golden += [12, 12, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 255, 255]  // mask
        golden += [2, 4, 0, 0, 0, 250]  // timeout
        golden += [7, 13, 6, 10, 0, 0, 1, 192, 0, 2, 1, 0x0F, 0xA0, 0, 21]  // master
        golden += [8, 3, 0x66, 0x74, 0x70]  // helper
        golden += [13, 8, 0, 0, 0, 1, 0, 0, 0, 2]  // flags, class
        golden[1] = UInt8(golden.count)
        #expect(update == golden)
        let delete = written { ExpectationMessage.writeDelete(ftp, &$0, at: 0) }
        var gone = Array(golden[..<33])
        gone[1] = 33
        gone[2] = 0x54
        #expect(delete == gone)
    }

    @Test func thereAndBack() throws {
        for expectation in [ftp, SampleExpectations.largest] {
            let update = written {
                ExpectationMessage.writeUpdate(expectation, bits: MessageKind.initsync, &$0, at: 0)
            }
            let message = try read(update)
            #expect(message.kind.resource == .EXPECT && message.kind.type == .UPDATE)
            #expect(message.kind.has(MessageKind.initsync))
            #expect(message.expectation == expectation)
            let delete = try read(
                written { ExpectationMessage.writeDelete(expectation, &$0, at: 0) })
            #expect(delete.kind.type == .DELETE && delete.expectation.key == expectation.key)
            #expect(delete.expectation.mask == expectation.mask)
        }
    }

    @Test func everyShortLengthIsRefused() {
        let largest = SampleExpectations.largest
        let update = written { ExpectationMessage.writeUpdate(largest, bits: 0, &$0, at: 0) }
        // Cut between two attributes a message is whole, if mask and master are before the cut.
        for length in 0..<update.count {
            var short = Array(update[..<length])
            if length >= 2 {
                short[0] = 0
                short[1] = UInt8(length)
            }
            if let message = try? read(short) {
                #expect(message.expectation.parent == largest.parent, "\(length)")
                #expect(message.expectation.mask == largest.mask, "\(length)")
            }
        }
    }

    /// Each attribute with a byte more or less than it has; a name of no bytes is none.
    @Test func everyWrongAttributeLengthIsRefused() throws {
        let lengths: [UInt8: [Int]] = [
            2: [4], 7: [13], 8: Array(0...15), 12: [12], 13: [8], 14: [14], 15: Array(1...30),
        ]
        let whole = written { ExpectationMessage.writeUpdate(ftp, bits: 0, &$0, at: 0) }
        for (type, allowed) in lengths {
            for length in 0...60 {
                var message = whole + [type, UInt8(length)]
                message += Array(repeating: UInt8(1), count: length)
                message[1] = UInt8(message.count)
                if allowed.contains(length) {
                    #expect(throws: Never.self) { try read(message) }
                } else {
                    #expect(throws: WireError.message, "attribute \(type), \(length)") {
                        try read(message)
                    }
                }
            }
        }
    }
}
