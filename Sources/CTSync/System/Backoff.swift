// SPDX-License-Identifier: GPL-2.0-or-later

/// When something that helps against a fault may be done again: at once if the last time is long ago,
/// else after an interval that doubles from 1 s to 30 s while the fault comes back.
struct Backoff: Sendable {
    static let shortest = 1 * Duration.second
    static let longest = 30 * Duration.second

    private var interval: UInt64 = 0
    private var last: Instant = 0
    /// The earliest next time.
    private(set) var due: Instant = 0

    /// Whether it may be done now.
    func isOver(now: Instant) -> Bool { now >= due }

    /// Records that it is done.
    mutating func began(now: Instant) {
        let isAgain = interval > 0 && now < last + 2 * interval
        interval = isAgain ? min(interval * 2, Self.longest) : Self.shortest
        last = now
        due = now + interval
    }
}
