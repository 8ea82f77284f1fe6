// SPDX-License-Identifier: GPL-2.0-or-later

/// When the maker of a lower claim is told which one is followed: at once, then at intervals, the one
/// that was heard last.
struct ClaimAnswer {
    /// The least time between two answers.
    static let interval = 100 * Duration.millisecond

    /// Whether one is due.
    var isDue: Bool { address != nil }
    private var address: PeerAddress?
    private var answeredAt: Instant = 0

    /// None is due.
    init() {}

    /// A packet of a lower claim has come from here.
    mutating func heard(_ peer: PeerAddress, now: Instant) {
        if now >= answeredAt + Self.interval { address = peer }
    }

    /// Where one goes that is sent now; nil if none is due.
    mutating func take(now: Instant) -> PeerAddress? {
        guard let address else { return nil }
        self.address = nil
        answeredAt = now
        return address
    }

    /// None is due any more.
    mutating func forget() {
        address = nil
    }
}
