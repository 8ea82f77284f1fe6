// SPDX-License-Identifier: GPL-2.0-or-later

/// The long time that a standby gives its replicas, so that none runs out before a promotion.
///
/// Nobody else gives it: an entry that has about so much left is a replica that no packet has touched,
/// and of its connection's own time nothing is known.
enum StandbyTime {
    /// What a replica is given: no round number, so that nobody else's is taken for it.
    static let seconds: UInt32 = 86_400 + 397
    /// After how long it is given it again.
    static let renewal: UInt32 = 43_200

    /// Whether a time that is left may be one that was given to a replica, and renewed when due.
    static func mayBe(_ left: UInt32) -> Bool {
        (seconds - renewal - 60...seconds).contains(left)
    }
}

extension Entry {
    /// The time that is said of the connection; a usual one where it is a standby's.
    var connectionSeconds: UInt32 {
        StandbyTime.mayBe(timeoutSeconds) ? defaultTimeoutSeconds : timeoutSeconds
    }
}
