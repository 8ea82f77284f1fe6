// SPDX-License-Identifier: GPL-2.0-or-later

/// How fast an initsync may go: a number of packets per second, or as fast as the slaves keep up.
///
/// Without a number it starts at `initialRate` and doubles every `step`; what bounds it is what the
/// slaves say that they have applied (`MasterProtocol.mayWalk`).
struct InitsyncPace {
    /// Packets per second at which an unlimited initsync starts.
    static let initialRate: UInt64 = 2_000
    private static let highestRate: UInt64 = 1_000_000
    private static let step = 20 * Duration.millisecond
    /// What may be sent at once after a pause.
    private static let burst = 5 * Duration.millisecond

    private var configured: UInt64
    private var rate: UInt64
    /// The time up to which packets are paid for.
    private var paidUntil: Instant
    private var stepEnds: Instant

    /// A pace from now on; 0 packets per second means as fast as the slaves keep up.
    init(packetsPerSecond: UInt32, now: Instant) {
        configured = UInt64(packetsPerSecond)
        rate = configured == 0 ? Self.initialRate : configured
        paidUntil = now
        stepEnds = now + Self.step
    }

    /// Changes the rate of an initsync that runs.
    mutating func set(packetsPerSecond: UInt32) {
        guard UInt64(packetsPerSecond) != configured else { return }
        configured = UInt64(packetsPerSecond)
        rate = configured == 0 ? Self.initialRate : configured
        // What was sent at the old rate is not paid for at it.
        paidUntil = 0
    }

    /// Records packets just sent.
    ///
    /// - Returns: when the next may follow.
    mutating func spend(_ packets: UInt64, now: Instant) -> Instant {
        if configured == 0, now >= stepEnds {
            rate = min(rate * 2, Self.highestRate)
            stepEnds = now + Self.step
        }
        let earliest = now > Self.burst ? now - Self.burst : 0
        paidUntil = max(paidUntil, earliest) + packets * Duration.second / rate
        return paidUntil
    }
}
