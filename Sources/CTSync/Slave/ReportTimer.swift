// SPDX-License-Identifier: GPL-2.0-or-later

/// When a slave tells how far it is: its master, or everybody if it hears none.
struct ReportTimer {
    /// How often a slave tells the master how far it is, with a NACK that names nothing.
    static let interval = 1 * Duration.second
    /// ... and during an initsync, which goes as fast as it says.
    static let walkInterval = 10 * Duration.millisecond
    /// ... but also after so many packets: the master's window is a few times as many.
    static let walkPackets: UInt64 = 16

    private var reportAt: Instant = 0
    private var reportedAt: Instant = 0
    /// The number of the packet that was to come next, as it was said last.
    private(set) var reported: UInt64 = 1
    private var helloAt: Instant = 0

    /// All are due.
    init() {}

    /// When the next report is due.
    ///
    /// - Parameters:
    ///   - expected: the number of the packet that is to come next.
    ///   - isWalking: whether an initsync is being received.
    func due(at expected: UInt64, isWalking: Bool) -> Instant {
        guard isWalking else { return reportAt }
        if expected &- reported >= Self.walkPackets { return 0 }
        return min(reportAt, reportedAt + Self.walkInterval)
    }

    /// The next one is due at once, whenever the last was.
    mutating func soon(now: Instant) {
        reportAt = now
    }

    /// One goes out, perhaps with a NACK.
    mutating func sent(_ expected: UInt64, now: Instant) {
        reportAt = now + Self.interval
        reportedAt = now
        reported = expected
    }

    /// Whether everybody is to be told now that no master is heard; not again for an interval.
    mutating func takeHello(now: Instant) -> Bool {
        guard now >= helloAt else { return false }
        helloAt = now + Self.interval
        return true
    }
}
