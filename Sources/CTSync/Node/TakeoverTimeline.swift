// SPDX-License-Identifier: GPL-2.0-or-later

/// What a promotion came to, phase by phase, each with its time after the order: one event of the history,
/// said when the last phase is known.
///
/// A value without input or output: facts in, an event out. The first forwarded packet is one that the
/// kernel counts (`ForwardedPackets`); it is looked for every millisecond at first, later less often, so its
/// time is right to an eighth. Windows are seen when packets of both directions have passed of a replica.
struct TakeoverTimeline {
    /// What is known so far.
    struct Facts {
        var role = Role.master
        /// Nil with `l2drop=0`.
        var isDark: Bool?
        /// What the kernel has forwarded; nil if it does not say so.
        var forwarded: UInt64?
        var progress = TimerThread.Progress()
    }

    /// How long a packet is waited for, and the rest.
    static let (packetPatience, patience) = (10 * Duration.second, 20 * Duration.second)
    /// The shortest and the longest pause between two looks.
    private static let (shortest, longest) = (
        1 * Duration.millisecond, 250 * Duration.millisecond
    )

    private let promotion: NodeEngine.Promotion
    /// The wall clock at the order.
    private let wallMicroseconds: UInt64
    private let before: UInt64?
    private var firstPacketAt: Instant?
    /// When the next look is due.
    private(set) var due: Instant

    /// A promotion that has just been made.
    ///
    /// - Parameters:
    ///   - forwarded: what the kernel had forwarded until now.
    ///   - wallMicroseconds: the wall clock now.
    init(
        _ promotion: NodeEngine.Promotion, forwarded: UInt64?, now: Instant,
        wallMicroseconds: UInt64
    ) {
        self.promotion = promotion
        before = forwarded
        let age = (now - min(promotion.orderedAt, now)) / Duration.microsecond
        self.wallMicroseconds = wallMicroseconds - min(age, wallMicroseconds)
        due = now
    }

    /// Looks.
    ///
    /// - Returns: the event, without a number, when all is known or nothing more is waited for.
    mutating func look(_ facts: Facts, now: Instant) -> HistoryEvent? {
        let age = now - min(promotion.orderedAt, now)
        let pause = firstPacketAt == nil ? age / 8 : Self.longest
        due = now + min(max(pause, Self.shortest), Self.longest)
        if firstPacketAt == nil, let before, let count = facts.forwarded, count > before {
            firstPacketAt = now
        }
        let hasPacket = firstPacketAt != nil || before == nil || age >= Self.packetPatience
        let hasWindows = isOfThis(facts.progress.windows?.at) || isOfThis(facts.progress.overAt)
        guard facts.role == .slave || age >= Self.patience || hasPacket && hasWindows else {
            return nil
        }
        let phases = phases(facts, now)
        return HistoryEvent(
            wallMicroseconds: wallMicroseconds + age / Duration.microsecond, kind: .takeover,
            isBad: phases.isStillDark, role: .master, text: text(phases), takeover: phases)
    }

    private func phases(_ facts: Facts, _ now: Instant) -> TakeoverPhases {
        var phases = TakeoverPhases(
            orderedAt: wallMicroseconds, claim: after(promotion.claimedAt))
        phases.isStillDark = facts.isDark == true && facts.role == .master
        if facts.isDark != nil, !phases.isStillDark { phases.open = after(promotion.openedAt) }
        phases.firstPacket = firstPacketAt.map { after($0) }
        if let timers = facts.progress.timers, isOfThis(timers.at) {
            phases.timers = TakeoverPhases.Step(
                after: after(timers.at), count: Int(clamping: timers.count))
        }
        if let windows = facts.progress.windows, isOfThis(windows.at) {
            phases.windows = TakeoverPhases.Step(after: after(windows.at), count: windows.count)
        }
        if facts.role == .slave { phases.end = after(now) }
        return phases
    }

    private func text(_ phases: TakeoverPhases) -> String {
        var words = [
            "takeover: order at \(Words.preciseClock(wallMicroseconds))",
            "\(at(phases.claim)) claim",
        ]
        if phases.isStillDark { words.append("still dark") }
        if let open = phases.open { words.append("\(at(open)) open") }
        if let firstPacket = phases.firstPacket {
            words.append("\(at(firstPacket)) first packet forwarded")
        } else if before != nil, phases.end == nil {
            words.append("no packet forwarded in \(Words.time(Self.packetPatience))")
        }
        if let timers = phases.timers {
            words.append("\(at(timers.after)) timers started (\(Words.number(timers.count)))")
        }
        if let windows = phases.windows {
            let connections = Words.count(windows.count, "connection", "connections")
            words.append("\(at(windows.after)) windows of \(connections) seen")
        }
        if let end = phases.end { words.append("\(at(end)) slave again") }
        return words.joined(separator: " \u{B7} ")
    }

    /// Whether it was after this promotion, not after one before.
    private func isOfThis(_ instant: Instant?) -> Bool {
        instant.map { $0 >= promotion.orderedAt } ?? false
    }

    private func after(_ instant: Instant) -> UInt64 {
        (instant - min(promotion.orderedAt, instant)) / Duration.microsecond
    }

    private func at(_ microseconds: UInt64) -> String {
        "+\(Words.time(microseconds * Duration.microsecond))"
    }
}
