// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// RFC 3720, appendix B.4.
@Suite struct CRC32CTests {
    private static let crc = CRC32C()

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { crc.update(0, $0.bytes) }
    }

    /// The vectors name the bytes of the checksum as they stand in a packet, the lowest first.
    @Test func hasTheVectorsOfTheRFC() {
        let ascending = (0..<32).map { UInt8($0) }
        let command: [UInt8] = [
            0x01, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14,
            0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        ]
        let vectors: [([UInt8], UInt32)] = [
            (Array(repeating: 0, count: 32), 0xAA36_918A),
            (Array(repeating: 0xFF, count: 32), 0x43AB_A862),
            (ascending, 0x4E79_DD46),
            (ascending.reversed(), 0x5CDB_3F11),
            (command, 0x563A_96D9),
        ]
        for (bytes, expected) in vectors {
            #expect(Self.checksum(bytes) == expected.byteSwapped)
        }
        #expect(Self.checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(Self.checksum([]) == 0)
    }

    /// In steps of any length it is the checksum of all of it.
    @Test func goesOnWhereItStopped() {
        let bytes = (0..<61).map { UInt8(truncatingIfNeeded: $0 * 37) }
        let whole = Self.checksum(bytes)
        for cut in 0...bytes.count {
            let first = Self.checksum(Array(bytes[..<cut]))
            let rest = Array(bytes[cut...])
            #expect(rest.withUnsafeBytes { Self.crc.update(first, $0.bytes) } == whole)
        }
    }
}
