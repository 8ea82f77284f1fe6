// SPDX-License-Identifier: GPL-2.0-or-later

/// One token of conntrackd.conf; what a word may be depends on where it stands.
struct Token: Equatable {
    enum Kind: Equatable {
        case word
        case openingBrace
        case closingBrace
        /// Where the text ends.
        case end
    }

    let kind: Kind
    /// As it was written.
    let text: String
    /// Counted from 1.
    let line: Int
}

/// Splits conntrackd.conf into tokens, as conntrackd's own scanner does.
///
/// Blanks and line ends separate words and mean nothing else; `#` begins a comment wherever a token may
/// begin or a word ends; braces need no blanks around them. A path begins with `/` and goes on to the
/// next blank or line end, braces and `#` included. There are no quotation marks: one is a word of its
/// own, which no clause takes.
struct Lexer {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1

    init(text: String) {
        bytes = Array(text.utf8)
    }

    /// All tokens, the end included.
    static func tokens(of text: String) -> [Token] {
        var lexer = Lexer(text: text)
        var tokens: [Token] = []
        while true {
            let token = lexer.next()
            tokens.append(token)
            if token.kind == .end { return tokens }
        }
    }

    private mutating func next() -> Token {
        skipBlanksAndComments()
        guard let first = peek else { return Token(kind: .end, text: "", line: line) }
        let start = position
        position += 1
        switch first {
        case UInt8(ascii: "{"): return Token(kind: .openingBrace, text: "{", line: line)
        case UInt8(ascii: "}"): return Token(kind: .closingBrace, text: "}", line: line)
        case UInt8(ascii: "\""): break
        case UInt8(ascii: "/"): while let byte = peek, !endsPath(byte) { position += 1 }
        default: while let byte = peek, !endsWord(byte) { position += 1 }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        return Token(kind: .word, text: text, line: line)
    }

    private mutating func skipBlanksAndComments() {
        while let byte = peek {
            if byte == UInt8(ascii: "#") {
                while let byte = peek, byte != UInt8(ascii: "\n") { position += 1 }
            } else if isBlank(byte) {
                if byte == UInt8(ascii: "\n") { line += 1 }
                position += 1
            } else {
                return
            }
        }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    }

    private func endsPath(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: "\"")
    }

    private func endsWord(_ byte: UInt8) -> Bool {
        endsPath(byte) || byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}")
            || byte == UInt8(ascii: "#")
    }
}
