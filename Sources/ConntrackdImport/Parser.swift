// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the clauses of a conntrackd.conf; the first word that has no place ends it with a sentence.
struct Parser {
    private let path: String
    private let tokens: [Token]
    private var position = 0

    /// Reads a whole file; the path is for the sentences.
    static func clauses(of text: String, path: String) throws(ImportMistake) -> [Clause] {
        var parser = Parser(path: path, tokens: Lexer.tokens(of: text))
        return try parser.clauses(in: .file, opened: nil)
    }

    private init(path: String, tokens: [Token]) {
        self.path = path
        self.tokens = tokens
    }

    /// The next token; the last one is the end, which stays the next.
    private var next: Token { tokens[position] }

    private mutating func take() -> Token {
        defer { if position < tokens.count - 1 { position += 1 } }
        return next
    }

    /// Reads clauses up to the brace that closes their section, or to the end of the file.
    private mutating func clauses(
        in section: Section, opened: Token?
    ) throws(ImportMistake) -> [Clause] {
        var clauses: [Clause] = []
        while true {
            let token = take()
            switch token.kind {
            case .closingBrace where opened != nil: return clauses
            case .end where opened == nil: return clauses
            case .end: throw unfinished(section.rawValue, opened, token)
            case .openingBrace, .closingBrace:
                throw mistake(
                    token, "\"\(token.text)\" stands where \(section.place) must begin a clause")
            case .word:
                guard let form = section.forms.first(where: { $0.key == token.text })?.value else {
                    throw unknown(token, in: section)
                }
                clauses.append(try clause(token, form))
            }
        }
    }

    private mutating func clause(_ name: Token, _ form: Form) throws(ImportMistake) -> Clause {
        var clause = Clause(name: name.text, line: name.line)
        switch form.option {
        case .word(let word) where next.text == word:
            clause.words.append(take().text)
        case .pair(let word, let choices) where next.text == word:
            clause.words.append(take().text)
            clause.words.append(try read(.oneOf(choices), of: word))
        default: break
        }
        for value in form.values {
            clause.words.append(try read(value, of: name.text))
        }
        switch form.body {
        case .none: break
        case .section(let section): try readSection(section, into: &clause)
        case .modeSection:
            let section = Section(rawValue: "Mode \(clause.value)") ?? .ftfw
            try readSection(section, into: &clause)
        case .list(let value): clause.items = try items(value, of: name)
        case .flagOrList(let value):
            if next.kind == .openingBrace {
                clause.items = try items(value, of: name)
            } else {
                clause.words.append(try read(.flag, of: name.text))
            }
        case .states: try readStates(into: &clause, name)
        }
        return clause
    }

    private mutating func readSection(
        _ section: Section, into clause: inout Clause
    ) throws(ImportMistake) {
        let brace = try openingBrace(after: clause.title)
        clause.clauses = try clauses(in: section, opened: brace)
    }

    private mutating func openingBrace(after title: String) throws(ImportMistake) -> Token {
        let token = take()
        guard token.kind == .openingBrace else {
            throw mistake(token, "\(title) is followed by \(shown(token)) but must be by {")
        }
        return token
    }

    private mutating func items(
        _ value: Form.Value, of name: Token
    ) throws(ImportMistake) -> [Clause.Item] {
        let brace = try openingBrace(after: name.text)
        var items: [Clause.Item] = []
        while next.kind == .word {
            let line = next.line
            items.append(Clause.Item(text: try read(value, of: name.text), line: line))
        }
        try closingBrace(of: name.text, brace)
        return items
    }

    private mutating func closingBrace(of name: String, _ brace: Token) throws(ImportMistake) {
        let token = take()
        guard token.kind != .end else { throw unfinished(name, brace, token) }
        guard token.kind == .closingBrace else {
            throw mistake(token, "\(name) contains \(shown(token)), which has no place there")
        }
    }

    /// Reads groups of states, `ESTABLISHED CLOSED for TCP`; within braces, but for `Replicate`.
    private mutating func readStates(
        into clause: inout Clause, _ name: Token
    ) throws(ImportMistake) {
        guard name.text != "Replicate" else {
            try readStateGroup(into: &clause, name)
            return
        }
        let brace = try openingBrace(after: clause.title)
        while next.kind == .word {
            try readStateGroup(into: &clause, name)
        }
        try closingBrace(of: name.text, brace)
    }

    private mutating func readStateGroup(
        into clause: inout Clause, _ name: Token
    ) throws(ImportMistake) {
        while next.text != "for" {
            let line = next.line
            let state = try read(.oneOf(TCPStates.names + ["for"]), of: name.text)
            clause.items.append(Clause.Item(text: state, line: line))
        }
        _ = take()
        _ = try read(.oneOf(["TCP"]), of: "for")
    }

    private mutating func read(
        _ value: Form.Value, of name: String
    ) throws(ImportMistake) -> String {
        let token = take()
        if token.kind == .end { throw unfinished(name, nil, token) }
        if token.kind == .word, let text = value.read(token.text) { return text }
        throw mistake(token, "\(name) is \(shown(token)) but must be \(value.allowed)")
    }

    private func mistake(_ token: Token, _ sentence: String) -> ImportMistake {
        ImportMistake(path, token.line, sentence)
    }

    private func shown(_ token: Token) -> String {
        if token.kind == .end { return "the end of the file" }
        if token.text == "\"" { return "a quotation mark, which conntrackd.conf never has," }
        return ImportMistake.quoted(token.text)
    }

    private func unfinished(_ name: String, _ brace: Token?, _ end: Token) -> ImportMistake {
        guard let brace else { return mistake(end, "the file ends within \(name)") }
        return mistake(
            end, "the file ends within \(name), whose { is in line \(brace.line) and has no }")
    }

    private func unknown(_ token: Token, in section: Section) -> ImportMistake {
        let names = section.forms.map(\.key)
        let lowercase = token.text.lowercased()
        let word = "\(ImportMistake.quoted(token.text)) is no clause of \(section.place)"
        if let name = names.first(where: { $0.lowercased() == lowercase }) {
            return mistake(token, "\(word); \(name) is written with these capitals")
        }
        return mistake(token, "\(word); there are \(names.joined(separator: ", "))")
    }
}

extension Section {
    /// How a sentence names it.
    var place: String { self == .file ? "the file" : rawValue }
}
