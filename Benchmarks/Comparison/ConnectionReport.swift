// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The tables of documents, made from results: `bench-comparison report DOCUMENT... RESULTS`.
///
/// In each document what stands between the two lines of `marks` is replaced; the first document gets
/// the rate that is named in the goals, the others every rate.
struct ConnectionReport {
    private static let marks = ("<!-- BENCH CONNECTIONS: begin", "<!-- BENCH CONNECTIONS: end")
    private static let shortRate = 3_000

    private let documents: [String]
    private let results: ConnectionResults

    init(_ words: [String]) throws {
        guard words.count >= 2, let file = words.last else {
            throw WrongUse("bench-comparison report DOCUMENT... RESULTS")
        }
        documents = Array(words.dropLast())
        results = try ConnectionResults.read(file).ofThisBuild
    }

    func write() throws {
        for (place, document) in documents.enumerated() {
            let text = try String(contentsOfFile: document, encoding: .utf8)
            let rates = place == 0 ? results.rates.filter { $0 == Self.shortRate } : results.rates
            let tables = rates.map {
                place == 0 ? short(rate: $0) : results.table(rate: $0)
            }
            try replaced(text, by: origin + tables.joined(separator: "\n\n"), in: document)
                .write(toFile: document, atomically: true, encoding: .utf8)
        }
    }

    private var origin: String {
        let day = results.date.prefix(10)
        return "Linux \(results.kernel), \(results.processor), \(results.processors) processors, "
            + "\(day); medians of \(results.rounds) rounds, and what they lay between. Connections: "
            + "TCP, 64 bytes there and back. What replication adds to a connection without it.\n\n"
    }

    private func replaced(_ text: String, by new: String, in document: String) throws -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let begin = lines.firstIndex(where: { $0.hasPrefix(Self.marks.0) }),
            let end = lines.firstIndex(where: { $0.hasPrefix(Self.marks.1) }), begin < end
        else { throw WrongUse("\(document) has no lines that begin with \(Self.marks.0)") }
        lines.replaceSubrange(
            (begin + 1)..<end, with: new.split(separator: "\n", omittingEmptySubsequences: false))
        return lines.joined(separator: "\n")
    }

    /// Who costs how much, and how late the standby is.
    private func short(rate: Int) -> String {
        let all = results.series.filter { $0.rate == rate }
        let none = all.first { $0.contender == "none" }?.costs ?? []
        var lines = [
            "| us a connection at \(rate)/s | generator and master | master\u{27}s daemon | standby\u{27}s "
                + "daemon | event to standby, p50 and p99 |",
            "|---|---|---|---|---|",
        ]
        for one in all {
            let processes = Spread(one.costs.map(\.processes))
            let added = Spread(zip(one.costs, none).map { $0.processes - $1.processes })
            let isNone = one.contender == "none"
            func each(_ value: (ConnectionCost) -> Double) -> String {
                let median = Spread(one.costs.map(value)).median
                return median == 0 ? "" : String(format: "%.0f", median)
            }
            let cost = String(
                format: isNone ? "%.0f" : "+%.0f", (isNone ? processes : added).median)
            lines.append(
                "| \(one.contender) | \(cost) | \(each(\.master)) | \(each(\.standby)) | "
                    + "\(one.latency(\.loaded)) |")
        }
        return lines.joined(separator: "\n")
    }
}
