// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Finds connections that stall after a promotion since the new master's window tracking lacks what
/// the old one saw last, and lets their packets pass until it is in step again.
///
/// Thread: `ct_sync_timer`, after the timers' walk; it owns the replica table meanwhile. Each look is
/// a dump of the kernel's table. A sender repeats at growing intervals, so the looks are made at such.
final class WindowMender: Sendable {
    /// When the looks are, in milliseconds after the first packet may have passed.
    static let looks: [UInt64] = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]

    private let relaxed = Atomic<UInt64>(0)
    private let watched = Atomic<UInt64>(0)

    /// Connections that were relaxed, after all promotions.
    var relaxedCount: UInt64 { relaxed.load(ordering: .relaxed) }
    /// Those of them whose windows are watched again.
    var watchedCount: UInt64 { watched.load(ordering: .relaxed) }

    /// Looks until the last look or the stop.
    func run(_ table: ReplicaTable, promotedAt: Instant, _ stop: StopSign) throws(SystemError) {
        table.forgetWindows()
        let dump = try TableDump()
        let batch = try RequestBatch()
        for milliseconds in Self.looks {
            let due = promotedAt + milliseconds * Duration.millisecond
            while !stop.isStopped, Clock.now() < due { stop.sleep(until: due) }
            try dump.start()
            while !stop.isStopped, try dump.step({ look(at: $0, table, batch) }) {
                // Refused is only what has gone meanwhile.
                try batch.send { _, _ in }
            }
            try batch.send { _, _ in }
            dump.cancel()
            if stop.isStopped { return }
        }
    }

    private func look(at entry: borrowing Entry, _ table: ReplicaTable, _ batch: RequestBatch) {
        guard let remedy = table.windowRemedy(for: entry) else { return }
        // A step holds fewer entries than a batch has room for.
        guard batch.updateLiberal(entry.key, remedy == .relax, tag: 0) else { return }
        switch remedy {
        case .relax: relaxed.wrappingAdd(1, ordering: .relaxed)
        case .watch: watched.wrappingAdd(1, ordering: .relaxed)
        }
    }
}
