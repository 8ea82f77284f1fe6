// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Synchronization

/// What those who look cost: `make operators-soak`.
///
/// 20,000 connections/s all the time, which are 2,000 entries, over 60,000 that stay. In turns of
/// 30 seconds nobody looks, and then somebody asks both nodes each second for a status, a scrape of the
/// exporter and a dump. What is compared are turns of one run: the time from an entry at the master to
/// the same entry in the standby's kernel, what was lost, and the processor time of both daemons.
enum Operators {
    private static let perSecond = 20_000
    private static let turnSeconds = 30.0
    /// So many that the table has 62,000 entries, in the last turn as in the first: samples are deleted when
    /// they are measured.
    private static let standing = 60_000
    /// Single entries whose way is measured in one go: one each 4 to 5 ms.
    private static let samples = 500
    private static let port: UInt16 = 9_378

    /// A kind of turn.
    private struct Turns {
        var latencies: [Double] = []
        var missing = 0
        var looks = 0
        /// As many as there would have been if none took longer than its second.
        var due = 0
        var failures = 0
        var nanoseconds: UInt64 = 0
        var seconds = 0.0

        func percentile(_ part: Double) -> Double {
            let sorted = latencies.sorted()
            return sorted.isEmpty ? 0 : sorted[Int(Double(sorted.count - 1) * part)]
        }
    }

    /// Runs until somebody has looked for so many minutes; whether nothing was lost and no latency grew.
    static func run(minutes: Double) throws -> Bool {
        let contest = try Contest(.ctSync)
        defer { contest.close() }
        // As ct_sync.service starts it; each thread has a priority of its own.
        for pid in contest.pids {
            for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") {
                try prioritize(id_t(thread) ?? 0, -10)
            }
        }
        try fill(contest)
        let exporters = try contest.cluster.firewalls.map {
            try $0.startExporter(logsIn: contest.cluster.directory)
        }
        defer {
            for exporter in exporters {
                exporter.end()
            }
        }
        // What waits for a processor is to be what is measured, not what measures; threads inherit it.
        try prioritize(0, -15)
        let latency = try Latency(at: contest.standby)
        defer { latency.stop() }
        let before = try Losses(contest)
        let load = Load.Endless(in: contest.master, perSecond: perSecond)
        // The first seconds are not the load's.
        pause(3)
        var (quiet, watched) = (Turns(), Turns())
        var turn = 0
        var sizes: [Int] = []
        while watched.seconds < minutes * 60 {
            for isWatched in [false, true] {
                var turns = isWatched ? watched : quiet
                try take(contest, latency, turn, isWatched: isWatched, &turns)
                if isWatched { watched = turns } else { quiet = turns }
                sizes.append(try entries(contest.master))
                turn += 1
            }
        }
        let made = try load.stop()
        let losses = try Losses(contest) - before
        print(
            String(
                format: "%.0f connections/s; entries at the end of the turns: %d to %d", made,
                sizes.min() ?? 0, sizes.max() ?? 0))
        return report(quiet, watched, losses)
    }

    /// Sets the nice value of a thread, 0 for the caller.
    fileprivate static func prioritize(_ thread: id_t, _ value: CInt) throws {
        guard setpriority(CInt(PRIO_PROCESS.rawValue), thread, value) == 0 else {
            throw CallFailed("setpriority")
        }
    }

    private static func fill(_ contest: Contest) throws {
        try MadeEntries.create(0..<standing, in: contest.master.host)
        try eventually("\(standing) replicas", within: 60) {
            try contest.standby.status()?.entriesHeld ?? 0 >= standing
        }
    }

    /// The entries of a node's table.
    private static func entries(_ node: Firewall) throws -> Int {
        try node.host.inside {
            let path = "/proc/sys/net/netfilter/nf_conntrack_count"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return Int(text.filter(\.isNumber)) ?? 0
        }
    }

    private static func take(
        _ contest: Contest, _ latency: Latency, _ turn: Int, isWatched: Bool, _ turns: inout Turns
    ) throws {
        let before = try contest.pids.map(Measures.nanoseconds).reduce(0, +)
        let start = Stopwatch.seconds()
        let lookers = isWatched ? Lookers(contest.cluster.firewalls, port: port) : nil
        while Stopwatch.seconds() < start + turnSeconds {
            let offset = turn * 100_000 + turns.latencies.count % 50_000
            let found = try latency.measure(
                from: contest.master, samples: samples, offset: offset)
            turns.latencies += found
            turns.missing += samples - found.count
            try latency.clear(at: contest.master, samples: samples, offset: offset)
        }
        if let lookers {
            let (looks, failures) = lookers.stop()
            turns.looks += looks
            turns.due += contest.cluster.firewalls.count * 3 * Int(Stopwatch.seconds() - start)
            turns.failures += failures
        }
        turns.seconds += Stopwatch.seconds() - start
        turns.nanoseconds += try contest.pids.map(Measures.nanoseconds).reduce(0, +) - before
    }

    private static func report(
        _ quiet: Turns, _ watched: Turns, _ losses: Losses
    ) -> Bool {
        print(String(format: "%.0f s unwatched, %.0f s watched", quiet.seconds, watched.seconds))
        for (name, turns) in [("unwatched", quiet), ("watched", watched)] {
            print(
                String(
                    format: "  %@   p50 %6.0f us   p99 %6.0f us   daemons %5.1f %% of a core   "
                        + "%d of %d did not arrive   %d looks of %d, %d failed",
                    name.padding(toLength: 9, withPad: " ", startingAt: 0),
                    turns.percentile(0.5), turns.percentile(0.99),
                    Double(turns.nanoseconds) / turns.seconds / 1e7, turns.missing,
                    turns.missing + turns.latencies.count, turns.looks, turns.due, turns.failures))
        }
        let ratios = [0.5, 0.99].map { watched.percentile($0) / max(1, quiet.percentile($0)) }
        print(
            String(
                format: "  watched to unwatched: p50 %.2f, p99 %.2f; lost: %d events, %d packets",
                ratios[0], ratios[1], losses.events, losses.packets))
        return losses.events == 0 && losses.packets == 0 && watched.missing == 0
            && watched.failures == 0 && ratios[0] < 1.25 && ratios[1] < 1.5
    }
}

