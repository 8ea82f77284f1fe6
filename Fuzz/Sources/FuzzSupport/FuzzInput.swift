// SPDX-License-Identifier: GPL-2.0-or-later

/// What libFuzzer has made, read from its start.
package struct FuzzInput {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    package init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    /// Whether all is read.
    package var isEmpty: Bool { offset >= bytes.count }

    /// The next byte; 0 behind the end.
    package mutating func byte() -> UInt8 {
        guard offset < bytes.count else { return 0 }
        offset += 1
        return bytes[offset - 1]
    }

    /// As many of the next bytes as there are, at most this many, as an array of exactly that size:
    /// the address sanitizer sees a byte that is read behind it.
    package mutating func array(atMost count: Int) -> [UInt8] {
        let end = min(offset + count, bytes.count)
        defer { offset = end }
        return Array(bytes[offset..<end])
    }

    /// All of the rest.
    package mutating func rest() -> [UInt8] { array(atMost: bytes.count) }

    /// All of the rest as text; nil if it is none.
    package mutating func text() -> String? { String(validating: rest(), as: UTF8.self) }
}
