// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct MessageTests {
    private static let v4 = Tuple(
        family: .ipv4, protocolNumber: ProtocolNumber.tcp, source: Address(ipv4: 0x0A00_0001),
        destination: Address(ipv4: 0xC000_0202), sourcePort: 0x1234, destinationPort: 80)
    private static let v6 = SampleEntries.largest.extras.parent

    private static func check(
        _ message: [UInt8], _ fields: [(String, [UInt8])], sourceLocation: SourceLocation
    ) {
        var offset = 0
        for (name, bytes) in fields {
            let end = min(offset + bytes.count, message.count)
            #expect(
                Array(message[offset..<end]) == bytes, "\(name)", sourceLocation: sourceLocation)
            offset = end
        }
        #expect(offset == message.count, sourceLocation: sourceLocation)
    }

    private static var stateUpdate: Entry {
        var entry = Entry(Key(v4))
        entry.status = [.IPS_SEEN_REPLY, .IPS_ASSURED, .IPS_CONFIRMED]
        entry.timeoutSeconds = 432_000
        entry.protocolInfo.state = TCPState.established
        entry.protocolInfo.originalFlags = 0x03
        entry.protocolInfo.replyFlags = 0x01
        entry.protocolInfo.windowScales = 0x7A
        entry.fields = [.status, .timeout, .protocolInfo]
        return entry
    }

    @Test func aTCPStateUpdateTakes32Bytes() {
        var entry = Self.stateUpdate
        entry.fields = [.timeout, .protocolInfo]
        Self.check(
            PacketBytes.update(entry),
            [
                ("length", [0, 28]), ("kind", [0x00]), ("protocol", [6]),
                ("source", [10, 0, 0, 1]), ("destination", [192, 0, 2, 2]),
                ("ports", [0x12, 0x34, 0, 80]),
                ("timeout", [2, 4, 0, 6, 0x97, 0x80]),
                ("TCP", [4, 4, 3, 3, 1, 0x7A]),
            ], sourceLocation: #_sourceLocation)
        let whole = PacketBytes.update(Self.stateUpdate)
        Self.check(
            whole,
            [
                ("length", [0, 32]), ("kind", [0x00]), ("protocol", [6]),
                ("source", [10, 0, 0, 1]), ("destination", [192, 0, 2, 2]),
                ("ports", [0x12, 0x34, 0, 80]), ("status", [1, 2, 0, 0x0E]),
                ("timeout", [2, 4, 0, 6, 0x97, 0x80]),
                ("TCP", [4, 4, 3, 3, 1, 0x7A]),
            ], sourceLocation: #_sourceLocation)
        #expect(whole.count == 32)
    }

    @Test func aTranslatedTCPEntryTakesAtMost72Bytes() {
        var entry = Self.stateUpdate
        entry.mark = 0x1122_3344
        entry.fields.insert(.mark)
        entry.reply.source = Address(ipv4: 0x0A63_0009)
        entry.reply.destination = Address(ipv4: 0xCB00_7101)
        entry.reply.destinationPort = 40_000
        let message = PacketBytes.update(entry, bits: MessageKind.initsync)
        Self.check(
            message,
            [
                ("length", [0, 52]), ("kind", [0x01]), ("protocol", [6]),
                ("source", [10, 0, 0, 1]), ("destination", [192, 0, 2, 2]),
                ("ports", [0x12, 0x34, 0, 80]), ("status", [1, 2, 0, 0x0E]),
                ("timeout", [2, 4, 0, 6, 0x97, 0x80]),
                ("mark", [3, 4, 0x11, 0x22, 0x33, 0x44]),
                ("TCP", [4, 4, 3, 3, 1, 0x7A]),
                ("reply", [6, 12, 10, 99, 0, 9, 203, 0, 113, 1, 0, 80, 0x9C, 0x40]),
            ], sourceLocation: #_sourceLocation)
        #expect(message.count <= 72)
    }

    @Test func anIPv6EntryInAZone() {
        var entry = Entry(Key(Self.v6, zone: 0x0102, zoneDirection: .reply))
        entry.status = .IPS_CONFIRMED
        entry.fields = .status
        Self.check(
            PacketBytes.update(entry, bits: MessageKind.new),
            [
                ("length", [0, 47]), ("kind", [0x0E]), ("protocol", [17]),
                ("source", [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]),
                ("destination", [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]),
                ("ports", [0, 5, 0, 6]), ("zone", [1, 2, 2]), ("status", [1, 2, 0, 8]),
            ], sourceLocation: #_sourceLocation)
    }

    @Test func aDeletionTakes16Bytes() {
        Self.check(
            PacketBytes.delete(Key(Self.v4)),
            [
                ("length", [0, 16]), ("kind", [0x10]), ("protocol", [6]),
                ("source", [10, 0, 0, 1]), ("destination", [192, 0, 2, 2]),
                ("ports", [0x12, 0x34, 0, 80]),
            ], sourceLocation: #_sourceLocation)
    }

    @Test func brackets() throws {
        let begin = PacketBytes.bracket(.UPDATE, 0x0102_0304)
        #expect(begin == [0, 28, 0x80, 0, 1, 2, 3, 4] + Array(repeating: 0, count: 20))
        let basis = Basis(epoch: 0x0102_0304_0506_0708, sequence: 0x1112)
        let unproved = PacketBytes.written {
            Bracket(number: 5, basis: basis, isProved: false, rules: 0x0A0B_0C0D)
                .write(.DELETE, &$0, at: 0)
        }
        #expect(
            unproved == [0, 28, 0x90, 1, 0, 0, 0, 5]
                + [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0x11, 0x12, 0x0A, 0x0B, 0x0C, 0x0D])
        #expect(try PacketBytes.message(unproved).bracket.rules == 0x0A0B_0C0D)
        let continuing = PacketBytes.bracket(.UPDATE, 5, isContinuing: true)
        #expect(continuing[3] == 4)
        #expect(
            try PacketBytes.message(continuing).bracket == Bracket(number: 5, isContinuing: true))
        // Of an earlier version.
        let short = try PacketBytes.message([0, 24] + unproved[2..<24]).bracket
        #expect(short == Bracket(number: 5, basis: basis, isProved: false))
        let end = PacketBytes.bracket(.DELETE, 5)
        let message = try PacketBytes.message(end)
        #expect(message.kind.resource == .INITSYNC)
        #expect(message.kind.type == .DELETE)
        #expect(message.bracket.number == 5)
    }

    @Test func everyAttribute() throws {
        let message = PacketBytes.update(SampleEntries.largest)
        let v6Parent: [UInt8] =
            [17] + [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
            + [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4] + [0, 5, 0, 6]
        let reply: [UInt8] =
            [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]
            + [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2] + [0, 6, 0, 77]
        Self.check(
            Array(message[43...]),
            [
                ("status", [1, 2, 0xFF, 0xFF]), ("timeout", [2, 4, 0, 0, 0, 1]),
                ("mark", [3, 4, 0, 0, 0, 2]),
                ("SCTP", [5, 9, 4, 10, 11, 12, 13, 1, 2, 3, 4]),
                ("reply", [6, 36] + reply), ("parent", [7, 37] + v6Parent),
                ("helper", [8, 15] + Array("abcdefghijklmno".utf8)),
                ("labels", [9, 16] + (1...16).map { UInt8($0) }),
                ("adjustment", [10, 24] + (1...6).flatMap { [0, 0, 0, UInt8($0)] }),
                ("synproxy", [11, 12] + (7...9).flatMap { [0, 0, 0, UInt8($0)] }),
            ], sourceLocation: #_sourceLocation)
        #expect(message.count <= Message.maximumByteCount)
        #expect(try PacketBytes.message(message).entry == SampleEntries.largest)
    }

    @Test func allSampleEntriesComeBack() throws {
        for entry in SampleEntries.plain + SampleEntries.translated {
            let message = try PacketBytes.message(
                PacketBytes.update(entry, bits: MessageKind.new))
            #expect(message.entry == entry)
            #expect(message.kind.has(MessageKind.new))
            let deletion = try PacketBytes.message(PacketBytes.delete(entry.key))
            #expect(deletion.entry.key == entry.key)
        }
    }

    // MARK: What is refused, what is stepped over

    /// A message cut at any place, its length corrected or not, is refused or is another message
    /// that ends where an attribute does.
    @Test func everyShortLengthIsRefused() {
        for entry in [SampleEntries.largest, Self.stateUpdate] {
            let message = PacketBytes.update(entry)
            let ends = Self.attributeEnds(message, entry.key)
            for count in 0..<message.count {
                var short = Array(message[..<count])
                #expect(throws: WireError.message, "\(count) bytes") {
                    try PacketBytes.message(short)
                }
                guard count >= 4 else { continue }
                short[0] = UInt8(count >> 8)
                short[1] = UInt8(count & 0xFF)
                if ends.contains(count) {
                    #expect(throws: Never.self) { try PacketBytes.message(short) }
                } else {
                    #expect(throws: WireError.message, "\(count) bytes") {
                        try PacketBytes.message(short)
                    }
                }
            }
        }
        for count in 0..<8 {
            var bracket = Array(PacketBytes.bracket(.UPDATE, 1)[..<count])
            if count > 1 { bracket[1] = UInt8(count) }
            #expect(throws: WireError.message) { try PacketBytes.message(bracket) }
        }
    }

    private static func attributeEnds(_ message: [UInt8], _ key: Key) -> Set<Int> {
        var end = KeyPart.byteCount(key)
        var ends: Set<Int> = [end]
        while end < message.count {
            end += 2 + Int(message[end + 1])
            ends.insert(end)
        }
        return ends
    }

    /// Each attribute with a byte more or less than it has.
    @Test func everyWrongAttributeLengthIsRefused() {
        let key = PacketBytes.delete(Key(Self.v4))
        let lengths: [UInt8: [Int]] = [
            1: [2], 2: [4], 3: [4], 4: [4], 5: [9], 6: [12], 7: [13, 37], 8: Array(0...15),
            9: [16], 10: [24], 11: [12],
        ]
        for (type, allowed) in lengths {
            for length in 0...60 {
                let value = Array(repeating: UInt8(1), count: length)
                var message = key + [type, UInt8(length)] + value
                message[1] = UInt8(message.count)
                message[2] = 0
                if allowed.contains(length) {
                    #expect(throws: Never.self) { try PacketBytes.message(message) }
                } else {
                    #expect(throws: WireError.message, "attribute \(type), \(length)") {
                        try PacketBytes.message(message)
                    }
                }
            }
        }
    }

    @Test func unknownAttributesAreSteppedOver() throws {
        let known = PacketBytes.update(Self.stateUpdate)
        for type in [0, 12, 100, 255] as [UInt8] {
            for length in [0, 1, 200] {
                let strange = [type, UInt8(length)] + Array(repeating: 0xFF, count: length)
                var message = Array(known[..<16]) + strange + Array(known[16...])
                message[0] = UInt8(message.count >> 8)
                message[1] = UInt8(message.count & 0xFF)
                #expect(try PacketBytes.message(message).entry == Self.stateUpdate)
            }
        }
    }

    @Test func unknownResourcesAndTypesAreSteppedOver() throws {
        let strange: [[UInt8]] = [
            [0, 6, 0xC0, 0, 1, 2], [0, 4, 0x20, 0], [0, 5, 0x30, 0, 9], [0, 4, 0x60, 6],
        ]
        let packet = PacketBytes.sync(1, strange + [PacketBytes.delete(Key(Self.v4))])
        var scratch = Message()
        let span = packet.span.bytes
        try MessageReader.validate(span, count: 5, scratch: &scratch)
        var offset = PacketHeader.byteCount
        for _ in strange {
            try MessageReader.read(span, at: &offset, into: &scratch)
            let isKnown = scratch.kind.resource != nil && scratch.kind.type != nil
            #expect(!isKnown)
        }
        try MessageReader.read(span, at: &offset, into: &scratch)
        #expect(scratch.entry.key == Key(Self.v4))
    }

    @Test func aPacketHoldsAsManyMessagesAsItSays() {
        let packet = PacketBytes.sync(1, [PacketBytes.delete(Key(Self.v4))])
        var scratch = Message()
        for count in [0, 2, 3, 65_535] as [UInt16] {
            #expect(throws: WireError.message) {
                try MessageReader.validate(packet.span.bytes, count: count, scratch: &scratch)
            }
        }
    }
}
