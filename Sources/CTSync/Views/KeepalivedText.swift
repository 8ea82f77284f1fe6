// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What of keepalived.conf(5) concerns us: who is told of a state, what is watched, which addresses move.
///
/// It is not keepalived's parser: comments go, `include` is followed once, words and braces stay.
struct KeepalivedText {
    /// The virtual addresses.
    private(set) var addresses: [HostAddress] = []
    /// Whether a script of it watches the daemon.
    private(set) var isWatched = false
    /// The commands of `notify`, `notify_master`, ...; the reader of a FIFO is told of every state, as
    /// `notify` is.
    private var commands: [(word: String, command: String)] = []
    private let read: (String) -> String

    /// Reads a file and those that it includes.
    ///
    /// - Parameters:
    ///   - directory: where names without a directory are looked for.
    ///   - read: reads a file; empty if it cannot.
    init(_ text: String, directory: String, read: @escaping (String) -> String) {
        self.read = read
        var lines = Self.lines(text)
        for line in lines where line.first?.hasPrefix("include") == true && line.count > 1 {
            let pattern = line[1].hasPrefix("/") ? line[1] : "\(directory)/\(line[1])"
            for path in Self.files(pattern) { lines += Self.lines(read(path)) }
        }
        take(lines)
    }

    /// Whether we are told of a state: `master`, `backup`, `fault`.
    func notifies(_ state: String) -> Bool {
        commands.contains { word, command in
            guard word == "notify" || word == "notify_\(state)" else { return false }
            if command.contains("ct_sync") { return true }
            // A script of the administrator's own.
            let path = String(command.prefix { !$0.isWhitespace })
            return path.hasPrefix("/") && read(path).contains("ct_sync")
        }
    }

    private mutating func take(_ lines: [[String]]) {
        var isAddress = false
        for line in lines {
            guard let word = line.first else { continue }
            if word.hasPrefix("virtual_ipaddress") {
                isAddress = !line.contains("}")
                for each in line.dropFirst() where each != "{" && each != "}" { add(each) }
            } else if isAddress {
                if word == "}" { isAddress = false } else { add(word) }
            } else if word.hasSuffix("notify_fifo_script"), line.count > 1 {
                commands.append(("notify", line[1]))
            } else if word.hasPrefix("notify"), line.count > 1 {
                commands.append((word, line[1]))
            } else if word == "script", line.count > 1, line[1].contains("ct_sync") {
                isWatched = true
            }
        }
    }

    /// Adds `203.0.113.1/24` of `203.0.113.1/24 dev eth0`.
    private mutating func add(_ word: String) {
        guard let address = HostAddress(text: String(word.prefix { $0 != "/" })) else { return }
        addresses.append(address)
    }

    /// The words of each line; what is quoted is one word, without its quotes.
    private static func lines(_ text: String) -> [[String]] {
        text.split(whereSeparator: \.isNewline).map { line in
            var words: [String] = []
            var word = ""
            var isQuoted = false
            for character in line {
                if character == "\"" {
                    isQuoted.toggle()
                } else if !isQuoted, character == "#" || character == "!" {
                    break
                } else if !isQuoted, character.isWhitespace {
                    if !word.isEmpty { words.append(word) }
                    word = ""
                } else {
                    word.append(character)
                }
            }
            return word.isEmpty ? words : words + [word]
        }
    }

    /// The files of a pattern of glob(3).
    private static func files(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { index in
            found.gl_pathv[index].map { String(cString: $0) }
        }
    }
}
