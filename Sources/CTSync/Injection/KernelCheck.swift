// SPDX-License-Identifier: GPL-2.0-or-later

/// Compares the slave's kernel with what the replica table believes of it, at intervals: somebody may
/// have flushed the table, or changed entries by hand.
///
/// Thread: the receiver's, one step of a dump at a time between packets. An entry that the kernel lacks
/// is made again, one that is another, or that packets have passed by, is put right; what the table
/// does not know is left alone. If nothing differs nothing is asked of the kernel but the dump.
struct KernelCheck: ~Copyable {
    /// How long to wait after each 32 KiB: some 150 entries, so 30,000 a second.
    static let stepInterval = 5 * Duration.millisecond

    /// Checks that came to their end.
    private(set) var checkCount: UInt64 = 0
    /// Entries and expectations that differed.
    private(set) var repairedCount: UInt64 = 0
    /// What the last one came to.
    private(set) var proof = KernelProof()
    /// The same of the one that runs.
    private var current = KernelProof()
    /// What was put right between the checks, for the proof of the next.
    private var between = KernelProof()
    /// Entries that the table does not know, to be looked up again at the end.
    private var unknown: [Entry] = []
    /// When the next step, or the next check, is due; nil for never.
    private(set) var due: Instant?

    private enum Stage {
        case idle
        /// It begins when it is due.
        case begun
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

    /// Whether one runs.
    var isRunning: Bool { stage != .idle }

    /// Records an entry that differed, and was noticed without a check.
    mutating func note(here: Entry?, said: Entry?) {
        repairedCount += 1
        between.differed += 1
        between.note(here: here, said: said)
    }

    /// Gives up a check that runs; the next begins after the interval.
    mutating func postpone(now: Instant) {
        dump.cancel()
        stage = .idle
        due = interval > 0 ? now + interval : nil
    }

    /// Begins one now, whatever the interval; one that is to begin in a moment, for what was lost, is not to
    /// begin before that.
    mutating func begin(now: Instant) {
        let awaited = stage == .begun ? due : nil
        postpone(now: now)
        due = max(now, awaited ?? now)
        stage = .begun
    }

    /// Begins one in the next second, for what was lost until now: what was written in the second in which a
    /// check begins may be newer than what it reads, and is not missed.
    mutating func beginSoon(now: Instant) {
        begin(now: now)
        due = (now / Duration.second + 1) * Duration.second
    }

    /// The most entries that the table does not know which are looked up again.
    private static let unknownLimit = 64

    /// Does what is due.
    ///
    /// - Parameters:
    ///   - filter: what would be replicated; nil to leave alone what the table does not know.
    ///   - lookup: asks the kernel for one entry.
    ///   - strange: takes at the end what the table does not know, and the kernel has.
    mutating func step(
        _ table: ReplicaTable, _ filter: ReplicationFilter? = nil,
        _ lookup: (any EntryLookup)? = nil, now: Instant, _ strange: (Entry) -> Void = { _ in }
    ) throws(SystemError) {
        guard let due, due <= now else { return }
        let seconds = UInt32(truncatingIfNeeded: now / Duration.second)
        self.due = now + Self.stepInterval
        var repaired = 0
        var isDone = false
        switch stage {
        case .idle, .begun:
            table.beginCheck()
            beganSeconds = seconds
            current = KernelProof()
            unknown.removeAll(keepingCapacity: true)
            try dump.start()
            stage = .entries
        case .entries:
            // Of an exclusive reach into self, for the closure.
            var (found, others) = (current, unknown)
            let isMore = try dump.step { entry in
                if table.checkIsDifferent(copy entry, beganSeconds: beganSeconds, now: seconds) {
                    repaired += 1
                    found.note(here: copy entry, said: table.said(entry.key))
                } else if let filter, others.count < Self.unknownLimit,
                    !table.knows(entry.key), filter.admits(entry)
                {
                    others.append(copy entry)
                }
            }
            (current, unknown) = (found, others)
            guard !isMore else { break }
            repaired += table.endCheck(beganSeconds: beganSeconds) {
                found.note(here: nil, said: $0)
            }
            current = found
            try dump.startExpectations()
            stage = .expectations
        case .expectations:
            let isMore = try dump.step { _ in
            } expectation: { expectation in
                table.expectations.checkSees(copy expectation)
            }
            guard !isMore else { break }
            repaired += table.expectations.endCheck(beganSeconds: beganSeconds)
            if let lookup { try lookAgain(table, lookup, strange) }
            checkCount += 1
            postpone(now: now)
            isDone = true
        }
        repairedCount += UInt64(repaired)
        current.differed += repaired
        guard isDone else { return }
        current.differed += between.differed
        for other in between.differences { current.note(here: other.here, said: other.said) }
        between = KernelProof()
        current.at = now
        current.entries = table.aliveCount
        proof = current
    }

    /// Counts what the table still does not know and the kernel still has.
    private mutating func lookAgain(
        _ table: ReplicaTable, _ lookup: any EntryLookup, _ strange: (Entry) -> Void
    ) throws(SystemError) {
        for entry in unknown where !table.knows(entry.key) {
            guard let now = try lookup.entry(entry.key) else { continue }
            strange(now)
            current.added += 1
            current.note(here: now, said: nil)
        }
    }
}
