// SPDX-License-Identifier: GPL-2.0-or-later

/// The last changes of whether a slave is in sync, for a thread that looks now and then.
struct SyncTransitions: Sendable, BitwiseCopyable {
    /// One of them.
    struct Change: Sendable, BitwiseCopyable {
        /// Why the slave is not in sync; nil if it is.
        var reason: SlaveProtocol.OutOfSync?
        var at: Instant
    }

    private static let capacity = 8
    private var last = InlineArray<8, Change>(repeating: Change(reason: nil, at: 0))
    /// How many there were.
    private(set) var count: UInt64 = 0

    /// Keeps one.
    mutating func note(_ reason: SlaveProtocol.OutOfSync?, at instant: Instant) {
        last[Int(count % UInt64(Self.capacity))] = Change(reason: reason, at: instant)
        count += 1
    }

    /// Those after the first `seen`, as far as they are kept.
    func since(_ seen: UInt64) -> [Change] {
        let first = max(seen, count > UInt64(Self.capacity) ? count - UInt64(Self.capacity) : 0)
        guard first < count else { return [] }
        return (first..<count).map { last[Int($0 % UInt64(Self.capacity))] }
    }
}
