// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc

/// What replication costs connections that are there: `bench-comparison transfers [--rounds 3]
/// [--results FILE]`.
///
/// One TCP connection through the master carries 64 bytes to and fro, then as much as it can, while 1,000
/// short connections a second keep the replication busy. Contenders take turns.
struct Transfers {
    private static let seconds = 4.0
    private static let perSecond = 1_000
    private static let chunk = 65_536

    private let words: MeasureWords

    init(_ words: [String]) throws {
        self.words = try MeasureWords(words)
    }

    func run() throws {
        var results = Results<Transfer>(rounds: words.rounds)
        for _ in 0..<words.rounds {
            for contender in [Contender.none, .conntrackdDirect, .ctSync, .ctSyncKey] {
                try results.add(measure(contender))
            }
        }
        try results.end(words.file)
    }

    private func measure(_ contender: Contender) throws -> Transfer {
        let contest = try contender.start()
        defer { contest.close() }
        let cluster = contest.cluster
        let place = Endpoint(Plan.server(ipv6: false), Plan.serverPort + 100)
        let listener = try Socket.listening(on: place, in: cluster.server)
        let near = try Socket.connecting(to: place, in: cluster.client)
        let far = accept(listener.raw, nil, nil)
        guard far >= 0 else { throw CallFailed("accept") }
        defer { close(far) }
        _ = fcntl(far, F_SETFL, O_NONBLOCK)
        _ = fcntl(near.raw, F_SETFL, O_NONBLOCK)
        let traffic = try Traffic(cluster)
        let load = Background(named: "load") {
            _ = try? traffic.run(
                from: cluster.client, perSecond: Self.perSecond, seconds: 2 * Self.seconds + 1)
        }
        defer { load.join() }
        pause(0.5)
        var times: [Double] = []
        let start = Stopwatch.seconds()
        while Stopwatch.seconds() < start + Self.seconds {
            let sent = Stopwatch.seconds()
            guard Traffic.pass(from: near.raw, to: far), Traffic.pass(from: far, to: near.raw)
            else { throw CallFailed("64 bytes there and back") }
            times.append((Stopwatch.seconds() - sent) * 1e6)
            pause(0.000_5)
        }
        guard let roundTrip = Percentiles(times.sorted()) else {
            throw NeverHappened("a round trip", within: Self.seconds)
        }
        return Transfer(
            contender: contender.name, roundTrip: roundTrip,
            megabits: Self.bulk(from: near.raw, to: far))
    }

    /// Millions of bits a second, both ends in this thread.
    private static func bulk(from near: CInt, to far: CInt) -> Double {
        withUnsafeTemporaryAllocation(byteCount: chunk, alignment: 64) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
            var received = 0
            let start = Stopwatch.seconds()
            while Stopwatch.seconds() < start + seconds {
                _ = write(near, bytes.baseAddress, bytes.count)
                while true {
                    let count = read(far, bytes.baseAddress, bytes.count)
                    guard count > 0 else { break }
                    received += count
                }
            }
            return Double(received) * 8 / (Stopwatch.seconds() - start) / 1e6
        }
    }
}

/// One contender's turn.
struct Transfer: Finding {
    static let measure = "transfers"

    let contender: String
    /// 64 bytes there and back, in microseconds.
    let roundTrip: Percentiles
    let megabits: Double

    static func table(_ findings: [Transfer]) -> String {
        let names = findings.map(\.contender).distinct
        let none = findings.filter { $0.contender == names.first }
        let lines = names.map { name -> String in
            let own = findings.filter { $0.contender == name }
            let ratio = Spread(zip(own, none).map { $0.megabits / $1.megabits })
            return String(
                format: "| %@ | %.0f, %.0f | %@ | %.2f (%.2f to %.2f) |", name,
                Spread(own.map(\.roundTrip.p50)).median, Spread(own.map(\.roundTrip.p99)).median,
                Spread(own.map(\.megabits)).text, ratio.median, ratio.least, ratio.most)
        }
        return
            ([
                "| | 64 bytes there and back, us, p50 and p99 | Mbit/s | of that with none |",
                "|---|---|---|---|",
            ] + lines).joined(separator: "\n")
    }
}
