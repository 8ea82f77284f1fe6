// SPDX-License-Identifier: GPL-2.0-or-later

/// One setting as it was given: its name, its text, and where it stood.
package struct Setting: Sendable, Equatable {
    /// Where a setting stood.
    package enum Origin: Sendable, Equatable {
        /// As a flag (`--id 1`).
        case flag
        /// As a module parameter on the command line (`id=1`).
        case parameter
        /// In a file, at a line counted from 1.
        case file(path: String, line: Int)

        /// Which exit status a mistake there has.
        var place: ConfigurationError.Place {
            switch self {
            case .flag, .parameter: .commandLine
            case .file: .machine
            }
        }
    }

    /// The name as given, without dashes in front.
    package let name: String
    /// The text of the value.
    package let value: String
    /// Where it stood.
    package let origin: Origin

    /// A setting from its parts.
    package init(_ name: String, _ value: String, _ origin: Origin) {
        self.name = name
        self.value = value
        self.origin = origin
    }

    /// Splits `name=value`.
    ///
    /// - Throws: `ConfigurationError` if there is no `=` or no name before it.
    package init(word: some StringProtocol, _ origin: Origin) throws(ConfigurationError) {
        guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
            let place =
                switch origin {
                case .flag, .parameter: "the argument"
                case .file(let path, let line): "\(path):\(line):"
                }
            throw ConfigurationError(
                "\(place) \(ConfigurationError.quoted(word)) is not of the form name=value",
                at: origin.place)
        }
        self.init(
            String(word[..<equals]), String(word[word.index(after: equals)...]), origin)
    }

    /// The name with dashes between its words, whichever form was given.
    var canonicalName: String {
        String(name.map { $0 == "_" ? "-" : $0 })
    }

    /// How a sentence about it begins: `--id`, `id` or `/etc/ct_sync.conf:3: id`.
    var subject: String {
        let shown = ConfigurationError.printable(name.utf8)
        switch origin {
        case .flag: return "--" + shown
        case .parameter: return shown
        case .file(let path, let line): return "\(path):\(line): \(shown)"
        }
    }
}

extension Setting {
    /// The device that the scope of a peer's address names; nil if it has none.
    var scope: String? {
        value.firstIndex(of: "%").map { String(value[value.index(after: $0)...]) }
    }
}

extension ConfigurationError {
    /// A setting that does not exist.
    init(unknown setting: Setting) {
        let names = SettingsTable.names
        let hint =
            Spelling.nearest(to: setting.canonicalName, among: names).map { "did you mean \($0)?" }
            ?? "there are \(names.joined(separator: ", "))"
        self.init(
            "\(setting.subject) is no setting of ct_sync; \(hint)", at: setting.origin.place)
    }

    /// A setting with a value that it cannot have.
    init(_ setting: Setting, mustBe allowed: String) {
        self.init(
            "\(setting.subject) is \(ConfigurationError.quoted(setting.value)) but must be "
                + allowed, at: setting.origin.place)
    }
}
