// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// What the project's costs may be, and what the runs found. Each file of a measure is a run of it, and
/// a goal is reached if the worst run reaches it. Ratios are of medians within a run.
struct Goals {
    private enum Bound {
        case atMost(Double)
        case atLeast(Double)
    }

    private struct Goal {
        let name: String
        let bound: Bound
        /// One value a run that has it.
        let found: [Double]

        var line: String {
            let values = found.map(Self.text).joined(separator: ", ")
            let (words, limit, isReached) =
                switch bound {
                case .atMost(let limit): ("at most", limit, found.allSatisfy { $0 <= limit })
                case .atLeast(let limit): ("at least", limit, found.allSatisfy { $0 >= limit })
                }
            return
                "| \(name) | \(words) \(Self.text(limit)) | \(values) | \(isReached ? "yes" : "no") |"
        }

        private static func text(_ value: Double) -> String {
            String(format: value < 10 ? "%.2f" : "%.0f", value)
        }
    }

    private static let rate = 3_000
    private static let million = 1_000_000
    private static let conntrackds = [Contender.conntrackd.name, Contender.conntrackdDirect.name]

    private var connections: [ConnectionResults] = []
    private var tables: [[LargeTable]] = []
    private var takeovers: [[Takeover]] = []
    private var losses: [[CommonLoss]] = []

    /// - Throws: what reading a file throws. Files of a measure without a goal are passed over.
    init(_ files: [String]) throws {
        for file in files {
            switch try Report.measure(of: file) {
            case LargeTable.measure: tables.append(try Results<LargeTable>.read(file).findings)
            case Takeover.measure: takeovers.append(try Results<Takeover>.read(file).findings)
            case CommonLoss.measure: losses.append(try Results<CommonLoss>.read(file).findings)
            case "connections": connections.append(try ConnectionResults.read(file))
            default: break
            }
        }
    }

    /// In Markdown.
    var table: String {
        let goals = costs + latencies + atTheHighestRate + sizes + syncs + roles
        return
            (["| | goal | each run | reached |", "|---|---|---|---|"]
            + goals.filter { !$0.found.isEmpty }.map(\.line)).joined(separator: "\n")
    }

    private var costs: [Goal] {
        [
            Goal(
                name: "whole machine, to the bare listener", bound: .atMost(1.3),
                found: wholeMachine { $0.hasPrefix("bare listener") }),
            Goal(
                name: "whole machine, to conntrackd", bound: .atMost(0.3),
                found: wholeMachine(to: Self.conntrackds.contains)),
            Goal(
                name: "master's daemon, to conntrackd's", bound: .atMost(0.15),
                found: toTheBetter(\.master)),
            Goal(
                name: "standby's daemon, to conntrackd's with DisableExternalCache",
                bound: .atMost(0.15),
                found: toDirect(\.standby)),
            Goal(name: "bytes, to conntrackd's", bound: .atMost(0.5), found: toTheBetter(\.bytes)),
        ]
    }

    private var latencies: [Goal] {
        [
            Goal(
                name: "latency idle p50, to conntrackd's with DisableExternalCache",
                bound: .atMost(0.7),
                found: toDirect { $0.idle?.p50 }),
            Goal(name: "the same, p99", bound: .atMost(0.7), found: toDirect { $0.idle?.p99 }),
            Goal(
                name: "latency p99 at \(Self.rate)/s, ms", bound: .atMost(2),
                found: connections.compactMap {
                    median($0, Contender.ctSync.name) { $0.loaded?.p99 }.map { $0 / 1_000 }
                }),
        ]
    }

    private var atTheHighestRate: [Goal] {
        let found = connections.compactMap { run in
            ratio(
                median(run, Contender.ctSync.name, rate: 0, \.perSecond),
                median(run, Contender.none.name, rate: 0, \.perSecond))
        }
        return [Goal(name: "highest rate, to that with none", bound: .atLeast(0.9), found: found)]
    }

