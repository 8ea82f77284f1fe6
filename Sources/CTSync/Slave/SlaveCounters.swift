// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave has received, and what it made of it; only ever counted up.
public struct SlaveCounters: Sendable {
    /// Datagrams read from the sync link.
    public var packets: UInt64 = 0
    /// Their bytes, without IP and UDP headers.
    public var bytes: UInt64 = 0
    /// Messages applied.
    public var messages: UInt64 = 0
    /// Packets that had come before.
    public var duplicates: UInt64 = 0
    /// Packets that left the master's backlog before they arrived.
    public var lost: UInt64 = 0
    /// Packets that arrived after they were asked for again.
    public var recovered: UInt64 = 0
    /// Packets too far ahead to be kept.
    public var beyond: UInt64 = 0
    /// NACKs sent that name a missing packet.
    public var nacks: UInt64 = 0
    /// Initsyncs asked for; repetitions of a request are not counted.
    public var initsyncRequests: UInt64 = 0
    /// Initsyncs received whole.
    public var initsyncs: UInt64 = 0
    /// Replicas that an initsync's end removed.
    public var purged: UInt64 = 0
    /// Updates of unknown connections that said too little to create them.
    public var insufficient: UInt64 = 0
    /// Updates for which the replica table had no place.
    public var tableFull: UInt64 = 0
    /// Updates of connections that this node's own filter leaves out, mostly of its own addresses.
    public var leftOut: UInt64 = 0
    /// Dropped: malformed, by reason, in the order of `WireError.allCases`.
    public var bad = InlineArray<6, UInt64>(repeating: 0)
    /// Dropped: the sender has this node's id.
    public var ownID: UInt64 = 0
    /// Dropped: of a master that a higher claim has superseded.
    public var stale: UInt64 = 0

    /// Nothing counted.
    public init() {}
}
