// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Where the ring's packets stand.
@Suite struct PacketSlotsTests {
    @Test func aPacketHasTheRoomOfAnEnvelopeInFrontAndNoOthersBytes() throws {
        let slots = try PacketSlots(count: 4, byteCount: 600)
        for sequence in UInt64(1)...4 {
            let packet = slots.packet(sequence)
            #expect(packet.count == 600)
            packet.initializeMemory(as: UInt8.self, repeating: UInt8(sequence))
            slots.close(sequence, length: 100, messageCount: 3, flags: .partial)
            slots.finish(sequence, isSealed: sequence % 2 == 0)
        }
        for sequence in UInt64(1)...4 {
            let content = slots.content(sequence)
            #expect(content.length == 100 && content.messageCount == 3)
            #expect(content.flags == .partial && content.isSealed == (sequence % 2 == 0))
            let datagram = slots.datagram(sequence, length: 100)
            #expect(datagram.count == PacketSlots.room + 100)
            #expect(datagram[PacketSlots.room...].allSatisfy { $0 == UInt8(sequence) })
            #expect(slots.sent(sequence).count == 100 + (sequence % 2 == 0 ? PacketSlots.room : 0))
        }
        #expect(slots.packet(5).baseAddress == slots.packet(1).baseAddress)
    }

    /// Until the next one is sent, what was sent from the slot is known to have had an envelope.
    @Test func howAPacketWasSentOutlivesTheClosingOfTheNext() throws {
        let slots = try PacketSlots(count: 4, byteCount: 600)
        slots.close(2, length: 100, messageCount: 1, flags: [])
        slots.finish(2, isSealed: true)
        slots.close(6, length: 200, messageCount: 1, flags: [])
        #expect(slots.content(6).isSealed && slots.content(6).length == 200)
        slots.finish(6, isSealed: false)
        #expect(!slots.content(2).isSealed)
    }
}
