// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct AnnouncementFrameTests {
    private static let station: [UInt8] = [0x02, 0x00, 0x5E, 0x10, 0x20, 0x30]

    @Test func gratuitousRequest() {
        let expected: [UInt8] =
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]  // to everybody
            + Self.station + [0x08, 0x06]
            + [0x00, 0x01]  // ar_hrd: Ethernet
            + [0x08, 0x00]  // ar_pro: IPv4
            + [6, 4]  // ar_hln, ar_pln
            + [0x00, 0x01]  // ar_op: request
            + Self.station + [192, 0, 2, 1]  // sender
            + [0, 0, 0, 0, 0, 0] + [192, 0, 2, 1]  // target
        let frame = AnnouncementFrame.arp(
            .request, station: Self.station, address: Address(ipv4: 0xC000_0201))
        #expect(frame == expected)
    }

    @Test func gratuitousReply() {
        let frame = AnnouncementFrame.arp(
            .reply, station: Self.station, address: Address(ipv4: 0xC000_0201))
        #expect(frame.count == 42)
        #expect(Array(frame[20..<22]) == [0x00, 0x02])
        #expect(Array(frame[32..<42]) == [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 192, 0, 2, 1])
    }

    @Test func neighbourAdvertisement() {
        let address = Address(high: 0x2001_0DB8_0000_0000, low: 1)
        let own: [UInt8] = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        let allNodes: [UInt8] = [0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        let frame = AnnouncementFrame.neighbourAdvertisement(
            station: Self.station, address: address, isRouter: true)
        #expect(Array(frame[0..<6]) == [0x33, 0x33, 0, 0, 0, 1])
        #expect(Array(frame[6..<14]) == Self.station + [0x86, 0xDD])
        #expect(Array(frame[14..<18]) == [0x60, 0, 0, 0])  // version, class, flow label
        #expect(Array(frame[18..<22]) == [0, 32, 58, 255])  // length, ICMPv6, hop limit
        #expect(Array(frame[22..<38]) == own)
        #expect(Array(frame[38..<54]) == allNodes)
        #expect(Array(frame[54..<56]) == [136, 0])
        #expect(Array(frame[58..<62]) == [0xA0, 0, 0, 0])  // R and O
        #expect(Array(frame[62..<78]) == own)
        #expect(Array(frame[78...]) == [2, 1] + Self.station)
        // The sum over pseudo-header and message, its own checksum included, is all ones.
        let summed = own + allNodes + [0, 0, 0, 32, 0, 0, 0, 58] + frame[54...]
        var sum = 0
        for index in stride(from: 0, to: summed.count, by: 2) {
            sum += Int(summed[index]) << 8 | Int(summed[index + 1])
        }
        #expect((sum & 0xFFFF) + (sum >> 16) == 0xFFFF)
    }

    @Test func hostIsNoRouter() {
        let frame = AnnouncementFrame.neighbourAdvertisement(
            station: Self.station, address: Address(high: 0xFE80 << 48, low: 1), isRouter: false)
        #expect(frame[58] == 0x20)
    }
}
