// SPDX-License-Identifier: GPL-2.0-or-later

/// The screen of `ct_sync watch`: verdict, connections, link, kernel, nodes, last events.
///
/// Made for 80 columns and 24 rows; a wider one has longer graphs, a lower one fewer events.
package struct WatchScreen {
    /// What the terminal can do.
    package struct Terminal {
        /// Characters of a line.
        package var columns = 80
        /// Lines.
        package var rows = 24
        /// Whether the state word is coloured.
        package var hasColor = false
        /// Whether it knows ASCII only.
        package var isPlain = false

        /// A terminal of 80 by 24 without colour.
        package init() {}
    }

    private let seen: Observation
    private let terminal: Terminal

    /// The screen for what is known, on a terminal.
    package init(_ seen: Observation, _ terminal: Terminal) {
        self.seen = seen
        self.terminal = terminal
    }

    /// Lines of at most so many columns, at most so many as there are rows.
    package var lines: [String] {
        guard let status = seen.status else { return fitted([head(nil)] + silence) }
        var lines = [head(status)]
        lines += remarks(status)
        lines += ["", connections(status)] + link(status) + [kernel(status), ""]
        lines += nodes(status)
        let left = terminal.rows - lines.count - 1
        if left > 0, !seen.history.isEmpty { lines += [""] + history(left) }
        return fitted(lines)
    }

    // MARK: The first lines

    private func head(_ status: StatusReport?) -> String {
        let clock = Words.clock(seen.time)
        guard let status else { return right("ct_sync: NO DAEMON", clock) }
        return right("\(status.words(at: "host")): \(status.words(at: "verdict"))", clock)
    }

    private var silence: [String] {
        [" the daemon does not answer: \(seen.trouble)", ""] + history(max(0, terminal.rows - 4))
    }

    /// The last events, the newest first.
    private func history(_ count: Int) -> [String] {
        seen.history.suffix(count).reversed().map { event in
            " \(Words.clock(event.wallMicroseconds)) \(event.text)"
        }
    }

    /// What is not as it should be, or the facts if all is well; six lines at most.
    private func remarks(_ status: StatusReport) -> [String] {
        var lines: [String] = []
        for remark in status.groups("remarks") {
            let text = remark.words(at: "text")
            if !text.isEmpty { lines.append(" " + text) }
            for hint in remark.groups("try") {
                lines.append(" try   \(hint.words(at: "command"))    \(hint.words(at: "why"))")
            }
        }
        if lines.isEmpty { lines = status.groups("facts").map { " " + $0.words(at: "text") } }
        return Array(lines.prefix(6))
    }

    // MARK: Counts

    private func connections(_ status: StatusReport) -> String {
        let course = seen.course
        let graph = graph(course.samples.map(\.connections), floor: nil)
        var line = " connections  " + left(Words.number(count(status, "entries.held")), 12) + graph
        if isSlave(status) {
            line += "  +\(rate(\.created))/s new  -\(rate(\.deleted))/s gone"
        } else if let change = change() {
            line += "  \(change)/s"
        }
        return line
    }

    private func link(_ status: StatusReport) -> [String] {
        let repairs = [
            ("lost", "counters.packets_lost"), ("sent again", "counters.retransmitted"),
            ("recovered", "counters.packets_recovered"), ("refused", "link.sends_refused"),
        ].map { "\($0.0) \(Words.number(count(status, $0.1)))" }
        var repair = " link         " + repairs.joined(separator: "  ")
        if case .seconds(let offset) = status["clock_offset_seconds"] {
            let size = offset.magnitude
            let words = size < 1_000 ? "\(size) us" : Words.time(size * 1_000)
            repair += "  clock \(offset < 0 ? "-" : "+")\(words)"
        }
        return [
            direction("link in", \.packetsIn, \.bytesIn),
            direction("link out", \.packetsOut, \.bytesOut), repair,
        ]
    }

    private func direction(
        _ name: String, _ packets: KeyPath<Course.Sample, UInt64>,
        _ bytes: KeyPath<Course.Sample, UInt64>
    ) -> String {
        " " + left(name, 13) + left("\(rate(packets))/s", 12)
            + graph(seen.course.rates(packets), floor: 0)
            + "  packets, \(Self.bytes(seen.course.rate(bytes) ?? 0))/s"
    }

    private func kernel(_ status: StatusReport) -> String {
        guard isSlave(status) else {
            return " kernel       \(rate(\.events)) events/s  lost "
                + Words.number(
                    count(status, "counters.overruns") + count(status, "counters.ring_overruns"))
        }
        return " kernel       created \(rate(\.created))/s  updated \(rate(\.updated))/s"
            + "  deleted \(rate(\.deleted))/s"
            + "  refused \(Words.number(count(status, "counters.refused_entries")))"
    }

    // MARK: The nodes

    private func nodes(_ status: StatusReport) -> [String] {
        let peers = status.groups("peers")
        var lines = [row("NODE", "ROLE", "ADDRESS", "HEARD", "BEHIND", "SYNC")]
        let sync =
            switch status["in_sync"] {
            case .flag(let isInSync): isInSync ? "yes" : "NO"
            default: "-"
            }
        lines.append(
            row(status.words(at: "node_id"), status.words(at: "role"), "here", "", "", sync))
        for peer in peers {
            let heard = Words.time(nanoseconds(peer, "heard_age_seconds"))
            let behind = peer["behind_packets"].flatMap { value -> String? in
                guard case .number(let number) = value else { return nil }
                return Words.count(number, "packet", "packets")
            }
            let sync =
                switch peer["in_sync"] {
                case .flag(let isInSync): isInSync ? "yes" : "NO"
                default: "-"
                }
            lines.append(
                row(
                    peer.words(at: "id"), peer.words(at: "role"), peer.words(at: "address"),
                    "\(heard) ago", behind ?? "", sync))
        }
        return lines
    }

    private func row(
        _ node: String, _ role: String, _ address: String, _ heard: String, _ behind: String,
        _ sync: String
    ) -> String {
        " " + left(node, 6) + left(role, 8) + left(address, 26) + left(heard, 14)
            + left(behind, 16) + sync
    }

    // MARK: Pieces

    private func isSlave(_ status: StatusReport) -> Bool {
        status["role"] == .text(Role.slave.description)
    }

    private func count(_ status: StatusReport, _ path: String) -> UInt64 {
        guard case .number(let number) = status.value(at: path) else { return 0 }
        return number
    }

    private func nanoseconds(_ status: StatusReport, _ path: String) -> UInt64 {
        guard case .seconds(let microseconds) = status.value(at: path) else { return 0 }
        return UInt64(clamping: microseconds) * 1_000
    }

    private func rate(_ count: KeyPath<Course.Sample, UInt64>) -> String {
        Words.number(seen.course.rate(count) ?? 0)
    }

    /// The change of connections a second, with its sign; nil without two samples.
    private func change() -> String? {
        let samples = seen.course.samples.suffix(2)
        guard let old = samples.first, let new = samples.last, new.time > old.time else {
            return nil
        }
        let change = Double(new.connections) - Double(old.connections)
        let rate = Int64((change * 1e6 / Double(new.time - old.time)).rounded())
        return (rate < 0 ? "" : "+") + Words.number(rate)
    }

    private func graph(_ numbers: [UInt64], floor: UInt64?) -> String {
        let width = max(8, terminal.columns - 58)
        return left(
            Graph.text(numbers, width: width, floor: floor, isPlain: terminal.isPlain), width)
    }

    /// `812 B`, `4.1 MB`
    static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        for unit in ["B", "kB", "MB"] {
            if value < 1_000 { return number(value, unit) }
            value /= 1_000
        }
        return number(value, "GB")
    }

    private static func number(_ value: Double, _ unit: String) -> String {
        if unit == "B" || value >= 100 { return "\(Int(value)) \(unit)" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(unit)"
    }

    private func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func right(_ text: String, _ clock: String) -> String {
        let room = terminal.columns - clock.count
        guard text.count < room else { return text }
        return left(text, room) + clock
    }

    /// Cut to the terminal; the state word is coloured after that.
    private func fitted(_ lines: [String]) -> [String] {
        var fitted = lines.prefix(terminal.rows).map { String($0.prefix(terminal.columns)) }
        guard terminal.hasColor, let first = fitted.first else { return fitted }
        let isWell = seen.status?["well"] == .flag(true)
        fitted[0] = StatusText.colored(first, isWell: isWell)
        return fitted
    }
}
