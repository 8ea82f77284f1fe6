// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Foundation

/// What a large table costs: memory of both nodes, and the initial sync of a standby that has nothing,
/// at rate 0: `bench-comparison tables [--entries 0,300000,1000000] [--rounds 3] [--results FILE]`.
struct LargeTables {
    private static let flags = ["--initsync-rate", "0"]
    private static let first = 3_000_000
    private static let patience = 120.0
    /// Connections that come and go in the loaded sync.
    private static let perSecond = 3_000
    /// As many as the kernel has by default for an nf_conntrack_max of 1,048,576, for each of the two nodes
    /// whose entries are in one hash here.
    static let buckets = 2 << 20

    private let words: MeasureWords
    private let sizes: [Int]
    /// The next single entry; each is made once.
    private var liveNumber = 0

    init(_ words: [String]) throws {
        self.words = try MeasureWords(words)
        sizes = self.words.numbers("--entries", [0, 300_000, 1_000_000])
    }

    mutating func run() throws {
        let limit = try ConntrackLimit(
            atLeast: (sizes.max() ?? 0) + 20_000, buckets: Self.buckets)
        defer { limit.restore() }
        var results = Results<LargeTable>(rounds: words.rounds)
        for _ in 0..<words.rounds {
            for size in sizes { try results.add(measure(size)) }
        }
        try results.end(words.file)
    }

    private mutating func measure(_ entries: Int) throws -> LargeTable {
        let cluster = try Cluster()
        defer { cluster.close() }
        do {
            try cluster.startDaemons(Self.flags)
            let (master, standby) = (cluster.firewalls[0], cluster.firewalls[1])
            try fill(entries, in: master)
            try eventually("all entries on the standby", within: Self.patience, every: 0.2) {
                try Self.isWhole(standby, entries)
            }
            pause(2)
            var found = LargeTable(
                entries: entries, master: try Memory(master), standby: try Memory(standby))
            guard entries > 0 else { return found }
            found.quiet = try sync(master, standby, entries, isWatched: false)
            found.watched = try sync(master, standby, entries, isWatched: true)
            let load = Load.Endless(in: master, perSecond: Self.perSecond)
            defer { _ = try? load.stop() }
            found.loaded = try sync(master, standby, entries, isWatched: true)
            return found
        } catch {
            print(cluster.logs)
            throw error
        }
    }

    /// Some 60,000 a second, so that no event is lost.
    private func fill(_ entries: Int, in master: Firewall) throws {
        try master.host.inside {
            try Load.fill(Self.first..<Self.first + entries, pauseSeconds: 0.02)
        }
    }

    private static func isWhole(_ standby: Firewall, _ entries: Int) throws -> Bool {
        guard let status = try standby.status() else { return false }
        return status.isInSync && status.entriesHeld >= entries
    }

    /// A standby that was rebooted: it and its kernel have nothing.
    private mutating func sync(
        _ master: Firewall, _ standby: Firewall, _ entries: Int, isWatched: Bool
    ) throws -> LargeTable.Sync {
        standby.kill()
        try standby.flush()
        let before = try master.status()
        let start = Stopwatch.seconds()
        try standby.start(role: .slave, Self.flags)
        let arrivals = isWatched ? try Arrivals(from: master, to: standby) : nil
        var late: [Double] = []
        var missing = 0
        while try !Self.isWhole(standby, entries) {
            let now = Stopwatch.seconds()
            guard now < start + Self.patience else {
                throw NeverHappened(
                    "a whole sync", within: Self.patience, last: standby.statusLine)
            }
            while let arrivals, Stopwatch.seconds() < now + 0.3 {
                let time = try arrivals.one(liveNumber)
                liveNumber += 1
                if let time { late.append(time) } else { missing += 1 }
                pause(0.003)
            }
            if !isWatched { pause(0.05) }
        }
        let seconds = Stopwatch.seconds() - start
        let (after, there) = (try master.status(), try standby.status())
        func more(_ key: String) -> Int {
            (after?.number(key) ?? 0) - (before?.number(key) ?? 0)
        }
        return LargeTable.Sync(
            seconds: seconds, walks: more("initsyncs_sent"), again: more("retransmitted"),
            overruns: more("overruns"), lost: there?.number("packets_lost") ?? 0,
            missing: missing, live: Percentiles(late.sorted()))
    }
}

/// Of a node's daemon, in kilobytes.
struct Memory: Codable {
    /// All that is resident, and what of it no other process could share.
    let resident: Int
    let own: Int

    init(_ node: Firewall) throws {
        guard let pid = node.daemon?.pid else { throw NeverHappened("a daemon", within: 0) }
        resident = try Measures.kilobytes(pid)
        own = try Measures.kilobytes(pid, "RssAnon:")
    }
}

/// What was found with a number of entries.
struct LargeTable: Finding {
    static let measure = "tables"

    /// An initial sync.
    struct Sync: Codable {
        let seconds: Double
        /// Walks of the master's table.
        let walks: Int
        /// Packets sent again, and lost for good; events lost.
        let again: Int
        let overruns: Int
        let lost: Int
        /// Entries made meanwhile that did not come within a second, and how late the others came.
        let missing: Int
        let live: Percentiles?
    }

    let entries: Int
    let master: Memory
    let standby: Memory
    /// With nothing else going on.
    var quiet: Sync?
    /// While single entries are made and looked for.
    var watched: Sync?
    /// The same while 3,000 connections a second come and go; nil in results that lack it.
    var loaded: Sync?

    static func table(_ findings: [LargeTable]) -> String {
        let sizes = Set(findings.map(\.entries)).sorted()
        var lines = [
            "| entries | master, MB (own) | standby, MB (own) | initial sync, s | walks | packets lost; "
                + "sent again | live entry meanwhile, ms, p50 and p99 | sync under 3,000 connections/s, s; "
                + "live entry |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for size in sizes {
            let all = findings.filter { $0.entries == size }
            let (quiet, loaded) = (all.compactMap(\.quiet), all.compactMap(\.loaded))
            func megabytes(_ value: (LargeTable) -> Memory) -> String {
                let resident = Spread(all.map { Double(value($0).resident) / 1_000 })
                let own = Spread(all.map { Double(value($0).own) / 1_000 })
                return String(format: "%.0f (%.0f)", resident.median, own.median)
            }
            func sum(_ value: (Sync) -> Int) -> Int { quiet.reduce(0) { $0 + value($1) } }
            let most = quiet.map(\.walks).max() ?? 0
            func late(_ syncs: [Sync]) -> String {
                let live = syncs.compactMap(\.live)
                guard !live.isEmpty else { return "" }
                return [Spread(live.map(\.p50)), Spread(live.map(\.p99))].map {
                    String(format: "%.1f", $0.median / 1_000)
                }.joined(separator: ", ")
            }
            let under =
                loaded.isEmpty ? "" : "\(Spread(loaded.map(\.seconds)).text); \(late(loaded))"
            let sync =
                quiet.isEmpty
                ? "| | | | | |"
                : "| \(Spread(quiet.map(\.seconds)).text) | \(most) | \(sum(\.lost)); "
                    + "\(sum(\.again)) | \(late(all.compactMap(\.watched))) | \(under) |"
            lines.append("| \(size) | \(megabytes(\.master)) | \(megabytes(\.standby)) \(sync)")
        }
        return lines.joined(separator: "\n")
    }
}
