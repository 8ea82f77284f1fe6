// SPDX-License-Identifier: GPL-2.0-or-later

/// The daemon's command line: settings as flags (`--id 1`, `--id=1`) and as the module's parameters
/// (`id=1`), and the few flags that are no settings.
package struct DaemonArguments: Sendable, Equatable {
    /// What is asked for.
    package enum Wish: Sendable, Equatable {
        /// To run.
        case run
        /// To show the help, whatever else is given.
        case help
        /// To show the version.
        case version
    }

    /// A flag that is no setting.
    package struct OtherFlag: Sendable {
        /// Without its dashes.
        package let name: String
        /// What stands for its value; nil if it has none.
        package let valueName: String?
        /// What it does.
        package let summary: String
        /// What counts without it, if there is anything to say.
        package var fallback: String?
        /// How it is written.
        package let usage: String
    }

    /// The flags that are no settings, in the order in which they are shown.
    package static let otherFlags = [
        OtherFlag(
            name: "config", valueName: "file",
            summary: "A file of \"options ct_sync name=value ...\" lines; flags win over it.",
            fallback: "\(ConfigurationFile.defaultPath), if it is there",
            usage: "--config <file>"),
        OtherFlag(
            name: "version", valueName: nil, summary: "Shows the version.", usage: "--version"),
        OtherFlag(
            name: "help", valueName: nil, summary: "Shows this summary.", usage: "-h, --help"),
    ]

    /// What is asked for.
    package private(set) var wish = Wish.run
    /// The configuration file that is named, if one is.
    package private(set) var configPath: String?
    private var parameters: [Setting] = []
    private var flags: [Setting] = []

    /// The settings: parameters, then flags, which win over them.
    package var settings: [Setting] { parameters + flags }

    /// Reads the words after the program's name; the settings' values are not checked yet.
    ///
    /// - Parameter commands: the commands of the client, none of which the first word is.
    /// - Throws: `ConfigurationError` for a word that is neither flag nor parameter.
    package init(_ words: [String], commands: [String] = []) throws(ConfigurationError) {
        let own = words.prefix { $0 != "--" }
        if own.contains("--help") || own.contains("-h") {
            wish = .help
            return
        }
        if own.contains("--version") {
            wish = .version
            return
        }
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                for parameter in rest { try add(parameter: parameter, commands) }
                return
            }
            if word.hasPrefix("--") {
                try add(flag: word.dropFirst(2), &rest)
            } else {
                try add(parameter: word, commands)
            }
        }
    }

    /// Takes `name=value`; any other word is none, and says what it could have been.
    private mutating func add(
        parameter word: String, _ commands: [String]
    ) throws(ConfigurationError) {
        guard !word.contains("=") else {
            parameters.append(try Setting(word: word, .parameter))
            return
        }
        let shown = ConfigurationError.quoted(word)
        let sentence: String
        if let row = SettingsTable.row(Setting(word, "", .parameter).canonicalName) {
            sentence = "\(row.name) is given without a value; it must be \(row.allowed)"
        } else if word.hasPrefix("-") {
            sentence = "\(shown) is no flag of ct_sync; ct_sync help shows what there is"
        } else if commands.contains(word) {
            sentence = "the command \(word) must be the first word: ct_sync \(word)"
        } else if let near = Spelling.nearest(to: word, among: commands) {
            sentence = "there is no command \(shown); did you mean \(near)?"
        } else {
            sentence = "there is no command \(shown); ct_sync help shows what there is"
        }
        throw ConfigurationError(sentence, at: .commandLine)
    }

    /// Takes a flag and its value, which is the next word unless it follows an equals sign.
    private mutating func add(
        flag: Substring, _ rest: inout ArraySlice<String>
    ) throws(ConfigurationError) {
        let name = String(flag.prefix { $0 != "=" })
        let row = SettingsTable.row(Setting(name, "", .flag).canonicalName)
        let isConfig = name == "config"
        guard row != nil || isConfig else {
            throw ConfigurationError(unknown: Setting(name, "", .flag))
        }
        var value = flag.firstIndex(of: "=").map { String(flag[flag.index(after: $0)...]) }
        if value == nil, let next = rest.first, !next.hasPrefix("--") {
            value = rest.popFirst()
        }
        guard let value else {
            throw ConfigurationError(
                "--\(name) is given without a value; it must be \(row?.allowed ?? "a file")",
                at: .commandLine)
        }
        if isConfig {
            configPath = value
        } else {
            flags.append(Setting(name, value, .flag))
        }
    }
}
