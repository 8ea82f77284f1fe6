// SPDX-License-Identifier: GPL-2.0-or-later

/// Why the program does not start, as one sentence for a person: what was given, what is allowed.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// Where the mistake is, which decides the exit status, one of sysexits.h.
    package enum Place: Sendable, Equatable {
        /// On the command line: exit status 64 (EX_USAGE).
        case commandLine
        /// In the configuration file, or on a machine that lacks what the settings ask for: exit status
        /// 78 (EX_CONFIG). It does not get better by itself.
        case machine
        /// On a machine that may be ready later: exit status 75 (EX_TEMPFAIL).
        case notReady
        /// In the rights of the process: exit status 77 (EX_NOPERM).
        case notAllowed
    }

    /// The sentence, without a full stop.
    package let sentence: String
    /// Where the mistake is.
    package let place: Place

    /// A sentence about the machine or the file, unless said otherwise.
    package init(_ sentence: String, at place: Place = .machine) {
        self.sentence = sentence
        self.place = place
    }

    /// The exit status of a program that stops for this.
    package var exitStatus: Int32 {
        switch place {
        case .commandLine: 64
        case .machine: 78
        case .notReady: 75
        case .notAllowed: 77
        }
    }

    /// The sentence.
    package var description: String { sentence }

    /// Foreign text in quotes, cut to 64 bytes, with nothing in it that a terminal would obey.
    static func quoted(_ text: some StringProtocol) -> String {
        "\"" + printable(text.utf8) + "\""
    }

    /// At most 64 bytes of foreign text; what is not printable ASCII becomes a question mark.
    static func printable(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes.prefix(64) {
            let plain = byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"")
            text.unicodeScalars.append(Unicode.Scalar(plain ? byte : UInt8(ascii: "?")))
        }
        return text
    }
}
