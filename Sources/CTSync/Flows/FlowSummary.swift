// SPDX-License-Identifier: GPL-2.0-or-later

/// The two forms of what `ct_sync flows --summary` says.
struct FlowSummary {
    /// When it was made, in microseconds since 1970.
    let time: UInt64
    /// Nanoseconds since the one before.
    let interval: UInt64
    /// What was counted.
    let tally: FlowTally
    /// Events that the kernel dropped in the interval.
    let missed: UInt64

    /// Sources and destinations that are named.
    private static let limit = 10

    // MARK: For a person

    /// A line for each kind of count.
    var text: String {
        let total = tally.total
        let loss =
            missed == 0 ? "nothing missed" : Words.count(missed, "event", "events") + " MISSED"
        var lines = [
            "\(FlowTime.text(microseconds: time).prefix(19))Z  "
                + "\(FlowTime.seconds(nanoseconds: interval)) s: "
                + "\(counted(total.begun, "begun")), \(counted(total.ended, "ended")), "
                + "\(counted(total.changed, "changed")); \(loss)",
            line("connections", [("in all", total.connections)] + byProtocol(\.connections)),
            line("tcp states", states),
            line(
                "translated",
                [
                    ("no", tally.translation.none), ("source", tally.translation.source),
                    ("destination", tally.translation.destination),
                    ("both", tally.translation.both),
                ].filter { $0.1 > 0 }),
        ]
        if tally.hasAccounting {
            lines.append(line("ended, packets", byProtocol(\.packets)))
            lines.append(line("ended, bytes", byProtocol(\.bytes)))
        }
        lines.append(line("sources", sources))
        lines.append(line("destinations", services))
        return lines.joined(separator: "\n")
    }

    private func line(_ name: String, _ counts: [(String, UInt64)]) -> String {
        let gap = String(repeating: " ", count: max(1, 16 - name.utf8.count))
        let words = counts.map { "\($0.0) \(Self.grouped($0.1))" }
        return "    \(name)\(gap)\(words.isEmpty ? "none" : words.joined(separator: ", "))"
    }

    private func counted(_ number: UInt64, _ word: String) -> String {
        let rate = Double(number) * 1e9 / Double(max(1, interval))
        return "\(Self.grouped(number)) \(word) (\(Self.grouped(UInt64(rate.rounded())))/s)"
    }

    /// A number with its thousands apart.
    static func grouped(_ number: UInt64) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    private func byProtocol(
        _ count: KeyPath<FlowTally.ByProtocol, UInt64>
    ) -> [(String, UInt64)] {
        FlowTally.top(
            tally.protocols.mapValues { $0[keyPath: count] }.filter { $0.value > 0 }, 256,
            EntryLine.protocolName)
    }

    private var states: [(String, UInt64)] {
        FlowTally.top(tally.states, 16, EntryLine.stateName(tcp:))
    }

    private var sources: [(String, UInt64)] {
        FlowTally.top(tally.sources, Self.limit) { $0.description }
    }

    private var services: [(String, UInt64)] {
        FlowTally.top(tally.services, Self.limit) { service in
            "\(service.address) \(EntryLine.protocolName(service.protocolNumber))"
                + (service.port.map { "/\($0)" } ?? "")
        }
    }

    // MARK: For a program

    /// One JSON object on one line.
    var json: String {
        let total = tally.total
        let protocols = tally.protocols.keys.sorted().map { number in
            let counts = tally.protocols[number, default: FlowTally.ByProtocol()]
            return "{\"protocol\":\(StatusValue.quoted(EntryLine.protocolName(number)))"
                + ",\"connections\":\(counts.connections),\"begun\":\(counts.begun)"
                + ",\"changed\":\(counts.changed),\"ended\":\(counts.ended)"
                + (tally.hasAccounting
                    ? ",\"packets\":\(counts.packets),\"bytes\":\(counts.bytes)}" : "}")
        }
        let translation = tally.translation
        return "{\"time\":\"\(FlowTime.text(microseconds: time))\""
            + ",\"seconds\":\(FlowTime.seconds(nanoseconds: interval))"
            + ",\"connections\":\(total.connections),\"begun\":\(total.begun)"
            + ",\"changed\":\(total.changed),\"ended\":\(total.ended),\"missed\":\(missed)"
            + ",\"protocols\":[\(protocols.joined(separator: ","))]"
            + ",\"tcp_states\":[\(objects("state", states))]"
            + ",\"translated\":{\"none\":\(translation.none),\"source\":\(translation.source)"
            + ",\"destination\":\(translation.destination),\"both\":\(translation.both)}"
            + ",\"sources\":[\(objects("address", sources))]"
            + ",\"destinations\":[\(objects("service", services))]}"
    }

    private func objects(_ key: String, _ counts: [(String, UInt64)]) -> String {
        counts.map { "{\"\(key)\":\(StatusValue.quoted($0.0)),\"connections\":\($0.1)}" }
            .joined(separator: ",")
    }
}
