// SPDX-License-Identifier: GPL-2.0-or-later

/// What followed the order of a takeover, and how soon: microseconds after the order; nil for what did not
/// come, or cannot be known.
package struct TakeoverPhases: Sendable, Equatable {
    /// Something that was done to a number of connections.
    struct Step: Sendable, Equatable {
        var after: UInt64
        var count: Int
    }

    /// The wall clock at the order, in microseconds since 1970.
    var orderedAt: UInt64
    /// The claim of a new epoch.
    var claim: UInt64
    /// The end of the darkness; nil with `l2drop=0`, and while the node is still dark.
    var open: UInt64?
    /// Whether the node is dark although it is master.
    var isStillDark = false
    /// The first packet that the kernel counts as forwarded.
    var firstPacket: UInt64?
    /// The start of the timers of replicas.
    var timers: Step?
    /// The first look that found TCP windows of replicas known.
    var windows: Step?
    /// When the node was slave again.
    var end: UInt64?

    private static let unknown = "-"
    private static let separator: Character = ","

    /// A field of the history's file.
    var line: String {
        let values: [UInt64?] = [
            orderedAt, claim, open, isStillDark ? 1 : 0, firstPacket, timers?.after,
            timers.map { UInt64(clamping: $0.count) }, windows?.after,
            windows.map { UInt64(clamping: $0.count) }, end,
        ]
        return values.map { $0.map { String($0) } ?? Self.unknown }
            .joined(separator: String(Self.separator))
    }

    /// Reads what `line` writes; nil for anything else.
    init?(line: some StringProtocol) {
        let words = line.split(separator: Self.separator, omittingEmptySubsequences: false)
        let values = words.map { UInt64($0) }
        guard words.count == 10, let orderedAt = values[0], let claim = values[1],
            let dark = values[3], dark <= 1,
            zip(words, values).allSatisfy({ $1 != nil || $0 == Self.unknown }),
            values.allSatisfy({ ($0 ?? 0) <= HistoryEvent.largest })
        else { return nil }
        func step(_ place: Int) -> Step? {
            guard let after = values[place], let count = values[place + 1] else { return nil }
            return Step(after: after, count: Int(clamping: count))
        }
        self.init(
            orderedAt: orderedAt, claim: claim, open: values[2], isStillDark: dark == 1,
            firstPacket: values[4], timers: step(5), windows: step(7), end: values[9])
    }

    init(
        orderedAt: UInt64, claim: UInt64, open: UInt64? = nil, isStillDark: Bool = false,
        firstPacket: UInt64? = nil, timers: Step? = nil, windows: Step? = nil,
        end: UInt64? = nil
    ) {
        self.orderedAt = orderedAt
        self.claim = claim
        self.open = open
        self.isStillDark = isStillDark
        self.firstPacket = firstPacket
        self.timers = timers
        self.windows = windows
        self.end = end
    }

    /// As the group `takeover` of an event's JSON.
    func add(to group: inout StatusReport) {
        func add(_ key: String, _ after: UInt64?) {
            group.add(key, age: after.map { $0 * Duration.microsecond })
        }
        group.add("order_time_seconds", .seconds(microseconds: Int64(clamping: orderedAt)))
        add("claim_seconds", claim)
        add("open_seconds", open)
        group.add("still_dark", isStillDark)
        add("first_packet_seconds", firstPacket)
        add("timers_seconds", timers?.after)
        group.add("timers", count: timers?.count)
        add("windows_seconds", windows?.after)
        group.add("windows", count: windows?.count)
        add("slave_again_seconds", end)
    }
}
