// SPDX-License-Identifier: GPL-2.0-or-later

/// The Castagnoli checksum, eight bytes a step (RFC 3720, appendix B.4, has the polynomial and the
/// test vectors).
///
/// The zero value of `state` starts a checksum; tables are made once, when a value is made.
package struct CRC32C: Sendable {
    private let tables: [UInt32]

    /// Makes the eight tables (8 KiB).
    package init() {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
            tables[index] = value
        }
        for index in 256..<tables.count {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        self.tables = tables
    }

    /// Continues a checksum over more bytes.
    ///
    /// - Parameters:
    ///   - checksum: the checksum so far; 0 at the start.
    ///   - bytes: what it is continued over.
    package func update(_ checksum: UInt32, _ bytes: RawSpan) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var state = ~checksum
            var offset = 0
            while offset &+ 8 <= bytes.byteCount {
                let word =
                    UInt64(
                        littleEndian: bytes.unsafeLoadUnaligned(
                            fromByteOffset: offset, as: UInt64.self)) ^ UInt64(state)
                var next = table[0x700 &+ Int(word & 0xFF)]
                next ^= table[0x600 &+ Int(word >> 8 & 0xFF)]
                next ^= table[0x500 &+ Int(word >> 16 & 0xFF)]
                next ^= table[0x400 &+ Int(word >> 24 & 0xFF)]
                next ^= table[0x300 &+ Int(word >> 32 & 0xFF)]
                next ^= table[0x200 &+ Int(word >> 40 & 0xFF)]
                next ^= table[0x100 &+ Int(word >> 48 & 0xFF)]
                next ^= table[Int(word >> 56)]
                state = next
                offset &+= 8
            }
            while offset < bytes.byteCount {
                state = state >> 8 ^ table[Int((state ^ UInt32(bytes.byte(offset))) & 0xFF)]
                offset &+= 1
            }
            return ~state
        }
    }
}
