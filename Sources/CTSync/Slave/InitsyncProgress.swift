// SPDX-License-Identifier: GPL-2.0-or-later

/// How an initsync gets on, for people.
struct InitsyncProgress: Sendable, BitwiseCopyable {
    /// Whether one has begun and not ended.
    var isRunning = false
    /// When it began.
    var beganAt: Instant = 0
    /// Entries that have come.
    var count = 0
}
