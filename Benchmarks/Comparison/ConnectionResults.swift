// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// All rounds of a measure, as they are kept under Benchmarks/results.
struct ConnectionResults: Codable {
    /// The rounds of one contender at one rate.
    struct Series: Codable {
        let contender: String
        let rate: Int
        /// TCP if it is not said.
        let transport: Traffic.Transport?
        var costs: [ConnectionCost] = []

        init(_ contender: String, _ rate: Int, _ transport: Traffic.Transport) {
            self.contender = contender
            self.rate = rate
            self.transport = transport
        }

        /// The medians of the rounds' p50 and p99.
        func latency(_ which: (ConnectionCost) -> Percentiles?) -> String {
            let all = costs.compactMap(which)
            guard !all.isEmpty else { return "" }
            return String(
                format: "%.0f, %.0f", Spread(all.map(\.p50)).median, Spread(all.map(\.p99)).median)
        }
    }

    var measure = "connections"
    var machine = Machine()
    var rounds: Int
    var seconds: Double
    var series: [Series] = []

    init(rounds: Int, seconds: Double) {
        self.rounds = rounds
        self.seconds = seconds
    }

    func write(to file: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(fileURLWithPath: file))
    }

    static func read(_ file: String) throws -> ConnectionResults {
        try JSONDecoder().decode(
            ConnectionResults.self, from: Data(contentsOf: URL(fileURLWithPath: file)))
    }

    /// Without another build, which is for who changes the code: no document shows it.
    var ofThisBuild: ConnectionResults {
        var results = self
        results.series.removeAll { $0.contender == Contender.ctSyncBefore(binary: "").name }
        return results
    }

    /// The contenders, in their order.
    var contenders: [String] { series.map(\.contender).distinct }

    /// The rates, least first.
    var rates: [Int] { Set(series.map(\.rate)).sorted() }

    /// The rounds of a contender at a rate; none if it was not measured there.
    func costs(
        of contender: String, rate: Int, _ transport: Traffic.Transport = .tcp
    ) -> [ConnectionCost] {
        series.first {
            $0.contender == contender && $0.rate == rate && ($0.transport ?? .tcp) == transport
        }?.costs ?? []
    }

    /// What the seal adds to the processor time of both daemons, in hundredths of what they take without
    /// it, from rounds that followed each other; nil if one of the two was not measured.
    func costOfTheKey(rate: Int, _ transport: Traffic.Transport) -> String? {
        let plain = costs(of: Contender.ctSync.name, rate: rate, transport)
        let sealed = costs(of: Contender.ctSyncKey.name, rate: rate, transport)
        guard !plain.isEmpty, !sealed.isEmpty else { return nil }
        let rounds = zip(plain, sealed)
        func added(_ value: (ConnectionCost) -> Double) -> String {
            Spread(rounds.map { (value($1) / value($0) - 1) * 100 }).text
        }
        let both = added { $0.master + $0.standby }
        return "with a key, % more at \(rate)/s: master and standby \(both), "
            + "master \(added(\.master)), standby \(added(\.standby))"
    }

    /// Medians, and in brackets the least and the most, as a table in Markdown. What replication adds
    /// is taken round by round from the round's own measure without it.
    func table(rate: Int, _ transport: Traffic.Transport = .tcp) -> String {
        let all = series.filter { $0.rate == rate && ($0.transport ?? .tcp) == transport }
        guard !all.isEmpty else { return "" }
        if rate == 0 { return highest(all, transport) }
        let none = all.first { $0.contender == "none" }?.costs
        var lines = [
            "| us a connection at \(rate)/s\(transport == .udp ? ", UDP" : "") | generator and master | master | "
                + "standby | wake-ups, master and standby | bytes | packets | latency idle, p50 and p99 | "
                + "latency loaded |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for one in all {
            func added(_ value: (ConnectionCost) -> Double) -> String {
                let own = one.costs.map(value)
                guard one.contender != "none", let none else { return Spread(own).text }
                return "+" + Spread(zip(own, none).map { $0 - value($1) }).text
            }
            func each(_ value: (ConnectionCost) -> Double) -> String {
                let spread = Spread(one.costs.map(value))
                return spread.most == 0 ? "" : spread.text
            }
            func short(_ value: (ConnectionCost) -> Double, _ digits: Int) -> String {
                let spread = Spread(one.costs.map(value))
                return spread.most == 0 ? "" : String(format: "%.\(digits)f", spread.median)
            }
            let wakes = [short(\.masterWakes, 2), short(\.standbyWakes, 2)].filter { $0 != "" }
            lines.append(
                "| \(one.contender) | \(added(\.processes)) | "
                    + "\(each(\.master)) | \(each(\.standby)) | \(wakes.joined(separator: ", ")) | "
                    + "\(short(\.bytes, 0)) | \(short(\.packets, 2)) | "
                    + "\(one.latency(\.idle)) | \(one.latency(\.loaded)) |")
        }
        return lines.joined(separator: "\n")
    }

    /// The highest rates, and their ratios to that without anybody, round by round.
    private func highest(_ all: [Series], _ transport: Traffic.Transport) -> String {
        let none = all.first { $0.contender == "none" }?.costs ?? []
        let lines = all.map { one -> String in
            let rates = Spread(one.costs.compactMap(\.perSecond))
            let ratios = Spread(
                zip(one.costs, none).map { ($0.perSecond ?? 0) / max(1, $1.perSecond ?? 0) })
            return "| \(one.contender) | \(rates.text) | "
                + String(format: "%.2f (%.2f to %.2f) |", ratios.median, ratios.least, ratios.most)
        }
        let head =
            "| | most connections a second\(transport == .udp ? ", UDP" : "") | of that with none |"
        return ([head, "|---|---|---|"] + lines).joined(separator: "\n")
    }
}

extension Array where Element: Equatable {
    /// Each element once, in the order of their first places.
    var distinct: [Element] {
        reduce(into: []) { found, one in
            if !found.contains(one) { found.append(one) }
        }
    }
}

/// A few measures of the same.
struct Spread {
    let median: Double
    let least: Double
    let most: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        guard let first = sorted.first, let last = sorted.last else {
            (median, least, most) = (0, 0, 0)
            return
        }
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        (least, most) = (first, last)
    }

    var text: String { String(format: "%.1f (%.1f to %.1f)", median, least, most) }
}
