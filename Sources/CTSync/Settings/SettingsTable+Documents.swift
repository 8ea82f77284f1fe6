// SPDX-License-Identifier: GPL-2.0-or-later

/// What `ct_sync --help` and the sample file say of the settings.
extension SettingsTable {
    /// The flags of the daemon, one item each.
    package static var help: String {
        let settings = all.map { row in
            TextLayout.helpItem(
                "--\(row.name) <\(row.valueName)>",
                TextLayout.plain(row.summary) + row.helpRemark)
        }
        let others = DaemonArguments.otherFlags.map {
            TextLayout.helpItem(
                $0.usage, $0.summary + ($0.fallback.map { " (default: \($0))" } ?? ""))
        }
        return (settings + others).joined()
    }

    /// The file that is installed as /etc/ct_sync.conf: every setting, commented out.
    package static var sampleFile: String {
        let head = """
            # /etc/ct_sync.conf: the settings of ct_sync, see ct_sync.conf(5).
            #
            # A line is "options ct_sync name=value ..." as in modprobe.d(5), or a comment; a line that ends in
            # a backslash goes on in the next. A flag of the command line wins over the same setting here.
            # All settings are commented out below, with their defaults unless said otherwise.

            """
        return head
            + all.map { row in
                let comment = TextLayout.wrap(row.sampleComment, width: 98).map { "# \($0)\n" }
                return "\n\(comment.joined())#options ct_sync \(row.name)=\(row.example)\n"
            }.joined()
    }
}

extension SettingDescription {
    /// What help adds in parentheses.
    fileprivate var helpRemark: String {
        var remarks: [String] = []
        if case .words = candidates, !valueName.contains("|") { remarks.append(allowed) }
        if isRepeatable { remarks.append("repeatable") }
        switch fallback {
        case .required: remarks.append("must be given")
        case .value(let text), .words(let text):
            remarks.append("default: \(TextLayout.plain(text))")
        case .none: break
        }
        return remarks.isEmpty ? "" : " (\(remarks.joined(separator: "; ")))"
    }

    fileprivate var sampleComment: String {
        let text = TextLayout.plain("\(summary) Allowed: \(allowed).")
        let each = isRepeatable ? " One line for each." : ""
        switch fallback {
        case .required: return text + " Must be given."
        case .value: return text + each
        case .words(let words): return text + each + " Default: \(TextLayout.plain(words))."
        case .none: return text + each + " Default: none."
        }
    }
}
