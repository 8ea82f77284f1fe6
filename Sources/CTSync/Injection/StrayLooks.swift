// SPDX-License-Identifier: GPL-2.0-or-later

/// Looks, after a demotion, for TCP entries that packets have passed all the same: neighbours send to
/// the old master until they have learned where its addresses are now, and it forwards, if no l2drop
/// keeps it from that. They are made again (`ReplicaTable.remakeIfWorn`), when the master is known to
/// have them too: until then what this kernel has may be the last of a connection.
///
/// Thread: the receiver's, one step of a dump at a time between packets, as `KernelCheck`.
struct StrayLooks: ~Copyable {
    /// When the looks are, in milliseconds after the kernel's table was read.
    static let looks: [UInt64] = [500, 1_500, 3_000, 6_000, 15_000]
    /// How long to wait if the node is not in sync.
    private static let patience = 100 * Duration.millisecond

    private let dump: any TableWalk
    private var schedule = LookSchedule([], after: 0)
    private var isLooking = false
    /// When the next step is due; nil for never.
    private(set) var due: Instant?

    init(_ dump: any TableWalk) {
        self.dump = dump
    }

    /// Begins the looks.
    mutating func begin(now: Instant) {
        cancel()
        schedule = LookSchedule(Self.looks, after: now)
        plan(now)
    }

    /// Ends them.
    mutating func cancel() {
        if isLooking { dump.cancel() }
        isLooking = false
        schedule = LookSchedule([], after: 0)
        due = nil
    }

    /// Does what is due.
    ///
    /// - Parameter isInSync: whether the master has all that this node has.
    mutating func step(
        _ table: ReplicaTable, isInSync: @autoclosure () -> Bool, now: Instant
    ) throws(SystemError) {
        guard let due, due <= now else { return }
        guard isInSync() else {
            self.due = now + Self.patience
            return
        }
        if !isLooking {
            schedule.began()
            try dump.start()
            isLooking = true
        }
        let isMore = try dump.step { table.remakeIfWorn($0) }
        if isMore {
            self.due = now + KernelCheck.stepInterval
        } else {
            isLooking = false
            plan(now)
        }
    }

    private mutating func plan(_ now: Instant) {
        due = schedule.next.map { max(now, $0) }
    }
}
