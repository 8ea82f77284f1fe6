// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The tables and plots of documents, made from results:
/// `bench-comparison report DOCUMENT... RESULTS.json... [runs RESULTS.json...]`.
///
/// In each document what stands between the lines of a measure (`BENCH CONNECTIONS: begin` and `end`)
/// is replaced. The first document gets the connections' rate that is named in the goals, the others
/// every rate. Plots go into the directory `plots` beside the last document. After the word `runs` come
/// results of more runs, of which only the table of the goals is made.
struct Report {
    private let documents: [String]
    private let files: [String]
    private let moreRuns: [String]

    init(_ words: [String]) throws {
        let parts = words.split(separator: "runs", maxSplits: 1)
        let own = parts.first.map(Array.init) ?? []
        moreRuns = parts.count > 1 ? Array(parts[1]) : []
        files = own.filter { $0.hasSuffix(".json") }
        documents = own.filter { !$0.hasSuffix(".json") }
        guard !files.isEmpty, !documents.isEmpty else {
            throw WrongUse(
                "bench-comparison report DOCUMENT... RESULTS.json... [runs RESULTS.json...]")
        }
    }

    func write() throws {
        for file in files {
            let measure = try Self.measure(of: file)
            for (place, document) in documents.enumerated() {
                let text: String
                switch measure {
                case LargeTable.measure: text = try Results<LargeTable>.text(file)
                case Takeover.measure: text = try Results<Takeover>.text(file)
                case CommonLoss.measure: text = try Results<CommonLoss>.text(file)
                case Transfer.measure: text = try Results<Transfer>.text(file)
                default: text = try ConnectionReport(file).text(isShort: place == 0)
                }
                try replace(measure, by: text, in: document)
            }
            try draw(measure, file)
        }
        let goals = try Goals(files + moreRuns).table
        for document in documents { try replace("goals", by: goals, in: document) }
    }

    private func draw(_ measure: String, _ file: String) throws {
        switch measure {
        case Takeover.measure:
            let findings = try Results<Takeover>.read(file).findings
            try write(Plots.takeovers(findings), "takeovers")
            try write(Plots.timeline(findings), "timeline")
        case "connections":
            let results = try ConnectionResults.read(file).ofThisBuild
            try write(Plots.costs(results), "cost")
            try write(Plots.latencies(results), "latency")
        default: break
        }
    }

    private func write(_ plot: Plot?, _ name: String) throws {
        guard let plot, let document = documents.last else { return }
        let directory = URL(fileURLWithPath: document).deletingLastPathComponent()
            .appendingPathComponent("plots")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try plot.svg.write(
            to: directory.appendingPathComponent("\(name).svg"), atomically: true, encoding: .utf8)
    }

    /// Of which measure a file's results are.
    static func measure(of file: String) throws -> String {
        struct Kind: Decodable {
            let measure: String
        }
        return try JSONDecoder().decode(
            Kind.self, from: Data(contentsOf: URL(fileURLWithPath: file))
        )
        .measure
    }

    private func replace(_ measure: String, by new: String, in document: String) throws {
        let text = try String(contentsOfFile: document, encoding: .utf8)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let mark = "<!-- BENCH \(measure.uppercased()): "
        guard let begin = lines.firstIndex(where: { $0.hasPrefix(mark + "begin") }),
            let end = lines.firstIndex(where: { $0.hasPrefix(mark + "end") }), begin < end
        else { return }
        lines.replaceSubrange(
            (begin + 1)..<end, with: new.split(separator: "\n", omittingEmptySubsequences: false))
        try lines.joined(separator: "\n").write(
            toFile: document, atomically: true, encoding: .utf8)
    }
}

/// What documents show of the cost of connections.
struct ConnectionReport {
    private static let shortRate = 3_000

    private let results: ConnectionResults

    init(_ file: String) throws {
        results = try ConnectionResults.read(file).ofThisBuild
    }

    func text(isShort: Bool) -> String {
        // The highest rate, which is 0 here, comes last.
        let all = results.rates.filter { $0 > 0 } + results.rates.filter { $0 == 0 }
        let rates = isShort ? all.filter { $0 == Self.shortRate } : all
        var tables = rates.map { isShort ? short(rate: $0) : results.table(rate: $0) }
        if !isShort { tables += rates.map { results.table(rate: $0, .udp) } }
        return origin + tables.filter { $0 != "" }.joined(separator: "\n\n")
    }

    private var origin: String {
        "\(results.machine.text(rounds: results.rounds)). "
            + "Connections: TCP, 64 bytes there and back. What replication adds to a connection without it.\n\n"
    }

    /// Who costs how much, and how late the standby is.
    private func short(rate: Int) -> String {
        let all = results.series.filter { $0.rate == rate && $0.transport != .udp }
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
