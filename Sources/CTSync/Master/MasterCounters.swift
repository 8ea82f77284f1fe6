// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master has received from slaves; only ever counted up.
struct MasterCounters: Sendable {
    /// Datagrams read from the sync link.
    var packets: UInt64 = 0
    /// Their bytes, without IP and UDP headers.
    var bytes: UInt64 = 0
    /// NACKs that name a missing packet.
    var nacks: UInt64 = 0
    /// Packets queued to be sent again.
    var asked: UInt64 = 0
    /// Requests for an initsync.
    var initsyncRequests: UInt64 = 0
    /// Dropped: malformed, by reason, in the order of `WireError.allCases`.
    var bad = InlineArray<7, UInt64>(repeating: 0)
    /// Dropped: the sender has this node's id.
    var ownID: UInt64 = 0
    /// Packets of a slave whose id another node has too.
    var sameID: UInt64 = 0
    /// Dropped: of another epoch.
    var stale: UInt64 = 0

    /// Nothing counted.
    init() {}
}
