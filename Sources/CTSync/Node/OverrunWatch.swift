// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Looks at counters of things that should not happen, once a second, and logs those that moved.
struct OverrunWatch {
    private var last: [String: UInt64] = [:]
    private var lookedAt: Instant = 0
    private static let interval = 1 * Duration.second

    mutating func look(_ node: Node) {
        let now = Clock.now()
        guard now >= lookedAt + Self.interval else { return }
        lookedAt = now
        let slave = node.receiver.status
        let counters: [(String, UInt64, String)] = [
            ("overruns", node.pipeline.listener.overrunCount, "events lost by the kernel"),
            ("ring", node.pipeline.listener.ringOverrunCount, "messages that found the ring full"),
            (
                "filter", node.pipeline.listener.socketFilterFailureCount,
                "filters refused by the kernel; events are filtered by the daemon alone"
            ),
            ("refused", node.pipeline.sender.refusedCount, "packets refused by the network"),
            ("dumps", node.pipeline.initsync.failureCount, "initsyncs that failed"),
            ("lost", slave.counters.lost, "packets lost for good"),
            ("full", slave.counters.tableFull, "updates that found the replica table full"),
            ("entries", slave.refusals.reduce(0, +), "entries refused by the kernel"),
            ("batches", slave.injectionFailures, "failed injections"),
            ("timers", node.timers.failureCount, "timer walks that failed"),
            ("own id", slave.counters.ownID, "packets of another node with our id"),
        ]
        for (key, value, text) in counters where value != last[key, default: 0] {
            node.log.warning("\(value - last[key, default: 0]) \(text), \(value) since the start")
            last[key] = value
        }
    }
}
