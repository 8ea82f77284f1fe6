// SPDX-License-Identifier: GPL-2.0-or-later

/// One clause of a conntrackd.conf that was read: its name, its words, what stands in its braces.
struct Clause: Equatable {
    let name: String
    /// Where its name stands, counted from 1.
    let line: Int
    /// What follows the name, modes and switches in one spelling.
    var words: [String] = []
    /// The clauses in its braces.
    var clauses: [Clause] = []
    /// The words in its braces, for a list.
    var items: [Item] = []

    /// A word of a list.
    struct Item: Equatable {
        let text: String
        let line: Int
    }

    /// The first word after the name.
    var value: String { words.first ?? "" }

    /// Whether it is switched on.
    var isOn: Bool { value == "on" }

    /// The last clause of this name within its braces: with conntrackd, too, a later one replaces an
    /// earlier one.
    func last(_ names: String...) -> Clause? {
        clauses.last { names.contains($0.name) }
    }

    /// How a comment shows it.
    var title: String {
        ImportMistake.plain(([name] + words).joined(separator: " "))
    }
}
