// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What is made of frames that a packet socket sees.
@Suite struct SightingTests {
    private static let group = HostAddress(.ipv4, Address(ipv4: 0xE000_00FE))
    private static let expected = Sighting.Expectation(
        port: 3_781, hosts: [group, HostAddress(.ipv6, Address(high: 0xFF02 << 48, low: 0x114))],
        isMulticast: true)

    /// 172.31.255.1 to 224.0.0.254, with what differs.
    static func frame(
        port: UInt16 = 3_781, ttl: UInt8 = 255, destination: [UInt8] = [224, 0, 0, 254],
        payload: [UInt8] = PacketBytes.announcement(1), ethernet: Bool = true
    ) -> [UInt8] {
        let length = UInt16(payload.count + 8)
        var bytes: [UInt8] = ethernet ? [UInt8](repeating: 2, count: 12) + [0x08, 0x00] : []
        bytes += [0x45, 0] + big(length + 20) + [0, 0, 0x40, 0, ttl, 17, 0, 0]
        bytes += [172, 31, 255, 1] + destination
        bytes += big(3_781) + big(port) + big(length) + [0, 0]
        return bytes + payload
    }

    /// fe80::1 to ff02::114.
    static func frame6(
        port: UInt16 = 3_781, payload: [UInt8] = PacketBytes.announcement(1)
    ) -> [UInt8] {
        let length = UInt16(payload.count + 8)
        var bytes = [UInt8](repeating: 2, count: 12) + [0x86, 0xDD, 0x60, 0, 0, 0]
        bytes += big(length) + [17, 255]
        bytes += [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
        bytes += [0xFF, 0x02] + [UInt8](repeating: 0, count: 12) + [1, 0x14]
        return bytes + big(3_781) + big(port) + big(length) + [0, 0] + payload
    }

    private static func big(_ number: UInt16) -> [UInt8] {
        [UInt8(number >> 8), UInt8(number & 0xFF)]
    }

    private static func seen(
        _ frame: [UInt8], _ expected: Sighting.Expectation = expected
    ) -> Sighting? {
        Sighting(frame.span.bytes, expected: expected)
    }

    @Test func eachDifferenceIsTold() {
        #expect(Self.seen(Self.frame())?.kind == .blocked)
        #expect(Self.seen(Self.frame(ethernet: false))?.kind == .blocked)
        #expect(Self.seen(Self.frame(port: 3_782))?.kind == .anotherPort(3_782))
        #expect(Self.seen(Self.frame(ttl: 254))?.kind == .routed(hopLimit: 254))
        #expect(
            Self.seen(Self.frame(destination: [224, 0, 0, 9]))?.kind
                == .anotherGroup("224.0.0.9"))
        // To this node alone: what a node with peers sends.
        #expect(Self.seen(Self.frame(destination: [172, 31, 255, 2]))?.kind == .blocked)
        #expect(Self.seen(Self.frame6(port: 3_781))?.kind == .blocked)
        #expect(Self.seen(Self.frame6(port: 1))?.kind == .anotherPort(1))
    }

    @Test func whoIsNoPeerIsTold() {
        var expected = Self.expected
        expected.isMulticast = false
        expected.hosts = [HostAddress(.ipv4, Address(ipv4: 0xAC1F_FF09))]
        let frame = Self.frame(destination: [172, 31, 255, 2])
        #expect(Self.seen(frame, expected)?.kind == .notAPeer)
        expected.hosts = [HostAddress(.ipv4, Address(ipv4: 0xAC1F_FF01))]
        #expect(Self.seen(frame, expected)?.kind == .blocked)
        #expect(Self.seen(Self.frame(), expected)?.kind == .anotherGroup("224.0.0.254"))
    }

    @Test func theSenderIsTold() {
        let master = Self.seen(Self.frame())
        #expect(master?.nodeID == 1 && master?.isMaster == true)
        #expect(master?.address == "172.31.255.1" && master?.isIPv4 == true)
        let header = PacketHeader(type: .NACK, nodeID: 9, epoch: 0, sequence: 0)
        let packet = PacketBytes.sealed(header, PacketBytes.report())
        let slave = Self.seen(Self.frame(payload: packet))
        #expect(slave?.nodeID == 9 && slave?.isMaster == false)
        #expect(Self.seen(Self.frame6(port: 1))?.isIPv4 == false)
    }

    /// Cut anywhere, or with any byte another, it is a packet or none, and never a crash.
    @Test func whatIsNoPacketOfOursIsNone() {
        for frame in [Self.frame(), Self.frame6(port: 3_781), Self.frame(ethernet: false)] {
            for length in 0..<frame.count {
                #expect(Self.seen(Array(frame[..<length])) == nil, "\(length)")
            }
            for place in frame.indices {
                var other = frame
                other[place] ^= 0xFF
                _ = Self.seen(other)
            }
        }
        #expect(Self.seen(Self.frame(payload: [UInt8](repeating: 0, count: 80))) == nil)
    }
}
