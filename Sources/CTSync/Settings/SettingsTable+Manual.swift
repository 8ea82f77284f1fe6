// SPDX-License-Identifier: GPL-2.0-or-later

/// The parts of the man pages that list the settings, in man(7)'s language.
extension SettingsTable {
    /// For ct_sync(8): the flags, with what they are for.
    package static var manualOptions: String {
        let settings = all.map { row in
            ".TP\n.BI \\-\\-\(Manual.dashes(row.name))\\~ \(Manual.term(row.valueName))\n"
                + Manual.text("\(row.summary) \(row.fallbackSentence)")
        }
        let others = DaemonArguments.otherFlags.map { flag in
            let term =
                flag.valueName.map { ".BI \\-\\-\(flag.name)\\~ \(Manual.term($0))" }
                ?? ".B \(Manual.dashes(flag.usage.replacingSpaces))"
            return ".TP\n\(term)\n"
                + Manual.text(flag.summary + (flag.fallback.map { " Default: \($0)." } ?? ""))
        }
        return (settings + others).joined()
    }

    /// For ct_sync.conf(5): the settings with all that there is to know.
    package static var manualSettings: String {
        all.map { row in
            let details = row.details.isEmpty ? "" : row.details + " "
            let each = row.isRepeatable ? "One setting for each. " : ""
            return ".TP\n.BI \(Manual.dashes(row.name))= \(Manual.term(row.valueName))\n"
                + Manual.text(
                    "\(row.summary) \(details)\(each)Allowed: \(row.allowed). "
                        + row.fallbackSentence)
        }.joined()
    }
}

extension SettingDescription {
    /// What counts without it, as a sentence.
    fileprivate var fallbackSentence: String {
        switch fallback {
        case .required: "Must be given."
        case .value(let text): "Default: `\(text)`."
        case .words(let words): "Default: \(words)."
        case .none: "Default: none."
        }
    }
}

extension String {
    fileprivate var replacingSpaces: String { map { $0 == " " ? "\\~" : "\($0)" }.joined() }
}

/// Plain text into man(7)'s language.
private enum Manual {
    /// What a dash is that can be searched for and copied.
    static func dashes(_ text: String) -> String {
        text.map { $0 == "-" ? "\\-" : "\($0)" }.joined()
    }

    /// A value's name, capitals and italics; words to choose from stay as they are.
    static func term(_ name: String) -> String {
        let choices = name.split(separator: "|")
        return choices.count > 1 ? choices.joined(separator: "\\fR|\\fP") : name.uppercased()
    }

    /// Running text: words in backquotes become bold, paths italic.
    static func text(_ text: String) -> String {
        var isMarked = false
        let pieces = text.split(separator: "`", omittingEmptySubsequences: false).map { piece in
            defer { isMarked.toggle() }
            guard isMarked else { return piece.description }
            return "\\f\(piece.hasPrefix("/") ? "I" : "B")\(dashes(piece.description))\\fP"
        }
        let lines = TextLayout.wrap(pieces.joined(), width: 100).map { line in
            // These would be requests at the beginning of a line.
            line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" + line : line
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