/// What both nodes count as lost for good.
private struct Losses {
    var events: Int
    var packets: Int

    init(_ contest: Contest) throws {
        let master = try contest.master.status()
        let standby = try contest.standby.status()
        events =
            (master?.number("overruns") ?? 0) + (master?.number("ring_overruns") ?? 0)
        packets = standby?.number("packets_lost") ?? 0
    }

    static func - (later: Losses, before: Losses) -> Losses {
        var losses = later
        losses.events -= before.events
        losses.packets -= before.packets
        return losses
    }
}

/// One at each node, who asks it each second for a status, a scrape and a dump.
private final class Lookers: Sendable {
    private let running = Box(Atomic(true))
    private let counts = Box(Mutex((looks: 0, failures: 0)))
    private let threads: [Background]

    init(_ nodes: [Firewall], port: UInt16) {
        let (running, counts) = (running, counts)
        threads = nodes.map { node in
            Background(named: "look") {
                try? Operators.prioritize(0, 0)
                var next = Stopwatch.seconds()
                while running.value.load(ordering: .relaxed) {
                    let failures = Self.look(node, port)
                    counts.value.withLock {
                        $0.looks += 3
                        $0.failures += failures
                    }
                    next = max(next + 1, Stopwatch.seconds())
                    while running.value.load(ordering: .relaxed), Stopwatch.seconds() < next {
                        pause(0.02)
                    }
                }
            }
        }
    }

    /// Returns how many of the three had no whole answer.
    private static func look(_ node: Firewall, _ port: UInt16) -> Int {
        let status = try? node.statusCommand().status
        let scrape = try? HTTPAnswer("/metrics", of: Endpoint("127.0.0.1", port), from: node.host)
        // To nowhere: what is to be measured is not this process that reads.
        let dump = try? Command.result(of: [
            "sh", "-c", "exec \"$0\" dump --control-file \"$1\" > /dev/null",
            Daemon.binary(), node.controlFile,
        ])
        let isScraped = scrape?.body.contains("\nct_sync_up 1\n") == true
        return (status == 0 ? 0 : 1) + (isScraped ? 0 : 1) + (dump?.status == 0 ? 0 : 1)
    }

    func stop() -> (looks: Int, failures: Int) {
        running.value.store(false, ordering: .relaxed)
        for thread in threads { thread.join() }
        return counts.value.withLock { ($0.looks, $0.failures) }
    }
}
