// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Which addresses stay with a node.
@Suite struct AddressCheckTests {
    private static func host(_ number: UInt32) -> HostAddress {
        HostAddress(.ipv4, Address(ipv4: 0x0A02_0000 | number))
    }

    @Test func whatANodeHadAsSlaveStays() {
        let (own, moving) = (Self.host(1), Self.host(9))
        var check = AddressCheck()
        for _ in 0..<2 { #expect(check.look([own], isSlave: true).isEmpty) }
        #expect(check.look([own], isSlave: true) == [own])
        // A manager adds it a moment before it promotes, and takes it a moment after it demotes.
        #expect(check.look([own, moving], isSlave: true) == [own])
        for _ in 0..<10 { #expect(check.look([moving, own], isSlave: false) == [own]) }
        #expect(check.look([own, moving], isSlave: true) == [own])
        for _ in 0..<5 { #expect(check.look([own], isSlave: true) == [own]) }
        // One that goes is forgotten, also as master.
        #expect(check.look([], isSlave: false).isEmpty)
        #expect(check.look([own], isSlave: false).isEmpty)
    }

    @Test func addressesGoOverTheWire() throws {
        let ipv6 = HostAddress(.ipv6, SampleEntries.v6.1)
        let announcement = Announcement(
            basis: Basis(epoch: 1, sequence: 2), entryCount: 3, rules: 4,
            addresses: [Self.host(1), ipv6])
        var bytes = [UInt8](repeating: 0xFF, count: PacketHeader.byteCount + 84)
        bytes.withUnsafeMutableBytes {
            var span = $0.mutableBytes
            announcement.write(&span)
        }
        let content = Array(bytes[PacketHeader.byteCount...])
        #expect(
            content == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
                + [0, 0, 0, 3, 0, 0, 0, 4, 2]
                + [UInt8](repeating: 0, count: 27)
                + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 2, 0, 1]
                + [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])
        var found: [HostAddress] = []
        Announcement.readAddresses(bytes.span.bytes, into: &found)
        #expect(found == announcement.addresses)
        #expect(try Announcement.read(bytes.span.bytes).basis == announcement.basis)
        for length in 0..<bytes.count {
            let short = Array(bytes[..<length])
            #expect(throws: WireError.message) { try Announcement.read(short.span.bytes) }
        }
    }
}
