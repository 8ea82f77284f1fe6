// SPDX-License-Identifier: GPL-2.0-or-later

/// When a stage of an engine is to be stepped again.
enum Pause: Equatable {
    /// At once: there is more to do.
    case none
    /// At this instant, or earlier if its thread is woken.
    case until(Instant)
    /// When its thread is woken.
    case untilWoken

    /// The earlier of two.
    func sooner(_ other: Pause) -> Pause {
        switch (self, other) {
        case (.none, _), (_, .none): .none
        case (.until(let first), .until(let second)): .until(min(first, second))
        case (.until, .untilWoken): self
        case (.untilWoken, _): other
        }
    }
}
