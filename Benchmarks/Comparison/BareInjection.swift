// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Foundation

/// The floor of an initial sync: requests for entries and nothing else, in a namespace of their own:
/// `bench-comparison injection [--entries 1000000]`.
///
/// Another namespace has as many, as the master of an initial sync on the same machine has: the kernel's hash is
/// one for all namespaces, and each lookup passes what they have in its chain.
///
/// With nf_conntrack_events=1, as a standby has it, the kernel also writes an event for each entry if
/// anybody in any namespace listens to new ones, as a master on the same machine does; with 0 it does not.
struct BareInjection {
    private let words: MeasureWords

    init(_ words: [String]) throws {
        self.words = try MeasureWords(words)
    }

    func run() throws {
        let entries = words.numbers("--entries", [1_000_000]).first ?? 0
        let limit = try ConntrackLimit(atLeast: entries + 20_000, buckets: LargeTables.buckets)
        defer { limit.restore() }
        for _ in 0..<words.rounds {
            for events in [1, 0] { try measure(entries, events) }
        }
    }

    private func measure(_ entries: Int, _ events: Int) throws {
        let cluster = try Cluster()
        defer { cluster.close() }
        try cluster.firewalls[1].host.inside { try Load.fill(0..<entries) }
        // Somebody who listens, in another namespace.
        let listener = try BareListener(in: cluster.firewalls[1].host, pauseMicroseconds: 1_000)
        defer { listener.stop() }
        let host = cluster.firewalls[0].host
        try host.run(["sysctl", "-qw", "net.netfilter.nf_conntrack_events=\(events)"])
        let nanoseconds = try host.inside {
            let before = Measures.threadNanoseconds()
            try Load.fill(0..<entries)
            return Measures.threadNanoseconds() - before
        }
        let each = Double(nanoseconds) / Double(entries) / 1_000
        print(
            String(
                format: "%d entries, nf_conntrack_events=%d: %.2f us each", entries, events, each))
    }
}
