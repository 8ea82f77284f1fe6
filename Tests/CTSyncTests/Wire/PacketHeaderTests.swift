// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct PacketHeaderTests {
    private static var sample: PacketHeader {
        var header = PacketHeader(
            type: .SYNC, nodeID: 7, epoch: 0x0102_0304_0506_0708, sequence: 0x1112_1314)
        header.flags = .incomplete
        header.messageCount = 2
        header.oldest = 0x1112_1000
        header.clockMicroseconds = 0x0006_0504_0302_0100
        return header
    }

    @Test func goldenBytes() throws {
        let packet = PacketBytes.sealed(Self.sample, [0xAA, 0xBB])
        #expect(packet.count == 46)
        let expected: [(String, [UInt8])] = [
            ("version", [0x10]),
            ("type", [3]),
            ("node id", [7]),
            ("flags", [1]),
            ("length", [0, 46]),
            ("messages", [0, 2]),
            ("epoch", [1, 2, 3, 4, 5, 6, 7, 8]),
            ("sequence", [0, 0, 0, 0, 0x11, 0x12, 0x13, 0x14]),
            ("oldest", [0, 0, 0, 0, 0x11, 0x12, 0x10, 0]),
            ("clock", [0, 6, 5, 4, 3, 2, 1, 0]),
            ("CRC-32C", [0x8E, 0x88, 0xB9, 0x16]),
            ("content", [0xAA, 0xBB]),
        ]
        var offset = 0
        for (name, bytes) in expected {
            #expect(Array(packet[offset..<offset + bytes.count]) == bytes, "\(name)")
            offset += bytes.count
        }
        #expect(offset == packet.count)
        var read = Self.sample
        read.length = 46
        #expect(try PacketBytes.header(of: packet) == read)
    }

    /// The checksum covers every byte, its own place as zero, and the cluster's name.
    @Test func checksumIsOverAllWithItsPlaceZero() throws {
        let packet = PacketBytes.sealed(Self.sample, [0xAA, 0xBB])
        var zeroed = packet
        for index in 40..<44 { zeroed[index] = 0 }
        let checksum = zeroed.withUnsafeBytes { CRC32C().update(0, $0.bytes) }
        #expect(packet.span.bytes.big(40) == checksum)
        for index in packet.indices {
            var changed = packet
            changed[index] ^= 0x04
            #expect(throws: WireError.self, "byte \(index)") {
                try PacketBytes.header(of: changed)
            }
        }
        // CRC-32C of "123456789" is 0xE3069283.
        let named = PacketChecksum(cluster: "123456789")
        #expect(named.value(of: packet.span.bytes) == checksum ^ 0xE306_9283)
    }

    /// A cluster of another name is told from damage by its second packet.
    @Test func packetsOfAnotherClusterAreCountedApart() throws {
        let (own, other) = (PacketChecksum(cluster: "east"), PacketChecksum(cluster: "west"))
        func packet(_ sequence: UInt64, _ checksum: PacketChecksum) -> [UInt8] {
            var header = PacketHeader(
                type: .MASTER_ANNOUNCE, nodeID: 2, epoch: 1, sequence: sequence)
            var bytes = [UInt8](
                repeating: 0, count: PacketHeader.byteCount + Announcement.byteCount)
            header.length = UInt16(bytes.count)
            bytes.withUnsafeMutableBytes { buffer in
                var span = buffer.mutableBytes
                header.seal(&span, checksum)
            }
            return bytes
        }
        var foreign = ForeignCluster()
        var scratch = Message()
        func error(_ bytes: [UInt8]) -> WireError? {
            do throws(WireError) {
                _ = try PacketHeader.readWhole(
                    bytes.span.bytes, own, wallMicroseconds: 1, foreign: &foreign,
                    scratch: &scratch)
                return nil
            } catch {
                return error
            }
        }
        #expect(error(packet(1, own)) == nil)
        #expect(error(packet(2, other)) == .checksum)
        #expect(error(packet(3, other)) == .cluster && error(packet(4, other)) == .cluster)
        var damaged = packet(5, own)
        damaged[20] ^= 1
        #expect(error(damaged) == .checksum && error(packet(6, own)) == nil)
        #expect(error(packet(7, PacketChecksum())) == .checksum)
        #expect(error(packet(8, PacketChecksum())) == .cluster)
    }

    /// In a seal the checksum is 0 and is not looked at.
    @Test func aPacketInASealHasNoChecksum() throws {
        var bytes = [UInt8](repeating: 0, count: 46)
        var header = Self.sample
        header.length = 46
        bytes.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            header.seal(&span, nil)
        }
        #expect(Array(bytes[40..<44]) == [0, 0, 0, 0])
        #expect(try PacketHeader.read(bytes.span.bytes, nil) == header)
        #expect(throws: WireError.checksum) { try PacketBytes.header(of: bytes) }
    }

    @Test func everyTypeComesBack() throws {
        for type in PacketHeader.PacketType.allCases {
            let header = PacketHeader(type: type, nodeID: 0, epoch: 0, sequence: 1)
            #expect(try PacketBytes.header(of: PacketBytes.sealed(header)).type == type)
        }
    }

    @Test func everyShortLengthIsRefused() {
        let packet = PacketBytes.sealed(Self.sample, [1, 2, 3])
        for count in 0..<packet.count {
            let error: WireError = count < PacketHeader.byteCount ? .short : .length
            #expect(throws: error) { try PacketBytes.header(of: Array(packet[..<count])) }
        }
        #expect(throws: WireError.length) { try PacketBytes.header(of: packet + [0]) }
    }

    @Test func onlyAnotherMajorVersionIsRefused() throws {
        var packet = PacketBytes.sealed(Self.sample)
        packet[0] = 0x20
        #expect(throws: WireError.version) { try PacketBytes.header(of: packet) }
        // A later minor version has a right checksum.
        packet[0] = 0x1F
        let checksum = PacketBytes.checksum.value(of: packet.span.bytes)
        withUnsafeBytes(of: checksum.bigEndian) { packet.replaceSubrange(40..<44, with: $0) }
        #expect(try PacketBytes.header(of: packet).nodeID == 7)
    }

    @Test func unknownTypesAreRefused() {
        for type in [0, 5, 255] as [UInt8] {
            var packet = PacketBytes.sealed(Self.sample)
            packet[1] = type
            #expect(throws: WireError.type) { try PacketBytes.header(of: packet) }
        }
    }

    @Test(
        arguments: [
            (PacketHeader.PacketType.SYNC, 0, 0), (.SYNC, 5, 6), (.SYNC, 1 << 62, 1),
            (.SYNC, .max, 1), (.MASTER_ANNOUNCE, 5, 7), (.MASTER_ANNOUNCE, .max, 1),
            (.NACK, .max, 0),
            (.SLAVE_INITSYNC, .max, 0),
        ] as [(PacketHeader.PacketType, UInt64, UInt64)])
    func numbersThatNoStreamHasAreRefused(
        _ type: PacketHeader.PacketType, _ sequence: UInt64, _ oldest: UInt64
    ) {
        var header = PacketHeader(type: type, nodeID: 1, epoch: 1, sequence: sequence)
        header.oldest = oldest
        #expect(throws: WireError.message) {
            try PacketBytes.header(of: PacketBytes.sealed(header))
        }
    }

    @Test func rangesOfANack() throws {
        var header = PacketHeader(type: .NACK, nodeID: 2, epoch: 9, sequence: 5)
        header.messageCount = 2
        var packet = PacketBytes.sealed(header, Array(repeating: 0, count: 24))
        packet.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            SequenceRange(first: 0x0102_0304_0506_0708, count: 0x090A_0B0C).write(&span, index: 0)
            SequenceRange(first: 6, count: 1).write(&span, index: 1)
        }
        let expected: [[UInt8]] = [
            [1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12], [0, 0, 0, 0, 0, 0, 0, 6], [0, 0, 0, 1],
        ]
        #expect(Array(packet[44...]) == expected.flatMap { $0 })
        let second = try SequenceRange.read(packet.span.bytes, index: 1)
        #expect(second == SequenceRange(first: 6, count: 1))
        for count in 44..<68 {
            let short = Array(packet[..<count])
            #expect(throws: WireError.message) {
                try SequenceRange.read(short.span.bytes, index: 1)
            }
        }
        packet.replaceSubrange(64..<68, with: [0, 0, 0, 0])
        #expect(throws: WireError.message) { try SequenceRange.read(packet.span.bytes, index: 1) }
        packet.replaceSubrange(56..<68, with: Array(repeating: 0xFF, count: 12))
        #expect(throws: WireError.message) { try SequenceRange.read(packet.span.bytes, index: 1) }
    }
}
