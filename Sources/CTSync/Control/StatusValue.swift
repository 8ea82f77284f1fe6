// SPDX-License-Identifier: GPL-2.0-or-later

/// One value of a status.
package enum StatusValue: Sendable, Equatable {
    /// A count, in the unit that the key ends with.
    case number(UInt64)
    /// Yes or no.
    case flag(Bool)
    /// Words.
    case text(String)
    /// Values with keys of their own.
    case group(StatusReport)
    /// Groups of one kind, such as peers.
    case list([StatusReport])

    /// The value on a line of the control socket; nil for groups and lists that are not empty.
    var wireForm: String? {
        switch self {
        case .number(let number): String(number)
        case .flag(let flag): flag ? "true" : "false"
        case .text(let text): StatusValue.quoted(text)
        case .group(let group): group.entries.isEmpty ? "{}" : nil
        case .list(let list): list.isEmpty ? "[]" : nil
        }
    }

    /// Reads what `wireForm` writes; nil for anything else.
    init?(wireForm: String) {
        switch wireForm {
        case "true": self = .flag(true)
        case "false": self = .flag(false)
        case "{}": self = .group(StatusReport())
        case "[]": self = .list([])
        default:
            if wireForm.utf8.first == UInt8(ascii: "\"") {
                guard let text = StatusValue.unquoted(wireForm) else { return nil }
                self = .text(text)
            } else {
                guard let number = UInt64(wireForm), String(number) == wireForm else { return nil }
                self = .number(number)
            }
        }
    }

    /// A string of JSON (RFC 8259, section 7), all in ASCII below U+0080 and without line breaks.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\r": quoted += "\\r"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let hex = String(scalar.value, radix: 16)
                    quoted += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
                } else {
                    quoted.unicodeScalars.append(scalar)
                }
            }
        }
        return quoted + "\""
    }

    /// Reads what `quoted` writes; nil for anything else.
    private static func unquoted(_ quoted: String) -> String? {
        var rest = Array(quoted.unicodeScalars)[...]
        guard rest.count >= 2, rest.removeFirst() == "\"", rest.removeLast() == "\"" else {
            return nil
        }
        var text = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                if scalar == "\"" { return nil }
                text.append(scalar)
                continue
            }
            guard let escaped = unescaped(&rest) else { return nil }
            text.append(escaped)
        }
        return String(text)
    }

    /// Takes off what follows a backslash.
    private static func unescaped(_ rest: inout ArraySlice<Unicode.Scalar>) -> Unicode.Scalar? {
        switch rest.popFirst() {
        case "\"": return "\""
        case "\\": return "\\"
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "u":
            var hex = String.UnicodeScalarView()
            hex.append(contentsOf: rest.prefix(4))
            rest = rest.dropFirst(4)
            guard hex.count == 4, let value = UInt32(String(hex), radix: 16) else { return nil }
            return Unicode.Scalar(value)
        default: return nil
        }
    }
}
