// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct DeviceReaderTests {
    @Test func vlanHasItsTagAndTheDeviceBelow() throws {
        let device = try #require(try DeviceReader(LinkMessage.vlan.span.bytes).devices.first)
        #expect(device.index == 7)
        #expect(device.name == "eth0.10")
        #expect(device.kind == "vlan")
        #expect(device.lower == 2)
        #expect(device.master == nil)
        #expect(device.tag == Device.Tag(identifier: 10))
        #expect(device.address == [2, 0, 0, 0, 0, 7])
        #expect(device.isUp)
        #expect(!device.isLoopback)
    }

    @Test func providerTagIsRead() throws {
        var bytes = LinkMessage.vlan
        let position = try #require(bytes.firstRange(of: [0x81, 0x00])?.lowerBound)
        bytes[position] = 0x88
        bytes[position + 1] = 0xA8
        let device = try #require(try DeviceReader(bytes.span.bytes).devices.first)
        #expect(device.tag == Device.Tag(identifier: 10, etherType: 0x88A8))
    }

    @Test func bondAndItsMembers() throws {
        let bytes =
            LinkMessage.bond + LinkMessage.member("eth1", index: 3)
            + LinkMessage.member("eth2", index: 4) + LinkMessage.done
        let reader = try DeviceReader(bytes.span.bytes)
        #expect(reader.isLast)
        #expect(!reader.isInterrupted)
        #expect(reader.devices.map(\.kind) == ["bond", "", ""])
        #expect(reader.devices.map(\.master) == [nil, 5, 5])
        #expect(reader.devices.map(\.tag) == [nil, nil, nil])
    }

    @Test func numberOfAnotherNamespaceIsNoDeviceBelow() throws {
        let device = try #require(try DeviceReader(LinkMessage.veth.span.bytes).devices.first)
        #expect(device.kind == "veth")
        #expect(device.lower == nil)
    }

    @Test func bridgesViewOfAPortIsNoDevice() throws {
        let bytes = LinkMessage.newLink(index: 3, family: 7, [LinkMessage.name("eth1")])
        #expect(try DeviceReader(bytes.span.bytes).devices.isEmpty)
    }

    @Test func interruptionAndRefusalAreSeen() throws {
        let done = LinkMessage.message(type: 3, flags: 0x12, [0, 0, 0, 0])
        #expect(try DeviceReader(done.span.bytes).isInterrupted)
        let refusal = LinkMessage.message(
            type: 2, [0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 16))
        #expect(try DeviceReader(refusal.span.bytes).refusal == 1)
    }

    @Test(arguments: [LinkMessage.vlan, LinkMessage.member("eth1", index: 3), LinkMessage.veth])
    func everyShortLengthIsRefused(_ message: [UInt8]) {
        for count in 1..<message.count {
            #expect(throws: NetlinkError.self) {
                try DeviceReader(message.span.extracting(first: count).bytes)
            }
            // The same with a header that says so: attributes are cut, nothing may trap.
            var short = Array(message[..<count])
            guard count >= 16 else { continue }
            short[0] = UInt8(count & 0xFF)
            short[1] = UInt8(count >> 8)
            _ = Result { try DeviceReader(short.span.bytes) }
        }
    }
}
