// SPDX-License-Identifier: GPL-2.0-or-later

/// Whether a slave wants an initsync, and when it asks for it (again).
struct InitsyncRequest {
    /// The first interval between two requests ...
    static let shortest = 200 * Duration.millisecond
    /// ... which doubles up to this one.
    static let longest = 3200 * Duration.millisecond

    /// When the next request is due; nil while none is wanted.
    private(set) var deadline: Instant?
    private var interval = shortest
    private var hasAsked = false
    /// Requests that went out since it is wanted.
    private(set) var unansweredCount = 0

    /// Wants one, and asks at this time unless it is asking already or is to ask earlier.
    ///
    /// - Returns: whether that is new.
    mutating func want(at instant: Instant) -> Bool {
        if let deadline {
            if !hasAsked { self.deadline = min(deadline, instant) }
            return false
        }
        deadline = instant
        interval = Self.shortest
        hasAsked = false
        unansweredCount = 0
        return true
    }

    /// Wants none any more: one has begun.
    mutating func begun() {
        deadline = nil
        unansweredCount = 0
    }

    /// Records that a request goes out.
    mutating func sent(now: Instant) {
        hasAsked = true
        unansweredCount += 1
        deadline = now + interval
        interval = min(interval * 2, Self.longest)
    }
}
