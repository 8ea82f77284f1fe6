// SPDX-License-Identifier: GPL-2.0-or-later

/// How the text of a value is read, and what is said of it: in usage lines, after "must be", to a
/// shell that completes it.
struct SettingKind<Value: Sendable>: Sendable {
    /// What stands for a value in usage lines: `seconds`, `0|1`.
    let valueName: String
    /// What is allowed, as it goes on after "must be".
    let allowed: String
    /// What a shell offers.
    let candidates: ValueCandidates
    /// Reads the value of a setting.
    let read: @Sendable (Setting) throws(ConfigurationError) -> Value
    /// The text that reads as this value.
    let show: @Sendable (Value) -> String

    /// A kind whose text is either read or not allowed.
    init(
        _ valueName: String, allowed: String, candidates: ValueCandidates = .none,
        show: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (String) -> Value?
    ) {
        self.init(
            valueName, allowed: allowed, candidates: candidates, show: show
        ) { (setting: Setting) throws(ConfigurationError) in
            guard let value = parse(setting.value) else {
                throw ConfigurationError(setting, mustBe: allowed)
            }
            return value
        }
    }

    /// A kind with sentences of its own.
    init(
        _ valueName: String, allowed: String, candidates: ValueCandidates = .none,
        show: @escaping @Sendable (Value) -> String,
        read: @escaping @Sendable (Setting) throws(ConfigurationError) -> Value
    ) {
        self.valueName = valueName
        self.allowed = allowed
        self.candidates = candidates
        self.read = read
        self.show = show
    }
}

/// What a shell can offer in place of a value.
package enum ValueCandidates: Sendable, Equatable {
    /// Nothing.
    case none
    /// One of these words.
    case words([String])
    /// A network device of this machine.
    case devices
    /// A path.
    case files
}

extension SettingKind where Value: FixedWidthInteger {
    /// A whole number within limits; the unit only explains it.
    static func number(
        _ range: ClosedRange<Value>, _ unit: String? = nil, named name: String = "number"
    ) -> SettingKind {
        let unit = unit.map { " (\($0))" } ?? ""
        return SettingKind(
            name, allowed: "a number from \(range.lowerBound) to \(range.upperBound)\(unit)",
            show: { "\($0)" },
            parse: { text in
                guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
                    return nil
                }
                return Value(text).flatMap { range.contains($0) ? $0 : nil }
            })
    }

    /// A power of two within limits that are powers of two themselves.
    static func powerOfTwo(_ range: ClosedRange<Value>, named name: String) -> SettingKind {
        SettingKind(
            name, allowed: "a power of two from \(range.lowerBound) to \(range.upperBound)",
            show: { "\($0)" },
            parse: { text in
                guard let number = Value(text), range.contains(number), number & (number - 1) == 0
                else { return nil }
                return number
            })
    }
}

extension SettingKind where Value == Bool {
    /// 0 or 1.
    static var flag: SettingKind { choice([("0", false), ("1", true)]) }
}

extension SettingKind where Value: Equatable {
    /// One of a few words, each with what it means.
    ///
    /// - Parameter allowed: what is allowed in words, if not just the words.
    static func choice(
        _ choices: [(word: String, value: Value)], named name: String? = nil,
        allowed: String? = nil
    ) -> SettingKind {
        let words = choices.map(\.word)
        let list = words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
        return SettingKind(
            name ?? words.joined(separator: "|"), allowed: allowed ?? list,
            candidates: .words(words),
            show: { value in choices.first { $0.value == value }?.word ?? "" },
            parse: { text in choices.first { $0.word == text }?.value })
    }
}

extension SettingKind where Value == String {
    /// Text of at most some bytes that holds only letters, digits, dots, dashes and underscores.
    static func text(named name: String, upTo limit: Int) -> SettingKind {
        SettingKind(
            name, allowed: "1 to \(limit) letters, digits, dots, dashes or underscores",
            show: { $0 },
            parse: { text in
                let isPlain = text.utf8.allSatisfy { byte in
                    switch Unicode.Scalar(byte) {
                    case "a"..."z", "A"..."Z", "0"..."9", ".", "-", "_": true
                    default: false
                    }
                }
                return isPlain && (1...limit).contains(text.utf8.count) ? text : nil
            })
    }

    /// The absolute path of a file, of at most some bytes.
    static func path(upTo limit: Int = 4_095) -> SettingKind {
        SettingKind(
            "path", allowed: "the absolute path of a file, of at most \(limit) bytes",
            candidates: .files, show: { $0 },
            parse: { text in
                let isFile = text.hasPrefix("/") && !text.hasSuffix("/") && !text.utf8.contains(0)
                return isFile && text.utf8.count <= limit ? text : nil
            })
    }
}
