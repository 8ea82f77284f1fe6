// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave has received, and what it made of it; only ever counted up.
struct SlaveCounters: Sendable {
    /// Datagrams read from the sync link.
    var packets: UInt64 = 0
    /// Their bytes, without IP and UDP headers.
    var bytes: UInt64 = 0
    /// Messages applied.
    var messages: UInt64 = 0
    /// Packets that had come before.
    var duplicates: UInt64 = 0
    /// Packets that left the master's backlog before they arrived.
    var lost: UInt64 = 0
    /// Packets that arrived after they were asked for again.
    var recovered: UInt64 = 0
    /// Streams begun again, as their master said less than was heard.
    var restarts: UInt64 = 0
    /// Packets too far ahead to be kept.
    var beyond: UInt64 = 0
    /// NACKs sent that name a missing packet.
    var nacks: UInt64 = 0
    /// Initsyncs asked for; repetitions of a request are not counted.
    var initsyncRequests: UInt64 = 0
    /// Initsyncs received whole.
    var initsyncs: UInt64 = 0
    /// Replicas that an initsync's end removed.
    var purged: UInt64 = 0
    /// Updates of unknown connections that said too little to create them.
    var insufficient: UInt64 = 0
    /// Updates for which the replica table had no place.
    var tableFull: UInt64 = 0
    /// Updates of connections that this node's own filter leaves out, mostly of its own addresses.
    var leftOut: UInt64 = 0
    /// Dropped: malformed, by reason, in the order of `WireError.allCases`.
    var bad = InlineArray<7, UInt64>(repeating: 0)
    /// Dropped: the sender has this node's id.
    var ownID: UInt64 = 0
    /// ... and of a node that has the id of the master, which is elsewhere.
    var sameID: UInt64 = 0
    /// Dropped: of a master that a higher claim has superseded.
    var stale: UInt64 = 0

    /// Nothing counted.
    init() {}
}
