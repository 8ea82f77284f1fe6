// SPDX-License-Identifier: GPL-2.0-or-later

/// When something is looked at again after an event: at instants that lie ever further apart.
struct LookSchedule {
    /// The next look; nil after the last.
    private(set) var next: Instant?
    /// In milliseconds after the event.
    private let times: [UInt64]
    private let beganAt: Instant
    private var begun = 0

    /// Looks at so many milliseconds after an event.
    init(_ times: [UInt64], after event: Instant) {
        self.times = times
        beganAt = event
        next = instant(0)
    }

    /// Whether the next look is the last.
    var isLast: Bool { begun + 1 == times.count }

    /// The next look begins: the one after it is the next.
    mutating func began() {
        begun = min(begun + 1, times.count)
        next = instant(begun)
    }

    private func instant(_ index: Int) -> Instant? {
        index < times.count ? beganAt + times[index] * Duration.millisecond : nil
    }
}
