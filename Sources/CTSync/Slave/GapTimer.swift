// SPDX-License-Identifier: GPL-2.0-or-later

/// When a slave asks for missing packets: first after a short wait, as they may only be late, then
/// again and again at growing intervals while nothing comes.
struct GapTimer {
    /// How long a packet may be late before it counts as missing.
    static let reorderWait = 2 * Duration.millisecond
    /// The first interval between two NACKs ...
    static let shortest = 10 * Duration.millisecond
    /// ... which doubles up to this one.
    static let longest = 320 * Duration.millisecond

    /// When the next NACK is due; nil while nothing is missing.
    private(set) var deadline: Instant?
    private var interval = shortest
    private var progress: UInt64 = 0

    /// Checks that the intervals are those of above. For tests.
    func assertValid(_ report: (String) -> Void) {
        guard !(Self.shortest...Self.longest).contains(interval) else { return }
        report("\(interval) us between two NACKs")
    }

    /// Records what is missing after a packet.
    ///
    /// - Parameters:
    ///   - hasGap: whether anything is.
    ///   - expected: the number whose turn it is; when it moves on, NACKs are frequent again.
    mutating func update(hasGap: Bool, expected: UInt64, now: Instant) {
        guard hasGap else {
            deadline = nil
            return
        }
        if deadline == nil {
            deadline = now + Self.reorderWait
            interval = Self.shortest
        } else if expected != progress {
            interval = Self.shortest
            deadline = deadline.map { min($0, now + Self.shortest) }
        }
        progress = expected
    }

    /// Records that a NACK goes out.
    mutating func nackSent(now: Instant) {
        deadline = now + interval
        interval = min(interval * 2, Self.longest)
    }
}
