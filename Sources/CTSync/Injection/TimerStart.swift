// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Starts the replicas' timers after a promotion.
///
/// 1. The expectations, as they are few and short-lived.
/// 2. Walk the kernel's table, 32 KiB at a time. An entry that still has the long timeout it was held
///    with has seen no packet since: it is given the time it would have had. Any other has been given
///    its time by a packet, and is left alone.
///
/// A packet that comes between the two sets its connection's timeout again at the next. Thread:
/// `ct_sync_timer`, which owns the replica table meanwhile, or the control thread at an orderly stop.
final class TimerStart: Sendable {
    /// One walk.
    final class Walk {
        fileprivate let dump: any TableWalk
        fileprivate let requests: any KernelRequests
        fileprivate var hasBegun = false
        fileprivate let includesUnread: Bool

        fileprivate init(
            _ kernel: any KernelTable, includesUnread: Bool
        ) throws(SystemError) {
            self.includesUnread = includesUnread
            dump = try kernel.makeWalk()
            requests = try kernel.makeRequests()
        }
    }

    private let started = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)

    /// Replicas whose timers were started, by all walks.
    var startedCount: UInt64 { started.load(ordering: .relaxed) }
    /// Walks and looks that failed.
    var failureCount: UInt64 { failures.load(ordering: .relaxed) }

    /// Counts a walk, or a look after it, that failed.
    func failed() {
        failures.wrappingAdd(1, ordering: .relaxed)
    }

    /// Begins a walk.
    ///
    /// - Parameter includesUnread: see `ReplicaTable.remainingTime`.
    func open(
        _ kernel: any KernelTable, includesUnread: Bool = false
    ) throws(SystemError) -> Walk {
        try Walk(kernel, includesUnread: includesUnread)
    }

    /// Does the next piece of a walk.
    ///
    /// - Returns: false when the walk is whole.
    func step(_ walk: Walk, _ table: ReplicaTable, now: Instant) throws(SystemError) -> Bool {
        let seconds = UInt32(truncatingIfNeeded: now / Duration.second)
        guard walk.hasBegun else {
            walk.hasBegun = true
            guard table.aliveCount > 0 || walk.includesUnread else { return false }
            try startExpectations(table.expectations, walk.requests, now: seconds)
            try walk.dump.start()
            return true
        }
        let isMore = try walk.dump.step { entry in
            let time = table.remainingTime(
                of: entry, now: seconds, includesUnread: walk.includesUnread)
            guard let time else { return }
            // A step holds fewer entries than a batch has room for.
            if walk.requests.updateTimeout(entry.key, timeoutSeconds: time, tag: 0) {
                started.wrappingAdd(1, ordering: .relaxed)
            }
        }
        // Refused is only what has gone meanwhile.
        try walk.requests.send { _, _ in }
        return isMore
    }

    private func startExpectations(
        _ table: ExpectationTable, _ batch: any KernelRequests, now: UInt32
    ) throws(SystemError) {
        for place in table.places {
            guard let (expectation, seconds) = table.remainingTime(at: place, now: now) else {
                continue
            }
            if !batch.updateTimeout(expectation, timeoutSeconds: seconds, tag: 0) {
                try batch.send { _, _ in }
                _ = batch.updateTimeout(expectation, timeoutSeconds: seconds, tag: 0)
            }
            started.wrappingAdd(1, ordering: .relaxed)
        }
        // Refused is only what has gone meanwhile.
        try batch.send { _, _ in }
    }
}
