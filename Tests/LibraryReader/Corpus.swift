// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// Messages of a kernel's ctnetlink in a file, a line of hexadecimal digits each, as they came: host
/// order is that of a little-endian machine. Lines that begin with # say what follows.
package struct Corpus {
    package private(set) var messages: [[UInt8]] = []
    private var lines: [String] = []

    package init() {}

    /// Reads a file.
    package init(file path: String) throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let digits = line.utf8.map { UInt8(Character(Unicode.Scalar($0)).hexDigitValue ?? 0) }
            messages.append(
                stride(from: 0, to: digits.count & ~1, by: 2).map {
                    digits[$0] << 4 | digits[$0 + 1]
                })
        }
    }

    /// Adds messages of one origin.
    package mutating func add(_ title: String, _ added: [[UInt8]]) {
        lines.append("# \(title)")
        lines += added.map(Self.line)
        messages += added
    }

    package func write(to path: String) throws {
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: path, atomically: true, encoding: .utf8)
    }

    static func line(_ message: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let text = message.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
