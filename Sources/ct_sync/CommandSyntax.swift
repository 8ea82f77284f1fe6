// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// What a shell needs to know of a command or of the daemon: its flags and words. That of a command
/// is read from its own help, so that nothing stands twice.
struct CommandSyntax {
    /// A flag.
    struct Flag {
        /// With its dashes.
        let name: String
        /// What it does, in one sentence.
        let summary: String
        /// What stands for its value; nil if it takes none.
        let valueName: String?
        /// What a shell offers for its value.
        let candidates: ValueCandidates
        /// Whether it may be given several times.
        var isRepeatable = false
    }

    /// The command's name.
    let name: String
    /// What it does.
    let summary: String
    private(set) var flags: [Flag] = []
    /// What may stand in place of its argument.
    private(set) var words: [String] = []

    /// All commands that are shown.
    static var commands: [CommandSyntax] { Commands.shown.map { CommandSyntax($0) } }

    /// The flags of the daemon.
    static var daemonFlags: [Flag] {
        let settings = SettingsTable.all.map { row in
            Flag(
                name: "--\(row.name)", summary: firstSentence(TextLayout.plain(row.summary)),
                valueName: row.valueName, candidates: row.candidates,
                isRepeatable: row.isRepeatable)
        }
        let others = DaemonArguments.otherFlags.map { flag in
            Flag(
                name: "--\(flag.name)", summary: firstSentence(flag.summary),
                valueName: flag.valueName, candidates: candidates(flag.valueName))
        }
        return settings + others
    }

    /// Reads the help of a command.
    init(_ command: any ParsableCommand.Type) {
        name = Commands.name(command)
        summary = Self.firstSentence(command.configuration.abstract)
        // So wide that nothing is broken.
        for line in command.helpMessage(columns: 4_096).split(separator: "\n") {
            guard line.hasPrefix("  ") else { continue }
            let term = line.dropFirst(2).prefix { !$0.isNewline }
            if term.hasPrefix("-") {
                flags.append(Self.flag(term))
            } else if let values = term.split(separator: "(values: ").dropFirst().first {
                words += values.prefix { $0 != ")" && $0 != ";" }.split(separator: ", ")
                    .map { String($0) }
            }
        }
        if command == HelpCommand.self { words = Commands.names }
    }

    /// `-h, --help   Show help information.` or `--timeout <seconds>   Seconds after ...`
    private static func flag(_ line: Substring) -> Flag {
        let parts = line.split(separator: "  ", maxSplits: 1)
        let spelling = parts[0].split(separator: ", ").last ?? ""
        let pieces = spelling.split(separator: " ", maxSplits: 1)
        let value = pieces.dropFirst().first.map { String($0.dropFirst().dropLast()) }
        return Flag(
            name: String(pieces[0]),
            summary: firstSentence(parts.dropFirst().first?.drop { $0 == " " } ?? ""),
            valueName: value, candidates: candidates(value))
    }

    /// A flag's value is what its name says.
    private static func candidates(_ valueName: String?) -> ValueCandidates {
        switch valueName {
        case "path", "file": .files
        case "device": .devices
        default: .none
        }
    }

    private static func firstSentence(_ text: some StringProtocol) -> String {
        let end = text.firstRange(of: ". ") ?? text.firstRange(of: "; ")
        let sentence = end.map { String(text[..<$0.lowerBound]) } ?? String(text)
        return sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    }
}
