// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The pictures of docs/comparison.md, made from results by `make bench-report`.
enum Plots {
    /// What a connection costs at each rate, contenders with their own line.
    static func costs(_ results: ConnectionResults) -> Plot? {
        let rates = results.rates.filter { $0 > 0 }
        func series(_ name: String, _ rate: Int) -> [ConnectionCost]? {
            results.series.first {
                $0.contender == name && $0.rate == rate && $0.transport != .udp
            }?.costs
        }
        guard rates.count > 1 else { return nil }
        let lines = results.contenders.filter { $0 != "none" }.map { name in
            Plot.Line(
                name: name,
                points: rates.compactMap { rate in
                    guard let none = series("none", rate), let own = series(name, rate) else {
                        return nil
                    }
                    let added = Spread(zip(own, none).map { $0.processes - $1.processes })
                    return (Double(rate), max(added.median, 0))
                })
        }
        return plot(
            "What a TCP connection costs more with replication, generator and master",
            "connections/s",
            "us of processor time", lines)
    }

    /// How late an entry is in the standby's kernel, as shares of all.
    static func latencies(_ results: ConnectionResults) -> Plot? {
        guard let rate = results.rates.first(where: { $0 == 3_000 }) ?? results.rates.last else {
            return nil
        }
        func line(_ name: String, _ times: [Percentiles]) -> Plot.Line? {
            let all = times.compactMap(\.points)
            guard !all.isEmpty else { return nil }
            return Plot.Line(
                name: name,
                points: Percentiles.shares.enumerated().map { place, share in
                    (Spread(all.map { $0[place] }).median, share * 100)
                })
        }
        let lines = results.series.filter { $0.rate == rate && $0.transport != .udp }
            .flatMap { one in
                [
                    line("\(short(one.contender)), idle", one.costs.compactMap(\.idle)),
                    line("\(short(one.contender)), \(rate)/s", one.costs.compactMap(\.loaded)),
                ]
            }
            .compactMap { $0 }
        return plot(
            "From an event at the master to the entry in the standby's kernel", "us",
            "% of the entries", lines, across: .logarithmic)
    }

    /// How long a takeover takes with so many entries.
    static func takeovers(_ findings: [Takeover]) -> Plot? {
        let lines = Set(findings.map(\.backend)).sorted().map { backend in
            let own = findings.filter { $0.backend == backend }
            return Plot.Line(
                name: "l2drop by \(backend)",
                points: Set(own.map(\.entries)).sorted().map { size in
                    let times = own.filter { $0.entries == size }.map { $0.microseconds / 1_000 }
                    return (Double(size), Spread(times).median)
                })
        }
        return plot(
            "From the order to the first forwarded packet", "entries", "ms", lines,
            across: .logarithmic)
    }

    /// What follows the order of one takeover, and when: of those with some entries, the middle one.
    static func timeline(_ findings: [Takeover]) -> Plot? {
        let known = findings.filter { $0.phases != nil }
        guard let first = known.first else { return nil }
        let own = known.filter { $0.backend == first.backend }
        let sizes = Set(own.map(\.entries)).sorted()
        let size = sizes[sizes.count / 2]
        let all = own.filter { $0.entries == size }.sorted { $0.microseconds < $1.microseconds }
        guard let phases = all[all.count / 2].phases else { return nil }
        let names = ["claim", "open", "first_packet", "timers", "windows"].filter {
            phases[$0] != nil
        }
        let lines = names.enumerated().map { number, name in
            let (time, height) = (max(phases[name] ?? 0, 0.01), Double(names.count - number))
            return Plot.Line(
                name: String(
                    format: "%@, %.2f ms", name.replacingOccurrences(of: "_", with: " "), time),
                points: [(0.01, height), (time, height)])
        }
        return plot(
            "One takeover with \(size) entries: after the order came", "ms", "", lines,
            across: .logarithmic)
    }

    private static func short(_ contender: String) -> String {
        contender == Contender.conntrackdDirect.name ? "conntrackd" : contender
    }

    private static func plot(
        _ title: String, _ across: String, _ up: String, _ lines: [Plot.Line],
        across scale: Plot.Scale = .linear
    ) -> Plot? {
        let points = lines.flatMap(\.points)
        guard !points.isEmpty else { return nil }
        return Plot(
            title: title, across: Plot.Axis(across, scale, around: points.map(\.x)),
            up: Plot.Axis(up, .linear, around: points.map(\.y)), lines: lines)
    }
}
