// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// What one turn of a measure has found.
protocol Finding: Codable {
    /// The measure's name: that of the results' file and, in capitals, of the documents' lines.
    static var measure: String { get }
    /// The findings of all rounds as a table in Markdown.
    static func table(_ findings: [Self]) -> String
}

/// All rounds of a measure, as they are kept under Benchmarks/results.
struct Results<Found: Finding>: Codable {
    var measure = Found.measure
    var machine = Machine()
    var rounds: Int
    var findings: [Found] = []

    init(rounds: Int) { self.rounds = rounds }

    /// Adds a finding and prints it.
    mutating func add(_ finding: Found) throws {
        findings.append(finding)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(finding), as: UTF8.self))
        fflush(nil)
    }

    /// Prints the table, and writes everything to a file if one is given.
    func end(_ file: String?) throws {
        print("\n" + Found.table(findings))
        guard let file else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(fileURLWithPath: file))
    }

    static func read(_ file: String) throws -> Self {
        try JSONDecoder().decode(Self.self, from: Data(contentsOf: URL(fileURLWithPath: file)))
    }

    /// What documents show of a file.
    static func text(_ file: String) throws -> String {
        let results = try read(file)
        return "\(results.machine.text(rounds: results.rounds)).\n\n"
            + Found.table(results.findings)
    }
}

/// The words after a measure's name: `--rounds 3 --results FILE`, and numbers of its own.
struct MeasureWords {
    var rounds = 3
    var file: String?
    private var others: [String: String] = [:]

    init(_ words: [String]) throws {
        var words = words[...]
        while let word = words.popFirst() {
            guard word.hasPrefix("--"), let value = words.popFirst() else {
                throw WrongUse("\(word) has no value")
            }
            switch word {
            case "--rounds": rounds = Int(value) ?? 0
            case "--results": file = value
            default: others[word] = value
            }
        }
        guard rounds > 0 else { throw WrongUse("--rounds is a number from 1 on") }
    }

    /// The numbers that a word is given.
    func numbers(_ word: String, _ fallback: [Int]) -> [Int] {
        others[word].map { $0.split(separator: ",").compactMap { Int($0) } } ?? fallback
    }
}
