// SPDX-License-Identifier: GPL-2.0-or-later

/// A `key=value` line of the control socket.
package struct ControlLine: Sendable, Equatable {
    /// What stands before the first `=`.
    package let key: String
    /// What follows it.
    package let value: String

    /// A line from its parts, neither of which holds a line break, nor the key a `=`.
    package init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }

    /// Reads the lines before the first empty one.
    ///
    /// - Returns: nil if a line has no `=` or nothing before it, or if a byte is no text.
    static func parse(_ bytes: some Collection<UInt8>) -> [ControlLine]? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var lines: [ControlLine] = []
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "="), equals != line.startIndex else {
                return nil
            }
            lines.append(
                ControlLine(String(line[..<equals]), String(line[line.index(after: equals)...])))
        }
        return lines
    }

    /// The lines as they go over the socket, with the empty one that ends them.
    static func render(_ lines: [ControlLine]) -> [UInt8] {
        var bytes: [UInt8] = []
        append(lines, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// The lines alone, for an answer that goes on.
    static func append(_ lines: [ControlLine], to bytes: inout [UInt8]) {
        for line in lines {
            bytes += line.key.utf8
            bytes.append(UInt8(ascii: "="))
            bytes += line.value.utf8
            bytes.append(UInt8(ascii: "\n"))
        }
    }

    /// Whether the bytes hold an empty line, which ends a request and a reply.
    static func isComplete(_ bytes: [UInt8]) -> Bool {
        let end = UInt8(ascii: "\n")
        if bytes.first == end { return true }
        return zip(bytes, bytes.dropFirst()).contains { $0 == end && $1 == end }
    }
}
