// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// When a stream made progress, and its longest silence.
package final class Gaps: Sendable {
    private struct State {
        var last: Double
        var longest = 0.0
        var count = 0
    }
    private let state = Mutex(State(last: Stopwatch.seconds()))

    package init() {}

    /// Something arrived.
    package func progress() {
        state.withLock { state in
            let now = Stopwatch.seconds()
            state.longest = max(state.longest, now - state.last)
            state.last = now
            state.count += 1
        }
    }

    /// Forgets the silence so far; what follows is measured from here.
    package func reset() {
        state.withLock { state in
            state.last = Stopwatch.seconds()
            state.longest = 0
        }
    }

    /// How often something arrived.
    package var count: Int { state.withLock { $0.count } }

    /// The longest silence since the last reset in seconds, the one that still lasts included.
    package var longest: Double {
        state.withLock { max($0.longest, Stopwatch.seconds() - $0.last) }
    }

    /// When something arrived last, on the clock of `Stopwatch`.
    package var last: Double { state.withLock { $0.last } }
}
