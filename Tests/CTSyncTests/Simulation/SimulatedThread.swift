// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A thread of the daemon: it sleeps as long as its stage says, unless it is woken. One that nobody
/// wakes sleeps on, so a forgotten wake-up shows.
struct SimulatedThread {
    private var sleepsUntil: Instant? = 0

    /// Wakes it, or keeps it from its next sleep.
    mutating func wake() {
        sleepsUntil = 0
    }

    /// Whether it runs now.
    func isAwake(_ now: Instant) -> Bool {
        sleepsUntil.map { $0 <= now } ?? false
    }

    /// Sleeps as its stage says; nil for good.
    mutating func sleep(_ pause: Pause?) {
        switch pause {
        case .some(.none): sleepsUntil = 0
        case .some(.until(let instant)): sleepsUntil = instant
        case .some(.untilWoken), nil: sleepsUntil = nil
        }
    }
}
