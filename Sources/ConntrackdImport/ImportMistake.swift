// SPDX-License-Identifier: GPL-2.0-or-later

/// What is wrong with a conntrackd.conf, as one sentence for a person.
package struct ImportMistake: Error, Equatable {
    /// The sentence, with the file and the line in front, without a full stop.
    package let sentence: String

    init(_ path: String, _ line: Int?, _ sentence: String) {
        let place = line.map { ":\($0)" } ?? ""
        self.sentence = "\(path)\(place): \(sentence)"
    }

    /// Foreign text in quotes, cut to 64 bytes.
    static func quoted(_ text: String) -> String {
        "\"" + plain(text, limit: 64) + "\""
    }

    /// Foreign text without anything that a terminal, or a reader of ct_sync.conf, would obey.
    static func plain(_ text: String, limit: Int = 256) -> String {
        var plain = ""
        for byte in text.utf8.prefix(limit) {
            let isPlain = byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\\")
            plain.unicodeScalars.append(
                Unicode.Scalar(isPlain && byte != UInt8(ascii: "\"") ? byte : UInt8(ascii: "?")))
        }
        return plain
    }
}
