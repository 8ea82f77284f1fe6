// SPDX-License-Identifier: GPL-2.0-or-later

/// Finds SCTP associations whose verification tags changed without an event: one that is opened again
/// on the same ports (measured, Linux 6.18). A new master that has the old tags would drop its data.
///
/// 1. `heard`: an event of SCTP; what it says of the tags is remembered.
/// 2. `look`: once a second, while there is SCTP at all, a dump of its entries is compared with that.
///    Every path of a multi-homed association is an entry with tags of its own.
///
/// One thread uses it, the event listener's. It takes memory only while there is SCTP.
final class TagWatch {
    static let interval = 1 * Duration.second

    private let walk: any TableWalk
    private var tags: [Key: UInt64] = [:]
    /// When to look next; nil while there is no SCTP.
    private(set) var due: Instant? = 0

    init(_ walk: any TableWalk) {
        self.walk = walk
    }

    /// Records an event.
    @inline(__always)
    func heard(_ entry: borrowing Entry, now: Instant) {
        guard entry.key.tuple.protocolNumber == ProtocolNumber.sctp else { return }
        remember(copy entry, now)
    }

    private func remember(_ entry: Entry, _ now: Instant) {
        if entry.fields.contains(.protocolInfo) { tags[entry.key] = Self.tags(entry) }
        if due == nil { due = now + Self.interval }
    }

    /// Hands out the entries whose tags are not those that were heard, if it is time.
    ///
    /// One that is seen for the first time is not among them: its event, or a walk, tells it.
    func look(now: Instant, _ body: (Entry) -> Void) throws(SystemError) {
        guard let due, now >= due else { return }
        self.due = now + Self.interval
        var found: [Key: UInt64] = [:]
        for family in [Family.ipv4, .ipv6] {
            try walk.startSCTP(family)
            var isMore = true
            while isMore {
                isMore = try walk.step { entry in
                    let key = entry.key
                    guard key.tuple.protocolNumber == ProtocolNumber.sctp,
                        key.tuple.family == family, entry.fields.contains(.protocolInfo)
                    else { return }
                    let seen = Self.tags(copy entry)
                    found[key] = seen
                    if let known = tags[key], known != seen { body(copy entry) }
                }
            }
        }
        tags = found
        if found.isEmpty { self.due = nil }
    }

    private static func tags(_ entry: Entry) -> UInt64 {
        UInt64(entry.protocolInfo.originalTag) << 32 | UInt64(entry.protocolInfo.replyTag)
    }
}
