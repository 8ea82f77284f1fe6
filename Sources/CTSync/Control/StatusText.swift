// SPDX-License-Identifier: GPL-2.0-or-later

/// A status for a person: the verdict, then only what is not normal, then the nodes as a table.
package struct StatusText {
    private let status: StatusReport
    private let isVerbose: Bool
    private let hasColor: Bool

    /// - Parameters:
    ///   - status: as the daemon answered.
    ///   - isVerbose: whether the counters are shown.
    ///   - hasColor: whether the state word is coloured.
    package init(_ status: StatusReport, isVerbose: Bool = false, hasColor: Bool = false) {
        self.status = status
        self.isVerbose = isVerbose
        self.hasColor = hasColor
    }

    /// Lines of at most 100 columns, but for long sentences.
    package var text: String {
        var lines = head
        lines += texts("facts").map { "    " + $0 }
        for remark in list("remarks") { lines += self.lines(remark) }
        lines += [""] + table
        if list("links").contains(where: { $0["device"] != list("links").first?["device"] }) {
            lines += [""] + links
        }
        lines += ["", "    " + totals]
        var text = lines.joined(separator: "\n") + "\n"
        if isVerbose { text += counters }
        return text
    }

    // MARK: The first line

    /// Where the second half of the first line begins.
    private static let column = 73
    /// State words, red if the node is not well.
    private static let states = [
        "NOT IN SYNC", "NOT READY", "STILL DARK", "NOT DARK", "ALONE", "NO DAEMON", "in sync",
        "MASTER",
    ]

    private var head: [String] {
        let verdict = "\(words("host")): \(words("verdict"))"
        let who =
            "node \(words("node_id")), ct_sync \(words("version")), up "
            + Words.time(nanoseconds("uptime_seconds"))
        let shown = colored(verdict)
        guard verdict.count < Self.column else { return [shown, "    " + who] }
        return [shown + String(repeating: " ", count: Self.column - verdict.count) + who]
    }

    private func colored(_ verdict: String) -> String {
        hasColor ? Self.colored(verdict, isWell: status["well"] == .flag(true)) : verdict
    }

    /// A verdict with its state word in colour.
    static func colored(_ verdict: String, isWell: Bool) -> String {
        let color = isWell ? "32" : "31"
        for state in states {
            guard let range = verdict.firstRange(of: state) else { continue }
            return verdict[..<range.lowerBound] + "\u{1B}[1;\(color)m\(state)\u{1B}[0m"
                + verdict[range.upperBound...]
        }
        return verdict
    }

    // MARK: What is not normal

    private func lines(_ remark: StatusReport) -> [String] {
        var lines: [String] = []
        let text = words("text", of: remark)
        if !text.isEmpty { lines.append("    " + text) }
        guard case .list(let hints) = remark["try"], !hints.isEmpty else { return lines }
        let commands = hints.map { words("command", of: $0) }
        let width = commands.map(\.count).max() ?? 0
        for (index, hint) in hints.enumerated() {
            let gap = String(repeating: " ", count: width - commands[index].count + 4)
            lines.append(
                "    \(index == 0 ? "try" : "   ")   \(commands[index])\(gap)\(words("why", of: hint))"
            )
        }
        return lines
    }

    // MARK: The nodes

    private var table: [String] {
        var rows = [["NODE", "ROLE", "ADDRESS", "HEARD", "BEHIND", "SYNC"]]
        var nodes = list("peers").map { (id: words("id", of: $0), row: row($0)) }
        let isSlave = status["role"] == .text("slave")
        let sync = status["in_sync"] == .flag(true) ? "yes" : "no"
        let own = words("node_id")
        nodes.append((own, [own, words("role"), "here", "", "", isSlave ? sync : ""]))
        nodes.sort { (Int($0.id) ?? 0) < (Int($1.id) ?? 0) }
        rows += nodes.map(\.row)
        return Self.aligned(rows)
    }

    /// With several sync devices: a line for each, and for each node that is heard by it.
    private var links: [String] {
        let head = ["LINK", "STATE", "STREAM", "NODE", "ADDRESS", "HEARD", "HEARS US"]
        let rows = list("links").map { link in
            let state =
                link["present"] == .flag(false)
                ? "gone" : link["carrier"] == .flag(false) ? "no carrier" : "up"
            let age = nanoseconds("heard_age_seconds", of: link)
            let isHeard = link["id"] != .absent
            return [
                words("device", of: link), state, Self.answer(link["stream"]),
                words("id", of: link), words("address", of: link),
                isHeard ? Words.time(age) + " ago" : "never", Self.answer(link["hears"]),
            ]
        }
        return Self.aligned([head] + rows)
    }

    private static func answer(_ value: StatusValue?) -> String {
        switch value {
        case .flag(true): "yes"
        case .flag(false): "no"
        default: ""
        }
    }

    private static func aligned(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.indices.map {
                row[$0] + String(repeating: " ", count: widths[$0] - row[$0].count)
            }
            let line = "    " + cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    private func row(_ peer: StatusReport) -> [String] {
        var (behind, sync) = ("", "")
        if peer["role"] == .text("slave") {
            if case .number(let number) = peer["behind_packets"] {
                behind = Words.count(number, "packet", "packets")
            }
            sync = peer["in_sync"] == .flag(true) ? "yes" : "no"
            if peer["heard"] == .flag(false) { sync = "silent, \(sync) then" }
        } else if peer["heard"] == .flag(false) {
            sync = "silent"
        }
        let heard = Words.time(nanoseconds("heard_age_seconds", of: peer)) + " ago"
        return [
            words("id", of: peer), words("role", of: peer), words("address", of: peer), heard,
            behind, sync,
        ]
    }

    // MARK: Totals

    private var totals: String {
        // A permissive node takes what has no seal.
        let isUnsealed = { (drop: StatusReport) in drop["reason"] == .text("unsealed") }
        let (dropped, unsealed) = (
            list("dropped").filter { !isUnsealed($0) }, list("dropped").filter(isUnsealed)
        )
        let counts = [
            ("lost", count("counters.packets_lost")),
            ("refused by the network", count("link.sends_refused")),
            ("dropped", dropped.reduce(0) { $0 + count("count", of: $1) }),
            ("without a seal", unsealed.reduce(0) { $0 + count("count", of: $1) }),
        ]
        let bad = counts.filter { $0.1 > 0 }.map { "\(Words.number($0.1)) \($0.0)" }
        let since = "in \(Words.time(nanoseconds("uptime_seconds")))"
        let sentence =
            bad.isEmpty
            ? "no packet lost, refused or dropped \(since)"
            : "packets: \(bad.joined(separator: ", ")) \(since)"
        guard !isVerbose else { return sentence }
        let command = ClientCommand.typed(
            "ct_sync status -v", controlFile: words("control_file"))
        return "\(sentence); counters: \(command)"
    }

    private var counters: String {
        var shown = StatusReport()
        for key in ["link", "dropped", "lacking", "injection_errors", "counters"] {
            guard let value = status[key] else { continue }
            if case .list(let list) = value {
                shown.add(list: key, list.filter { $0["count"] != .number(0) })
            } else {
                shown.add(key, value)
            }
        }
        return "\n" + shown.text
    }

    // MARK: Values

    private func words(_ key: String, of report: StatusReport? = nil) -> String {
        (report ?? status).value(at: key).map { StatusReport.plain($0) } ?? ""
    }

    private func count(_ path: String, of report: StatusReport? = nil) -> UInt64 {
        guard case .number(let number) = (report ?? status).value(at: path) else { return 0 }
        return number
    }

    private func nanoseconds(_ key: String, of report: StatusReport? = nil) -> UInt64 {
        guard case .seconds(let microseconds) = (report ?? status)[key] else { return 0 }
        return UInt64(max(microseconds, 0)) * Duration.microsecond
    }

    private func list(_ key: String) -> [StatusReport] {
        guard case .list(let list) = status[key] else { return [] }
        return list
    }

    private func texts(_ key: String) -> [String] {
        list(key).map { words("text", of: $0) }
    }
}
