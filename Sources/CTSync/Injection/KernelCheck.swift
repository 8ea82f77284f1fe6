// SPDX-License-Identifier: GPL-2.0-or-later

/// Compares the slave's kernel with what the replica table believes of it, at intervals: somebody may
/// have flushed the table, or changed entries by hand.
///
/// Thread: the receiver's, one step of a dump at a time between packets. An entry that the kernel lacks
/// is made again, one that is another, or that packets have passed by, is put right; what the table
/// does not know is left alone. Where nothing differs nothing is asked of the kernel but the dump.
struct KernelCheck: ~Copyable {
    /// How long to wait after each 32 KiB: some 150 entries, so 30,000 a second.
    static let stepInterval = 5 * Duration.millisecond

    /// Checks that came to their end.
    private(set) var checkCount: UInt64 = 0
    /// Entries and expectations that differed.
    private(set) var repairedCount: UInt64 = 0
    /// When the next step, or the next check, is due; nil for never.
    private(set) var due: Instant?

    private enum Stage {
        case idle
        case entries
        case expectations
    }

    private let dump: any TableWalk
    private let interval: UInt64
    private var stage = Stage.idle
    private var beganSeconds: UInt32 = 0

    init(_ dump: any TableWalk, intervalSeconds: UInt32) {
        self.dump = dump
        interval = UInt64(intervalSeconds) * Duration.second
    }

    /// Gives up a check that runs; the next begins after the interval.
    mutating func postpone(now: Instant) {
        dump.cancel()
        stage = .idle
        due = interval > 0 ? now + interval : nil
    }

    /// Begins one now, whatever the interval.
    mutating func begin(now: Instant) {
        postpone(now: now)
        due = now
    }

    /// Does what is due.
    mutating func step(_ table: ReplicaTable, now: Instant) throws(SystemError) {
        guard let due, due <= now else { return }
        let seconds = UInt32(truncatingIfNeeded: now / Duration.second)
        self.due = now + Self.stepInterval
        var repaired = 0
        switch stage {
        case .idle:
            table.beginCheck()
            beganSeconds = seconds
            try dump.start()
            stage = .entries
        case .entries:
            let isMore = try dump.step { entry in
                if table.checkIsDifferent(copy entry, now: seconds) { repaired += 1 }
            }
            guard !isMore else { break }
            repaired += table.endCheck(beganSeconds: beganSeconds)
            try dump.startExpectations()
            stage = .expectations
        case .expectations:
            let isMore = try dump.step { _ in
            } expectation: { expectation in
                table.expectations.checkSees(copy expectation)
            }
            guard !isMore else { break }
            repaired += table.expectations.endCheck(beganSeconds: beganSeconds)
            checkCount += 1
            postpone(now: now)
        }
        repairedCount += UInt64(repaired)
    }
}
