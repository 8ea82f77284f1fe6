// SPDX-License-Identifier: GPL-2.0-or-later

/// Plain text in columns: help, sample file, manual.
package enum TextLayout {
    /// The width of help, in characters.
    package static let helpWidth = 80
    /// Where the second column of help begins.
    static let helpColumn = 26

    /// Breaks a text at blanks into lines of at most so many characters; a longer word stands alone.
    package static func wrap(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if line.isEmpty {
                line = String(word)
            } else if line.count + 1 + word.count <= width {
                line += " " + word
            } else {
                lines.append(line)
                line = String(word)
            }
        }
        return line.isEmpty ? lines : lines + [line]
    }

    /// A term and what it means, in two columns; a term that is too wide has a line of its own.
    package static func helpItem(_ term: String, _ meaning: String) -> String {
        let column = helpColumn
        let gap = String(repeating: " ", count: column)
        let lines = wrap(meaning, width: helpWidth - column)
        let first = "  " + term
        let fits = first.count + 2 <= column
        let begin = fits ? first + gap.dropFirst(first.count) : first + "\n" + gap
        return begin + lines.joined(separator: "\n" + gap) + "\n"
    }

    /// The text without its backquotes.
    package static func plain(_ text: String) -> String {
        text.filter { $0 != "`" }
    }
}
