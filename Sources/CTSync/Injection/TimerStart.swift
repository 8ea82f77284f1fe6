// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// Starts the replicas' timers after a promotion.
///
/// 1. The expectations, as they are few and short-lived.
/// 2. Walk the kernel's table, 32 KiB at a time. An entry that still has the long timeout it was held
///    with has seen no packet since: it is given the time it would have had. If that is over it is
///    deleted, and the slaves are told: on each node that holds it, it would live on else, and a new
///    connection may draw its port. Any other has been given its time by a packet, and is left alone.
/// 3. Walk it again. A packet may have closed a connection between the look at it and its new time:
///    it would be there for days. Such are given a closing one's time, until a walk finds none.
///
/// A walk that fails is made again from its beginning, and one of whose requests the kernel has refused any:
/// a replica would keep its long timeout. Thread:
/// `ct_sync_timer`, which owns the replica table meanwhile, or the control thread at an orderly stop.
final class TimerStart: Sendable {
    fileprivate enum Stage {
        case expectations
        case entries
        case corrections(found: Bool)
    }

    /// One walk.
    final class Walk {
        fileprivate let dump: any TableWalk
        fileprivate let requests: any KernelRequests
        fileprivate let ends: any KernelRequests
        fileprivate var stage = Stage.expectations
        fileprivate let includesUnread: Bool
        /// Whether the kernel has refused anything since its beginning, and how often it was begun.
        fileprivate var wasRefused = false
        fileprivate var attempts = 1

        fileprivate init(
            _ kernel: any KernelTable, includesUnread: Bool
        ) throws(SystemError) {
            self.includesUnread = includesUnread
            dump = try kernel.makeWalk()
            requests = try kernel.makeRequests()
            ends = try kernel.makeRequests(isTold: true)
        }

        /// Takes a refusal: of what has gone meanwhile, or has a timeout that is fixed (EPERM), nothing
        /// more is to be asked.
        fileprivate func note(_ tag: UInt32, _ errno: CInt) {
            if errno != ENOENT, errno != EPERM { wasRefused = true }
        }
    }

    /// How often a walk is begun, by a stop, or as requests were refused.
    private static let attempts = 5

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
    /// - Parameter includesUnread: see `ReplicaTable.fate`.
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
        switch walk.stage {
        case .expectations:
            guard table.aliveCount > 0 || walk.includesUnread else { return false }
            walk.wasRefused = false
            try startExpectations(table.expectations, walk, now: seconds)
            try walk.dump.start()
            walk.stage = .entries
        case .entries:
            let piece = try give(walk) { entry in
                table.fate(of: entry, now: seconds, includesUnread: walk.includesUnread)
            }
            if piece.isMore { return true }
            if walk.wasRefused, walk.attempts < Self.attempts {
                failed()
                walk.attempts += 1
                walk.stage = .expectations
                return true
            }
            try walk.dump.start()
            walk.stage = .corrections(found: false)
        case .corrections(let found):
            let piece = try give(walk) { entry in
                table.correctedTime(of: entry).map { .lives(seconds: $0) }
            }
            walk.stage = .corrections(found: found || piece.count > 0)
            if piece.isMore { return true }
            guard found || piece.count > 0 else { return false }
            try walk.dump.start()
            walk.stage = .corrections(found: false)
        }
        return true
    }

    /// Has the next entries of a dump meet their fate; nil leaves one alone.
    private func give(
        _ walk: Walk, _ fate: (borrowing Entry) -> ReplicaTable.Fate?
    ) throws(SystemError) -> (isMore: Bool, count: Int) {
        var count = 0
        var failure: SystemError?
        let isMore = try walk.dump.step { entry in
            let isAsked: Bool
            switch fate(entry) {
            case .lives(let seconds):
                isAsked = walk.requests.append(sending: &failure, refused: walk.note) {
                    walk.requests.updateTimeout(entry.key, timeoutSeconds: seconds, tag: 0)
                }
            case .isOver:
                isAsked = walk.ends.append(sending: &failure, refused: walk.note) {
                    walk.ends.delete(exactly: entry, tag: 0)
                }
            case nil: return
            }
            if isAsked { count += 1 }
        }
        try walk.requests.send(walk.note)
        try walk.ends.send(walk.note)
        if let failure { throw failure }
        started.wrappingAdd(UInt64(count), ordering: .relaxed)
        return (isMore, count)
    }

    /// Makes a whole walk, again if it fails, for an orderly stop.
    ///
    /// - Parameters:
    ///   - includesUnread: see `ReplicaTable.fate`.
    ///   - deadline: when to give up.
    ///   - now: the clock.
    func finish(
        _ kernel: any KernelTable, _ table: ReplicaTable, includesUnread: Bool,
        until deadline: Instant = .max, now: () -> Instant
    ) {
        for _ in 0..<Self.attempts where now() < deadline {
            do throws(SystemError) {
                let walk = try open(kernel, includesUnread: includesUnread)
                while now() < deadline, try step(walk, table, now: now()) {}
                return
            } catch {
                failed()
            }
        }
    }

    private func startExpectations(
        _ table: ExpectationTable, _ walk: Walk, now: UInt32
    ) throws(SystemError) {
        var failure: SystemError?
        for place in table.places {
            guard let (expectation, seconds) = table.remainingTime(at: place, now: now) else {
                continue
            }
            let isAsked = walk.requests.append(sending: &failure, refused: walk.note) {
                walk.requests.updateTimeout(expectation, timeoutSeconds: seconds, tag: 0)
            }
            if isAsked { started.wrappingAdd(1, ordering: .relaxed) }
        }
        try walk.requests.send(walk.note)
        if let failure { throw failure }
    }
}
