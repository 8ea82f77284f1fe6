// SPDX-License-Identifier: GPL-2.0-or-later

/// The ct_sync.conf that is being written.
struct OutputFile {
    /// What was written.
    private(set) var text = ""

    private static let width = 100

    /// Writes a comment; words that do not fit go into further lines, further in.
    mutating func comment(_ words: String, indent: Int = 0) {
        var line = "#" + String(repeating: " ", count: 1 + indent)
        let further = "#" + String(repeating: " ", count: 3 + indent)
        var isEmpty = true
        for word in words.split(separator: " ") {
            if !isEmpty, line.utf8.count + 1 + word.utf8.count > Self.width {
                text += line + "\n"
                line = further
                isEmpty = true
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        text += line + "\n"
    }

    /// Writes what became of a clause.
    mutating func clause(_ clause: Clause, _ remark: String, indent: Int) {
        let title = "\(clause.line): \(clause.title)"
        comment(remark.isEmpty ? title : "\(title) -> \(remark)", indent: indent)
    }

    /// Writes a setting.
    mutating func setting(_ name: String, _ value: String) {
        text += "options ct_sync " + Self.pair(name, value) + "\n"
    }

    /// Writes settings that take effect once somebody removes the `#`.
    mutating func proposal(_ settings: [(String, String)]) {
        let pairs = settings.map { Self.pair($0.0, $0.1) }
        text += "#options ct_sync " + pairs.joined(separator: " ") + "\n"
    }

    mutating func blank() {
        text += "\n"
    }

    private static func pair(_ name: String, _ value: String) -> String {
        value.contains(" ") ? "\(name)=\"\(value)\"" : "\(name)=\(value)"
    }
}
