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

    /// Reads the lines that have something in them.
    ///
    /// - Returns: nil if a line has no `=` or nothing before it, or if a byte is no text.
    static func parse(_ bytes: ArraySlice<UInt8>) -> [ControlLine]? {
        // Bytes are looked at, not characters: finding those costs more than the rest.
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var lines: [ControlLine] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let line = ControlLine(parsing: line) else { return nil }
            lines.append(line)
        }
        return lines
    }

    /// Reads one line, without its break, of bytes that are known to be text.
    ///
    /// - Returns: nil if it has no `=` or nothing before it.
    init?(parsing line: some RandomAccessCollection<UInt8>) {
        guard let equals = line.firstIndex(of: UInt8(ascii: "=")), equals != line.startIndex
        else { return nil }
        let value = line[line.index(after: equals)...]
        self.init(
            String(decoding: line[..<equals], as: UTF8.self),
            String(decoding: value, as: UTF8.self))
    }

    /// The lines as they go over the socket, with the empty one that ends them.
    static func render(_ lines: [ControlLine]) -> [UInt8] {
        var text = TextBuffer()
        for line in lines { text.append(line) }
        text.append("\n")
        return text.bytes
    }

    /// Whether the bytes hold an empty line, which ends a request and a reply.
    static func isComplete(_ bytes: [UInt8]) -> Bool {
        let end = UInt8(ascii: "\n")
        if bytes.first == end { return true }
        return zip(bytes, bytes.dropFirst()).contains { $0 == end && $1 == end }
    }
}

extension TextBuffer {
    /// Adds a line of the control socket.
    mutating func append(_ line: ControlLine) {
        append(line.key)
        append("=")
        append(line.value)
        append("\n")
    }
}
