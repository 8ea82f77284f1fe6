// SPDX-License-Identifier: GPL-2.0-or-later

/// What `ct_sync rehearse` prints, made from the daemon's answer.
package struct RehearsalText {
    private let report: StatusReport

    /// The text of an answer.
    package init(_ report: StatusReport) {
        self.report = report
    }

    /// The result, the steps with their times, what is missing with what to type.
    package var text: String {
        var lines = ["node \(report.words(at: "node_id")): \(report.words(at: "text"))"]
        let steps = report.groups("steps")
        lines += steps.filter { $0["waited_for"] == .flag(true) }.map(line)
        let others = steps.filter { $0["waited_for"] != .flag(true) }
        if !others.isEmpty { lines += ["    besides:"] + others.map(line) }
        for missing in report.groups("missing") {
            lines.append("    missing   \(missing.words(at: "text"))")
            lines.append("      try     \(missing.words(at: "try"))")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func line(_ step: StatusReport) -> String {
        var time = ""
        if case .seconds(let microseconds) = step["seconds"] {
            time = Words.time(UInt64(clamping: microseconds) * 1_000)
        }
        let state = step["well"] == .flag(true) ? "" : "FAILED: "
        return "    " + padded(step.words(at: "name"), 10) + padded(time, 10) + state
            + step.words(at: "text")
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
