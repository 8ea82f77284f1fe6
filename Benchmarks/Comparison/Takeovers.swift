// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc

/// Takeovers between two nodes with the same addresses, one of them dark:
/// `bench-comparison takeovers [--entries 10,300000,1000000] [--rounds 9] [--results FILE]`.
///
/// Each time the master's outside ports are pulled off the segments, its daemon is stopped by a signal
/// and, when nothing is forwarded any more, the other node is told to be master. The old one goes on
/// after the first packet: what it does as a slave would else take the processors, which it has for
/// itself if it is another machine. A probe of some 4,000 packets a second runs from
/// client to server; the time of the first one that arrives is the end of the takeover.
struct Takeovers {
    private let words: MeasureWords
    private let sizes: [Int]

    init(_ words: [String]) throws {
        self.words = try MeasureWords(["--rounds", "9"] + words)
        sizes = self.words.numbers("--entries", [10, 300_000, 1_000_000])
    }

    func run() throws {
        let limit = try ConntrackLimit(
            atLeast: (sizes.max() ?? 0) + 20_000, buckets: LargeTables.buckets)
        defer { limit.restore() }
        var results = Results<Takeover>(rounds: words.rounds)
        for backend in ["netdev", "tables"] {
            let pair = try TakeoverPair(backend: backend)
            defer { pair.close() }
            for size in sizes.sorted() {
                for takeover in try pair.takeOver(times: words.rounds, entries: size) {
                    try results.add(takeover)
                }
            }
        }
        try results.end(words.file)
    }
}

/// One takeover.
struct Takeover: Finding {
    static let measure = "takeovers"

    /// What keeps the slave dark.
    let backend: String
    let entries: Int
    /// From the write to the control file until the first forwarded packet, and what the daemon says.
    let microseconds: Double
    let said: Int
    /// Milliseconds from the order to what followed, by the history of the new master; nil in results
    /// that lack it.
    var phases: [String: Double]?

    static func table(_ findings: [Takeover]) -> String {
        var lines = [
            "| l2drop by | entries | until the first forwarded packet, ms | by the daemon, ms | to the "
                + "least entries |", "|---|---|---|---|---|",
        ]
        for backend in Set(findings.map(\.backend)).sorted() {
            let all = findings.filter { $0.backend == backend }
            let sizes = Set(all.map(\.entries)).sorted()
            func median(_ size: Int) -> Spread {
                Spread(all.filter { $0.entries == size }.map { $0.microseconds / 1_000 })
            }
            for size in sizes {
                let said = Spread(
                    all.filter { $0.entries == size }.map { Double($0.said) / 1_000 })
                let ratio = median(size).median / median(sizes[0]).median
                lines.append(
                    "| \(backend) | \(size) | \(median(size).text) | \(said.text) | "
                        + String(format: "%.2f |", ratio))
            }
        }
        return lines.joined(separator: "\n")
    }
}

/// The two nodes, and the probe through them.
private final class TakeoverPair {
    private let backend: String
    private let cluster: Cluster
    private let probe: ForwardingProbe
    private var entries = 0
    /// How many takeovers of a node were read from its history.
    private var told: [Int: Int] = [:]

    init(backend: String) throws {
        self.backend = backend
        cluster = try Cluster()
        do {
            probe = try ForwardingProbe(
                from: cluster.client, to: cluster.server, at: Plan.service(ipv6: false))
            try cluster.startDaemons([
                "--l2drop", "1", "--l2drop-backend", backend, "--initsync-rate", "0",
            ])
            for firewall in cluster.firewalls { try cluster.plug(firewall) }
        } catch {
            print(cluster.logs)
            cluster.close()
            throw error
        }
    }

    func close() {
        probe.stop()
        cluster.close()
    }

    /// Adds entries up to a number, then moves the role to and fro.
    func takeOver(times: Int, entries wanted: Int) throws -> [Takeover] {
        do {
            let master = try cluster.firewalls.first { try $0.status()?.role == .master }
            guard var old = master else { throw NeverHappened("a master", within: 0) }
            try MadeEntries.create(entries..<max(entries, wanted), in: old.host)
            entries = max(entries, wanted)
            var takeovers: [Takeover] = []
            for _ in 0..<times {
                let new = cluster.firewalls[2 - old.id]
                try waitForReplica(of: entries, on: new)
                let seconds = try takeOver(from: old, to: new)
                // It tells its takeover when it is slave again.
                if !takeovers.isEmpty {
                    takeovers[takeovers.count - 1].phases = try phases(of: old)
                }
                old = new
                takeovers.append(
                    Takeover(
                        backend: backend, entries: wanted, microseconds: seconds * 1e6,
                        said: try new.status()?.promotionMicroseconds ?? 0))
            }
            return takeovers
        } catch {
            print(cluster.logs)
            throw error
        }
    }

    /// The last takeover of the history; each is asked for once.
    private func phases(of node: Firewall) throws -> [String: Double] {
        var takeover: [String: Any] = [:]
        try eventually("a takeover in the history", within: 20, every: 0.1) {
            let shown = try node.command(["history", "--json"])
            let events = try JSONSerialization.jsonObject(with: Data(shown.output.utf8))
            let all = (events as? [[String: Any]] ?? []).compactMap {
                $0["takeover"] as? [String: Any]
            }
            guard let last = all.last, all.count > told[node.id] ?? 0 else { return false }
            told[node.id] = all.count
            takeover = last
            return true
        }
        return takeover.reduce(into: [:]) { phases, pair in
            guard pair.key.hasSuffix("_seconds"), pair.key != "order_time_seconds",
                let seconds = pair.value as? Double
            else { return }
            phases[String(pair.key.dropLast("_seconds".count))] = seconds * 1_000
        }
    }

    private func waitForReplica(of count: Int, on firewall: Firewall) throws {
        try cluster.waitInSync(within: 120)
        try eventually("all entries on \(firewall.name)", within: 120, every: 0.05) {
            let held = try firewall.status()?.entriesHeld ?? 0
            let kernel = try firewall.host.run(["conntrack", "-C"])
            return held >= count && Int(kernel.trimmingCharacters(in: .newlines)) ?? 0 >= count
        }
        // The last takeover's work in the background has ended.
        pause(1)
    }

    private func takeOver(from old: Firewall, to new: Firewall) throws -> Double {
        try probe.waitForArrivals()
        try cluster.unplug(old)
        try probe.arm()
        old.daemon?.signal(SIGSTOP)
        defer { old.daemon?.signal(SIGCONT) }
        let start = Stopwatch.seconds()
        try new.write("1\n")
        let end = try probe.firstArrival()
        old.daemon?.signal(SIGCONT)
        try new.waitForRole(.master)
        try old.waitForRole(.slave)
        try cluster.plug(old)
        return end - start
    }
}
