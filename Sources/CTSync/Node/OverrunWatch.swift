// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Looks at counters of things that should not happen, once a second, and logs those that moved.
struct OverrunWatch {
    private var last: [String: UInt64] = [:]
    private var reportedHelpers = 0
    private var mostRefused = 0
    private var lookedAt: Instant = 0
    private var flush = FlushWatch()
    private static let interval = 1 * Duration.second

    /// Logs what has moved, if a second has passed since the last look.
    mutating func look(_ node: Node) {
        let now = Clock.now()
        guard now >= lookedAt + Self.interval else { return }
        lookedAt = now
        let slave = node.link.status
        let counters: [(String, UInt64, String)] = [
            ("overruns", node.master.intake.overrunCount, "events lost by the kernel"),
            (
                "events", node.master.intake.offCount + slave.eventsOff,
                "times that net.netfilter.nf_conntrack_events was found to be 0"
            ),
            (
                "unproved", node.master.initsync.unprovedCount,
                "walks of the table that proved nothing: the kernel's hash or settings changed"
            ),
            ("ring", node.master.intake.ringOverrunCount, "messages that found the ring full"),
            (
                "filter", node.master.intake.kernelFilterFailureCount,
                "filters refused by the kernel; events are filtered by the daemon alone"
            ),
            (
                "shifts", node.master.intake.missedShiftCount,
                "shifted sequence numbers that may have been missed"
            ),
            (
                "losses", node.master.intake.lossFailureCount,
                "times that lost addresses could not be heard; a flush is told as the end it seems"
            ),
            ("dumps", node.master.initsync.failureCount, "initsyncs that failed"),
            ("lost", slave.counters.lost, "packets lost for good"),
            ("full", slave.counters.tableFull, "updates that found the replica table full"),
            ("batches", slave.injectionFailures, "failed injections"),
            (
                "orphans", slave.related.timedOut + slave.related.crowdedOut,
                "related entries made without their parent, which did not come"
            ),
            (
                "nat", slave.related.untranslatable,
                "translated entries that cannot be made: this kernel has no NAT"
            ),
            (
                "labels", slave.related.labelsIgnored,
                "changes of labels left out: no rule of this node uses labels"
            ),
            ("timers", node.steps.timers.timers.failureCount, "timer walks that failed"),
        ]
        for (key, value, text) in counters where value != last[key, default: 0] {
            node.log.warning("\(value - last[key, default: 0]) \(text), \(value) since the start")
            last[key] = value
        }
        let held = node.master.flush.status
        for sentence in flush.look(held, isMaster: node.role == .master, now: now) {
            node.log.notice("\(sentence)")
        }
        lookAtRefused(slave, node)
        lookAtHelpers(slave.related.missingHelpers, node)
        if slave.related.hasTranslated { node.checkNAT(now: now) }
    }

    /// When there are more than ever: each is tried again and again, and the count is in the status.
    private mutating func lookAtRefused(_ slave: SlaveStatus, _ node: Node) {
        guard slave.refusedEntries > mostRefused else { return }
        mostRefused = slave.refusedEntries
        let errors = slave.refusals.enumerated().filter { $0.element > 0 }
            .map { Node.errnoName(CInt($0.offset)) }.joined(separator: ", ")
        node.log.warning(
            """
            \(mostRefused) entries refused by the kernel (\(errors)); they are tried again and are \
            counted in the status as long as they are missing
            """)
    }

    /// Once for each helper: it stays missing, and the count is in the status.
    private mutating func lookAtHelpers(_ missing: MissingHelpers, _ node: Node) {
        for index in reportedHelpers..<max(missing.nameCount, reportedHelpers) {
            let item = missing[index]
            node.log.warning(
                """
                this kernel lacks the helper "\(item.name)": \(item.count) entries made without it; \
                load its module (nf_conntrack_...) before a takeover
                """)
        }
        reportedHelpers = max(missing.nameCount, reportedHelpers)
    }
}
