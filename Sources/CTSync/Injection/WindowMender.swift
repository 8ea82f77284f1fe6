// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Has the windows of replicas watched after a promotion, as soon as the kernel knows them; and finds
/// connections that stall since what it knows is of a term before, and lets their packets pass until it
/// is in step again. They show in one of two ways: one direction alone is accepted (`windowRemedy`), or
/// none (`stall`).
///
/// Thread: `ct_sync_timer`, after the timers' walk; it owns the replica table meanwhile. Each look is
/// a dump of the kernel's table, some 3 us an entry. A sender repeats at growing intervals, so the
/// looks are made at such; one more follows soon where one has found a suspect.
final class WindowMender: Sendable {
    /// When the looks are, in milliseconds after the first packet may have passed.
    static let looks: [UInt64] = [500, 2_000, 6_000, 15_000, 30_000, 60_000]
    /// When one more follows, in milliseconds.
    static let confirmation: UInt64 = 1_000
    /// The most entries of which a look remembers the time.
    private static let memory = 65_536

    /// The looks after one promotion.
    final class Looks {
        fileprivate let dump: any TableWalk
        fileprivate let requests: any KernelRequests
        /// The planned looks.
        fileprivate var schedule: LookSchedule
        fileprivate var due: Instant
        fileprivate var isLooking = false
        fileprivate var hasSuspects = false
        /// No look follows the one that runs.
        fileprivate var isLast = false
        /// Connections of which this look has found packets of both directions.
        fileprivate var seenCount = 0
        /// When a look first found none that may stall, and of how many the windows were seen.
        private(set) var seen: (at: Instant, count: Int)?
        /// The kernel's time of entries with data that nobody has acknowledged, by their places: at
        /// this look, and at the one before.
        fileprivate var unacknowledged: [UInt32: UInt32] = [:]
        fileprivate var before: [UInt32: UInt32] = [:]

        fileprivate init(_ kernel: any KernelTable, promotedAt: Instant) throws(SystemError) {
            dump = try kernel.makeWalk()
            requests = try kernel.makeRequests()
            schedule = LookSchedule(WindowMender.looks, after: promotedAt)
            due = schedule.next ?? promotedAt
        }

        /// Whether the look that is due, or runs, is a planned one, not one more.
        fileprivate var isPlanned: Bool { schedule.next.map { due >= $0 } ?? true }

        fileprivate func end(_ now: Instant) {
            isLooking = false
            if seen == nil, !hasSuspects, seenCount > 0 { seen = (now, seenCount) }
        }
    }

    private let relaxed = Atomic<UInt64>(0)
    private let watched = Atomic<UInt64>(0)

    /// Connections that were relaxed, after all promotions.
    var relaxedCount: UInt64 { relaxed.load(ordering: .relaxed) }
    /// Those of them whose windows are watched again.
    var watchedCount: UInt64 { watched.load(ordering: .relaxed) }

    /// Begins the looks after a promotion.
    func open(
        _ kernel: any KernelTable, _ table: ReplicaTable, promotedAt: Instant
    ) throws(SystemError) -> Looks {
        table.forgetSeen()
        return try Looks(kernel, promotedAt: promotedAt)
    }

    /// Does the next piece.
    ///
    /// - Returns: when it is to be called again; nil after the last look.
    func step(_ looks: Looks, _ table: ReplicaTable, now: Instant) throws(SystemError) -> Pause? {
        if !looks.isLooking {
            guard now >= looks.due else { return .until(looks.due) }
            (looks.hasSuspects, looks.seenCount) = (false, 0)
            looks.isLast = looks.schedule.isLast && looks.isPlanned
            (looks.before, looks.unacknowledged) = (looks.unacknowledged, [:])
            try looks.dump.start()
            looks.isLooking = true
        }
        guard try !look(looks, table) else { return Pause.none }
        looks.end(now)
        return plan(looks, now)
    }

    /// Ends a look that runs.
    func close(_ looks: Looks) {
        looks.dump.cancel()
    }

    /// The next look: the one after the next planned instant, or one more soon.
    private func plan(_ looks: Looks, _ now: Instant) -> Pause? {
        if looks.isPlanned { looks.schedule.began() }
        guard let next = looks.schedule.next else { return nil }
        let soon = now + Self.confirmation * Duration.millisecond
        looks.due = looks.hasSuspects ? min(soon, next) : next
        return .until(looks.due)
    }

    /// Looks at the next entries; whether there are more.
    private func look(_ looks: Looks, _ table: ReplicaTable) throws(SystemError) -> Bool {
        let requests = looks.requests
        var failure: SystemError?
        let isMore = try looks.dump.step { entry in
            if table.hasSeenWindows(of: entry) { looks.seenCount += 1 }
            switch table.windowRemedy(for: entry, isLast: looks.isLast)
                ?? stall(looks, table, entry)
            {
            case .none: return
            case .suspect: looks.hasSuspects = true
            case .relax:
                let isAsked = requests.append(sending: &failure) {
                    requests.updateLiberal(entry.key, true, tag: 0)
                }
                if isAsked {
                    relaxed.wrappingAdd(1, ordering: .relaxed)
                }
            case .watch:
                let isAsked = requests.append(sending: &failure) {
                    requests.updateLiberal(entry.key, false, tag: 0)
                }
                if isAsked {
                    watched.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        // Refused is only what has gone meanwhile.
        try requests.send { _, _ in }
        if let failure { throw failure }
        return isMore
    }

    /// Whether data is unacknowledged at two looks in a row, and no valid packet has come between them:
    /// each gives the entry its whole time again.
    private func stall(
        _ looks: Looks, _ table: ReplicaTable, _ entry: borrowing Entry
    ) -> ReplicaTable.WindowRemedy? {
        guard let place = table.placeOfUnacknowledged(entry) else { return nil }
        if looks.unacknowledged.count < Self.memory {
            looks.unacknowledged[place] = entry.timeoutSeconds
        }
        guard let time = looks.before[place], entry.timeoutSeconds < time else { return nil }
        table.setOutOfStep(place)
        return .relax
    }
}
