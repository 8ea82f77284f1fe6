// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The configuration file: `options ct_sync name=value ...` lines, as modprobe.d(5) has them; a value
/// with blanks in it stands in double quotes.
package struct ConfigurationFile: Sendable, Equatable {
    /// Read when no other file is named, if it exists.
    package static let defaultPath = "/etc/ct_sync.conf"
    /// More than this is no configuration, in bytes.
    static let sizeLimit = 65_536

    /// The settings in the order of the file.
    package let settings: [Setting]

    /// Reads the file of this path.
    ///
    /// - Throws: `ConfigurationError` for one that cannot be read or holds anything else.
    package init(path: String) throws(ConfigurationError) {
        let text: String
        do throws(SystemError) {
            text = try TextFile.read(path, limit: Self.sizeLimit)
        } catch {
            throw ConfigurationError(
                "the configuration file \(path) cannot be read: "
                    + String(cString: strerror(error.errno)))
        }
        try self.init(text: text, path: path)
    }

    /// Reads the default file; nil if there is none.
    ///
    /// - Throws: `ConfigurationError` for one that cannot be read or holds anything else.
    package static func ifPresent(
        path: String = ConfigurationFile.defaultPath
    ) throws(ConfigurationError) -> ConfigurationFile? {
        var status = stat()
        if stat(path, &status) < 0 && (errno == ENOENT || errno == ENOTDIR) { return nil }
        return try ConfigurationFile(path: path)
    }

    /// Reads the text of a file; the path is for the sentences.
    ///
    /// - Throws: `ConfigurationError` for a line that is anything else.
    package init(text: String, path: String) throws(ConfigurationError) {
        var settings: [Setting] = []
        var joined = ""
        var start = 1
        let lines = text.split(omittingEmptySubsequences: false) {
            $0 == "\n" || $0 == "\r\n"
        }
        for (index, line) in lines.enumerated() {
            if joined.isEmpty { start = index + 1 }
            joined += line
            if joined.hasSuffix("\\") && index + 1 < lines.count {
                joined.removeLast()
                joined += " "
                continue
            }
            settings += try ConfigurationFile.options(joined, path: path, line: start)
            joined = ""
        }
        self.settings = settings
    }

    /// The settings of one line, joined with those that continue it.
    private static func options(
        _ text: String, path: String, line: Int
    ) throws(ConfigurationError) -> [Setting] {
        let words = try words(text, path: path, line: line)
        guard let first = words.first else { return [] }
        guard first == "options", words.count >= 2, words[1] == "ct_sync" else {
            throw ConfigurationError(
                "\(path):\(line): \(ConfigurationError.quoted(text)) is not understood; a line is "
                    + "\"options ct_sync name=value ...\" or a comment after #")
        }
        var settings: [Setting] = []
        for word in words.dropFirst(2) {
            settings.append(try Setting(word: word, .file(path: path, line: line)))
        }
        return settings
    }

    /// Splits at blanks but not within double quotes, as the kernel does with its command line:
    /// `replicate="accept protocol tcp"`. The quotes are taken out.
    private static func words(
        _ text: String, path: String, line: Int
    ) throws(ConfigurationError) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for letter in text {
            if !isQuoted, letter == " " || letter == "\t" || letter == "\r" {
                if let word { words.append(word) }
                word = nil
            } else if !isQuoted, letter == "#", word == nil {
                break
            } else if letter == "\"" {
                isQuoted.toggle()
                word = word ?? ""
            } else {
                word = (word ?? "") + String(letter)
            }
        }
        guard !isQuoted else {
            throw ConfigurationError(
                "\(path):\(line): a double quote is open at the end of the line, but must be closed"
            )
        }
        if let word { words.append(word) }
        return words
    }
}
