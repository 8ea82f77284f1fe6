// SPDX-License-Identifier: GPL-2.0-or-later

/// The two forms that `ct_sync status` prints.
extension StatusReport {
    /// For a person: a line each, groups indented, the values one below the other.
    package var text: String {
        var text = ""
        append(to: &text, indent: 0)
        return text
    }

    private func append(to text: inout String, indent: Int) {
        let margin = String(repeating: " ", count: indent)
        let width = entries.map(\.key.utf8.count).max() ?? 0
        for entry in entries {
            let words = String(entry.key.map { $0 == "_" ? " " : $0 })
            let label = margin + words + ":"
            let gap = String(repeating: " ", count: width - words.utf8.count + 1)
            switch entry.value {
            case .number(let number): text += label + gap + String(number) + "\n"
            case .flag(let flag): text += label + gap + (flag ? "yes" : "no") + "\n"
            case .seconds(let time): text += label + gap + StatusValue.decimal(time) + "\n"
            case .absent: text += label + gap + "-\n"
            case .text(let words): text += label + gap + StatusReport.shown(words) + "\n"
            case .group(let group) where group.entries.isEmpty: text += label + gap + "none\n"
            case .group(let group):
                text += label + "\n"
                group.append(to: &text, indent: indent + 2)
            case .list(let list) where list.isEmpty: text += label + gap + "none\n"
            case .list(let list):
                for (index, group) in list.enumerated() {
                    text += "\(margin)\(words) \(index + 1):\n"
                    group.append(to: &text, indent: indent + 2)
                }
            }
        }
    }

    /// Words without anything that a terminal would obey.
    static func shown(_ words: String) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in words.unicodeScalars {
            let control = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
            shown.append(control ? "?" : scalar)
        }
        return String(shown)
    }

    /// One value for a script: words as they are, a group or list as JSON; nothing if it is unknown.
    package static func plain(_ value: StatusValue) -> String {
        switch value {
        case .text(let words): shown(words)
        case .absent: ""
        case .group(let group): String(group.json.dropLast())
        case .list(let list) where !list.isEmpty:
            "[" + list.map { $0.json.dropLast() }.joined(separator: ", ") + "]"
        default: value.wireForm ?? ""
        }
    }

    /// For a program: one JSON object (RFC 8259), indented by two spaces.
    package var json: String {
        var text = ""
        appendJSON(to: &text, indent: 0)
        return text + "\n"
    }

    /// Values and groups, without lists, as one JSON object on one line.
    var compact: String {
        let pairs = entries.map { entry in
            let value =
                if case .group(let group) = entry.value {
                    group.compact
                } else {
                    entry.value.wireForm ?? "null"
                }
            return "\(StatusValue.quoted(entry.key)): \(value)"
        }
        return "{\(pairs.joined(separator: ", "))}"
    }

    private func appendJSON(to text: inout String, indent: Int) {
        guard !entries.isEmpty else {
            text += "{}"
            return
        }
        let margin = String(repeating: " ", count: indent)
        text += "{\n"
        for (index, entry) in entries.enumerated() {
            text += "\(margin)  \(StatusValue.quoted(entry.key)): "
            if let value = entry.value.wireForm {
                text += value
            } else if case .group(let group) = entry.value {
                group.appendJSON(to: &text, indent: indent + 2)
            } else if case .list(let list) = entry.value {
                text += "["
                for (place, group) in list.enumerated() {
                    text += place == 0 ? "" : ", "
                    group.appendJSON(to: &text, indent: indent + 2)
                }
                text += "]"
            }
            text += index + 1 < entries.count ? ",\n" : "\n"
        }
        text += margin + "}"
    }
}
