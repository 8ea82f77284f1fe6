// SPDX-License-Identifier: GPL-2.0-or-later

extension EntryLine {
    private static let numbers: Set<String> = [
        "sport", "dport", "type", "code", "id", "srckey", "dstkey", "timeout", "mark", "zone",
        "age", "packets", "bytes", "duration", "portid", "count", "lines",
    ]

    /// The words as an object of JSON: numbers as such, the status as a list.
    package static func json(_ text: String) -> String {
        var json = TextBuffer()
        json.append("{")
        var isFirst = true
        for word in ArraySlice(text.utf8).split(separator: UInt8(ascii: " ")) {
            guard let equals = word.firstIndex(of: UInt8(ascii: "=")) else { continue }
            if !isFirst { json.append(",") }
            isFirst = false
            let key = String(decoding: word[..<equals], as: UTF8.self)
            json.append(quoted: key.utf8)
            json.append(":")
            json.append(value: word[(equals + 1)...], of: key)
        }
        json.append("}")
        return json.string
    }

    /// Whether the value of this key is a number; of `reply_sport` it is that of `sport`.
    fileprivate static func isNumber(_ key: String) -> Bool {
        let name = key.utf8.lastIndex(of: UInt8(ascii: "_")).map { key.utf8.index(after: $0) }
        return numbers.contains(String(key[(name ?? key.startIndex)...]))
    }
}

extension TextBuffer {
    fileprivate mutating func append(value: ArraySlice<UInt8>, of key: String) {
        if key == "status" {
            append("[")
            if !value.elementsEqual("-".utf8) {
                for (number, name) in value.split(separator: UInt8(ascii: ",")).enumerated() {
                    if number > 0 { append(",") }
                    append(quoted: name)
                }
            }
            append("]")
        } else if EntryLine.isNumber(key), Self.isNumber(value) {
            append(String(decoding: value, as: UTF8.self))
        } else {
            append(quoted: value)
        }
    }

    /// Whether it is a number of JSON: digits, perhaps a point and more digits.
    private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count <= 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            }
    }
}
