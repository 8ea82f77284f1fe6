// SPDX-License-Identifier: GPL-2.0-or-later

/// One row of the table of settings: how it is read, and all that help, sample file and manual say.
///
/// Words in backquotes are set bold in the manual, and in italics where they are a path; elsewhere
/// the quotes are left out.
package struct SettingDescription: Sendable {
    /// What counts if the setting is not given.
    package enum Fallback: Sendable, Equatable {
        /// Nothing: it must be given.
        case required
        /// A value, as it would be given.
        case value(String)
        /// What is done then, in words.
        case words(String)
        /// No further one of a repeatable setting.
        case none
    }

    /// As a flag after two dashes and in the file; underscores may stand for the dashes.
    package let name: String
    /// What stands for its value in usage lines: `seconds`, `0|1`.
    package let valueName: String
    /// What is allowed, as it goes on after "must be".
    package let allowed: String
    /// What a shell offers for its value.
    package let candidates: ValueCandidates
    /// Whether it may be given several times, each adding one.
    package let isRepeatable: Bool
    /// What counts without it.
    package let fallback: Fallback
    /// What it is, in a sentence or two.
    package let summary: String
    /// What only the manual says beyond that.
    let details: String
    /// The value in the sample file.
    let example: String
    /// Reads a setting of this name into a configuration.
    let take: @Sendable (Setting, inout Configuration) throws(ConfigurationError) -> Void

    /// A setting that has a value: of the configuration's own default, unless said otherwise.
    ///
    /// - Parameters:
    ///   - path: the property that holds it.
    ///   - fallback: what counts without it, if that is not the property's default.
    ///   - example: the value in the sample file, if that is not the default.
    init<Value>(
        _ name: String, _ kind: SettingKind<Value>,
        into path: SettingPath<Value>,
        unless fallback: Fallback? = nil, _ summary: String, details: String = "",
        example: String? = nil
    ) {
        let own = kind.show(Configuration(syncdev: "")[keyPath: path])
        self.init(
            name, kind, fallback ?? .value(own), summary, details, example ?? own
        ) { (setting, configuration: inout Configuration) throws(ConfigurationError) in
            configuration[keyPath: path] = try kind.read(setting)
        }
    }

    /// A setting whose property is nil until it is given.
    init<Value>(
        _ name: String, _ kind: SettingKind<Value>,
        into path: SettingPath<Value?>,
        unless words: String, _ summary: String, details: String = "", example: String
    ) {
        self.init(
            name, kind, .words(words), summary, details, example
        ) { (setting, configuration: inout Configuration) throws(ConfigurationError) in
            configuration[keyPath: path] = try kind.read(setting)
        }
    }

    /// A repeatable setting; each adds to the list what is not in it yet.
    ///
    /// - Parameter check: looks at one more value before it is added.
    init<Value: Equatable>(
        _ name: String, _ kind: SettingKind<Value>,
        each path: SettingPath<[Value]>,
        unless words: String? = nil, _ summary: String, details: String = "", example: String,
        check: @escaping @Sendable (Setting, Value, [Value]) throws(ConfigurationError) -> Void = {
            (_, _, _) throws(ConfigurationError) in
        }
    ) {
        self.init(
            name, kind, words.map { .words($0) } ?? .none, isRepeatable: true, summary, details,
            example
        ) { (setting, configuration: inout Configuration) throws(ConfigurationError) in
            let value = try kind.read(setting)
            try check(setting, value, configuration[keyPath: path])
            guard !configuration[keyPath: path].contains(value) else { return }
            configuration[keyPath: path].append(value)
        }
    }

    /// Any other: `take` does what is to be done.
    init<Value>(
        _ name: String, _ kind: SettingKind<Value>, _ fallback: Fallback,
        isRepeatable: Bool = false, _ summary: String, _ details: String, _ example: String,
        take: @escaping @Sendable (Setting, inout Configuration) throws(ConfigurationError) -> Void
    ) {
        self.name = name
        valueName = kind.valueName
        allowed = kind.allowed
        candidates = kind.candidates
        self.isRepeatable = isRepeatable
        self.fallback = fallback
        self.summary = summary
        self.details = details
        self.example = example
        self.take = take
    }
}

/// Where a configuration holds a value.
typealias SettingPath<Value> = any WritableKeyPath<Configuration, Value> & Sendable
