// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

/// Rounds in which each contender has its turn, at each rate: `bench-comparison connections`.
struct ConnectionRounds {
    private static let usage = """
        bench-comparison connections [--rates 3000] [--rounds 5] [--seconds 5]
            [--contenders none,bare-0,bare-1000,relay,conntrackd,conntrackd-direct,ct_sync,ct_sync-key]
            [--before BINARY] [--latency yes] [--transports tcp,udp] [--results FILE]
        A rate of 0: as many as can be made.
        """

    var rates = [1_000, 3_000, 6_000]
    var rounds = 5
    var seconds = 5.0
    var contenders = Contender.all
    var file: String?
    var withLatency = false
    var transports = [Traffic.Transport.tcp]

    /// Reads the words of the command line.
    init(_ words: [String]) throws {
        var before: Contender?
        var words = words[...]
        while let word = words.popFirst() {
            guard let value = words.popFirst() else { throw WrongUse(Self.usage) }
            switch word {
            case "--rates": rates = value.split(separator: ",").compactMap { Int($0) }
            case "--rounds": rounds = Int(value) ?? 0
            case "--seconds": seconds = Double(value) ?? 0
            case "--contenders":
                contenders = try value.split(separator: ",").map { word in
                    guard let known = Contender(word: String(word)) else {
                        throw WrongUse("no contender \(word)\n\(Self.usage)")
                    }
                    return known
                }
            case "--before": before = .ctSyncBefore(binary: value)
            case "--results": file = value
            case "--latency": withLatency = value == "yes"
            case "--transports":
                transports = value.split(separator: ",").compactMap {
                    Traffic.Transport(rawValue: String($0))
                }
            default: throw WrongUse(Self.usage)
            }
        }
        if let before { contenders.append(before) }
        guard !rates.isEmpty, !transports.isEmpty, rounds > 0, seconds > 0 else {
            throw WrongUse(Self.usage)
        }
    }

    /// Measures, prints a line a turn and a table at the end, and writes the results.
    func run() throws {
        var results = ConnectionResults(rounds: rounds, seconds: seconds)
        for transport in transports {
            for rate in rates { try measure(transport, rate, &results) }
        }
        if let file { try results.write(to: file) }
    }

    private func measure(
        _ transport: Traffic.Transport, _ rate: Int, _ results: inout ConnectionResults
    ) throws {
        var series = contenders.map { ConnectionResults.Series($0.name, rate, transport) }
        for round in 0..<rounds {
            for (place, contender) in contenders.enumerated() {
                let cost = try ConnectionCost.measure(
                    contender, transport, perSecond: rate, seconds: seconds,
                    withLatency: withLatency && rate > 0)
                series[place].costs.append(cost)
                print("\(transport) \(rate)/s \(round + 1): \(contender.name): \(cost.line)")
                fflush(nil)
            }
        }
        results.series += series
        print("\n" + results.table(rate: rate, transport) + "\n")
        if let cost = results.costOfTheKey(rate: rate, transport) { print(cost + "\n") }
    }
}

/// A command line that means nothing.
struct WrongUse: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension ConnectionCost {
    /// In one line.
    var line: String {
        String(
            format: "%.0f/s processes %.1f master %.1f (%.2f wakes) "
                + "standby %.1f (%.2f wakes) %.0f bytes %.2f packets %.2f events%@%@%@",
            perSecond ?? 0, processes, master, masterWakes, standby, standbyWakes, bytes, packets,
            events,
            failures > 0 ? String(format: " %.4f failed", failures) : "",
            idle.map { " idle \($0.text)" } ?? "", loaded.map { " loaded \($0.text)" } ?? "")
    }
}

extension Percentiles {
    var text: String { String(format: "p50 %.0f p99 %.0f p99.9 %.0f us", p50, p99, p999) }
}
