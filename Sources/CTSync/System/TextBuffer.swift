// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Text that is put together in one piece of room, byte by byte: for what is written a line for each
/// entry of a table, where a String a word would cost more than reading the table.
struct TextBuffer {
    /// What was added, as UTF-8.
    private(set) var bytes: [UInt8] = []

    /// A String of what was added.
    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// Forgets what was added, and keeps the room.
    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    mutating func append(_ text: StaticString) {
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: some StringProtocol) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(byte: UInt8) {
        bytes.append(byte)
    }

    mutating func append(decimal number: some UnsignedInteger) {
        append(UInt64(number), base: 10, minimum: 1)
    }

    /// Sixteen lower-case digits.
    mutating func append(hexadecimal number: UInt64) {
        append(number, base: 16, minimum: 16)
    }

    /// A string of JSON (RFC 8259, section 7): no line breaks, and nothing below a space.
    ///
    /// - Parameter text: in UTF-8.
    mutating func append(quoted text: some Sequence<UInt8>) {
        append("\"")
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\t"): append("\\t")
            case UInt8(ascii: "\r"): append("\\r")
            case ..<0x20, 0x7F:
                append("\\u")
                append(UInt64(byte), base: 16, minimum: 4)
            default: append(byte: byte)
            }
        }
        append("\"")
    }

    private mutating func append(_ number: UInt64, base: UInt64, minimum: Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = number
            var first = digits.count
            repeat {
                first -= 1
                let digit = UInt8(rest % base)
                digits[first] = digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
                rest /= base
            } while rest > 0 || digits.count - first < minimum
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[first...]))
        }
    }
}
