// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Finds connections that stall after a promotion since the new master's window tracking lacks what
/// the old one saw last, and lets their packets pass until it is in step again.
///
/// Thread: `ct_sync_timer`, after the timers' walk; it owns the replica table meanwhile. Each look is
/// a dump of the kernel's table, some 3 us an entry. A sender repeats at growing intervals, so the
/// looks are made at such; one more follows soon where one has found a suspect.
final class WindowMender: Sendable {
    /// When the looks are, in milliseconds after the first packet may have passed.
    static let looks: [UInt64] = [500, 2_000, 6_000, 15_000, 30_000, 60_000]
    /// When one more follows, in milliseconds.
    static let confirmation: UInt64 = 1_000

    private let relaxed = Atomic<UInt64>(0)
    private let watched = Atomic<UInt64>(0)

    /// Connections that were relaxed, after all promotions.
    var relaxedCount: UInt64 { relaxed.load(ordering: .relaxed) }
    /// Those of them whose windows are watched again.
    var watchedCount: UInt64 { watched.load(ordering: .relaxed) }

    /// Looks until the last look or the stop.
    func run(_ table: ReplicaTable, promotedAt: Instant, _ stop: StopSign) throws(SystemError) {
        table.forgetSeen()
        let dump = try TableDump()
        let batch = try RequestBatch()
        var hasSuspects = false
        for milliseconds in Self.looks {
            let due = promotedAt + milliseconds * Duration.millisecond
            while hasSuspects {
                let soon = Clock.now() + Self.confirmation * Duration.millisecond
                guard soon < due else { break }
                hasSuspects = try look(at: soon, table, dump, batch, stop)
            }
            hasSuspects = try look(at: due, table, dump, batch, stop)
            if stop.isStopped { return }
        }
    }

    /// Looks at all entries at an instant, unless it is stopped before; whether any is suspect.
    private func look(
        at due: Instant, _ table: ReplicaTable, _ dump: TableDump, _ batch: RequestBatch,
        _ stop: StopSign
    ) throws(SystemError) -> Bool {
        while !stop.isStopped, Clock.now() < due { stop.sleep(until: due) }
        var hasSuspects = false
        try dump.start()
        var isMore = true
        while isMore, !stop.isStopped {
            isMore = try dump.step { entry in
                switch table.windowRemedy(for: entry) {
                case .none: return
                case .suspect: hasSuspects = true
                // A step holds fewer entries than a batch has room for.
                case .relax:
                    if batch.updateLiberal(entry.key, true, tag: 0) {
                        relaxed.wrappingAdd(1, ordering: .relaxed)
                    }
                case .watch:
                    if batch.updateLiberal(entry.key, false, tag: 0) {
                        watched.wrappingAdd(1, ordering: .relaxed)
                    }
                }
            }
            // Refused is only what has gone meanwhile.
            try batch.send { _, _ in }
        }
        dump.cancel()
        return hasSuspects
    }
}
