// SPDX-License-Identifier: GPL-2.0-or-later

/// One value of a status.
package enum StatusValue: Sendable, Equatable {
    /// A count, in the unit that the key ends with.
    case number(UInt64)
    /// Yes or no.
    case flag(Bool)
    /// Seconds, in microseconds; of offsets also below zero.
    case seconds(microseconds: Int64)
    /// Words.
    case text(String)
    /// Not known, or not of this role.
    case absent
    /// Values with keys of their own.
    case group(StatusReport)
    /// Groups of one kind, such as peers.
    case list([StatusReport])

    /// The value on a line of the control socket; nil for groups and lists that are not empty.
    var wireForm: String? {
        switch self {
        case .number(let number): String(number)
        case .flag(let flag): flag ? "true" : "false"
        case .seconds(let microseconds): StatusValue.decimal(microseconds)
        case .text(let text): StatusValue.quoted(text)
        case .absent: "null"
        case .group(let group): group.entries.isEmpty ? "{}" : nil
        case .list(let list): list.isEmpty ? "[]" : nil
        }
    }

    /// Reads what `wireForm` writes; nil for anything else.
    init?(wireForm: String) {
        switch wireForm {
        case "true": self = .flag(true)
        case "false": self = .flag(false)
        case "null": self = .absent
        case "{}": self = .group(StatusReport())
        case "[]": self = .list([])
        default:
            if wireForm.utf8.first == UInt8(ascii: "\"") {
                guard let text = StatusValue.unquoted(wireForm) else { return nil }
                self = .text(text)
            } else if let microseconds = StatusValue.microseconds(wireForm) {
                self = .seconds(microseconds: microseconds)
            } else {
                guard let number = UInt64(wireForm), String(number) == wireForm else { return nil }
                self = .number(number)
            }
        }
    }

    /// Seconds with a point and one to six digits after it.
    static func decimal(_ microseconds: Int64) -> String {
        let (whole, rest) = microseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
        var digits = String(rest)
        digits = String(repeating: "0", count: 6 - digits.utf8.count) + digits
        while digits.utf8.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        return "\(microseconds < 0 ? "-" : "")\(whole).\(digits)"
    }

    /// Reads what `decimal` writes; nil for anything else.
    private static func microseconds(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...6).contains(parts[1].utf8.count),
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let whole = Int64(parts[0]), whole.magnitude < UInt64(Int64.max) / 1_000_000,
            let rest = Int64(parts[1] + String(repeating: "0", count: 6 - parts[1].utf8.count))
        else { return nil }
        let sum = Int64(whole.magnitude) * 1_000_000 + rest
        let value = parts[0].hasPrefix("-") ? -sum : sum
        return decimal(value) == text ? value : nil
    }

    /// A string of JSON: `TextBuffer.append(quoted:)`.
    static func quoted(_ text: String) -> String {
        var buffer = TextBuffer()
        buffer.append(quoted: text.utf8)
        return buffer.string
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