    private var sizes: [Goal] {
        func megabytes(_ entries: Int, _ value: (LargeTable) -> Memory) -> [Double] {
            tables.compactMap { run in
                let all = run.filter { $0.entries == entries }.map {
                    Double(value($0).resident) / 1_000
                }
                return all.max()
            }
        }
        return [
            Goal(
                name: "master with 1,000,000 entries, MB", bound: .atMost(24),
                found: megabytes(Self.million, \.master)),
            Goal(
                name: "standby with 1,000,000 entries, MB", bound: .atMost(140),
                found: megabytes(Self.million, \.standby)),
            Goal(name: "idle daemon, MB", bound: .atMost(14), found: megabytes(0, \.master)),
        ]
    }

    private var syncs: [Goal] {
        func most(_ value: (LargeTable) -> Double?) -> [Double] {
            tables.compactMap { run in
                run.filter { $0.entries == Self.million }.compactMap(value).max()
            }
        }
        return [
            Goal(
                name: "initial sync of 1,000,000, s", bound: .atMost(5),
                found: most { $0.quiet?.seconds }),
            Goal(
                name: "its walks", bound: .atMost(1),
                found: most { $0.quiet.map { Double($0.walks) } }),
            Goal(
                name: "its packets lost", bound: .atMost(0),
                found: most { $0.quiet.map { Double($0.lost) } }),
            Goal(
                name: "live entries' p99 meanwhile, ms", bound: .atMost(5),
                found: most { $0.watched?.live.map { $0.p99 / 1_000 } }),
        ]
    }

    private var roles: [Goal] {
        let growth = Set(takeovers.joined().map(\.backend)).sorted().map { backend in
            Goal(
                name: "takeover with 1,000,000 entries, to one with 10, l2drop by \(backend)",
                bound: .atMost(1.3),
                found: takeovers.compactMap { run in
                    func median(_ entries: Int) -> Double? {
                        Self.median(
                            run.filter { $0.backend == backend && $0.entries == entries }
                                .map(\.microseconds))
                    }
                    return ratio(median(Self.million), median(10))
                })
        }
        let repairs = Goal(
            name: "repairs of a packet that eight slaves lost", bound: .atMost(1),
            found: losses.compactMap { run in
                Self.median(run.map { Double($0.again) / Double(max(1, $0.lost)) })
            })
        return growth + [repairs]
    }

    // MARK: - Of a run

    private static func median(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : Spread(values).median
    }

    private func median(
        _ run: ConnectionResults, _ contender: String, rate: Int = rate,
        _ value: (ConnectionCost) -> Double?
    ) -> Double? {
        Self.median(run.costs(of: contender, rate: rate).compactMap(value))
    }

    /// What a contender adds to a connection without it, round by round.
    private func added(_ run: ConnectionResults, _ contender: String) -> Double? {
        Self.median(
            zip(
                run.costs(of: contender, rate: Self.rate),
                run.costs(of: Contender.none.name, rate: Self.rate)
            ).map { $0.processes - $1.processes })
    }

    /// What ct_sync adds, to the least that one of the others adds in the same run.
    private func wholeMachine(to isOther: (String) -> Bool) -> [Double] {
        connections.compactMap { run in
            ratio(
                added(run, Contender.ctSync.name),
                run.contenders.filter(isOther).compactMap { added(run, $0) }.min())
        }
    }

    /// To conntrackd's better mode of the run.
    private func toTheBetter(_ value: (ConnectionCost) -> Double?) -> [Double] {
        connections.compactMap { run in
            ratio(
                median(run, Contender.ctSync.name, value),
                Self.conntrackds.compactMap { median(run, $0, value) }.min())
        }
    }

    /// To conntrackd that puts entries into the kernel, as ct_sync does.
    private func toDirect(_ value: (ConnectionCost) -> Double?) -> [Double] {
        connections.compactMap { run in
            ratio(
                median(run, Contender.ctSync.name, value),
                median(run, Contender.conntrackdDirect.name, value))
        }
    }

    private func ratio(_ own: Double?, _ other: Double?) -> Double? {
        guard let own, let other, other > 0 else { return nil }
        return own / other
    }
}
