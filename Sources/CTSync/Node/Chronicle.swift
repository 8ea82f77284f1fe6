// SPDX-License-Identifier: GPL-2.0-or-later

/// Makes events of what changes from one report to the next, each once, in the sentences of the status.
///
/// A value without input or output: reports in, events out. A condition that lasts is said at once,
/// after 10 s, 1 min and 10 min, and when it ends. What a slave repairs by itself in milliseconds
/// (`isBrief`), and what each role begins with, is said when it has lasted for a while.
struct Chronicle {
    /// When a condition that lasts is said again.
    static let repetitions = [10, 60, 600].map { UInt64($0) * Duration.second }
    /// How long a brief reason must last to be said, and what a slave or a master begins with: a
    /// slave is told of an initsync, a master hears from its slaves once a second.
    static let (briefTime, masterTime) = (1 * Duration.second, 3 * Duration.second)

    /// Whoever reaches the port can pretend to be many nodes: so many of those who speak in another way are
    /// told of in a minute. The status has them all.
    static let strangersAMinute = 8

    /// Reports are made a moment before they are taken.
    private static let roleTolerance = 100 * Duration.millisecond

    /// What is not as it should be, and what has been said of it.
    private struct Condition {
        var problem: NodeReport.Problem
        var since: Instant
        /// Nil until it is said.
        var said: Int?
        /// Sentences of it that were said: when last, and how often.
        var sentences: [String: (at: Instant, count: Int)] = [:]

        /// Whether a sentence that comes instead of another is to be said: one that comes again and again, in
        /// turn with others, is said less and less.
        func tells(_ sentence: String, now: Instant) -> Bool {
            guard let last = sentences[sentence] else { return true }
            let place = min(last.count, Chronicle.repetitions.count) - 1
            return Chronicle.age(since: last.at, now) >= Chronicle.repetitions[place]
        }
    }

    /// Sentences of one condition that are remembered; addresses are in them, which others may choose.
    private static let sentenceLimit = 32

    private var role: Role?
    private var roleSince: Instant = 0
    private var condition: Condition?
    /// Since when the present role has had no problem, or has been the role.
    private var hasBeenWell = false
    private var remarks: [String: Condition] = [:]
    private var peers: [UInt8: NodeReport.Peer] = [:]
    private var carrier: Bool?
    private var isDark: Bool?
    private var readings = 0
    private var strangers: [(stranger: Strangers.Stranger, since: Instant, isSaid: Bool)] = []
    /// Of the minute that has begun: who was told of.
    private var told = (since: Instant(0), count: 0)
    private var events: [HistoryEvent] = []

    /// Takes a report.
    ///
    /// - Returns: what is to be said, in its order.
    mutating func take(_ report: NodeReport, now: Instant) -> [HistoryEvent] {
        events = []
        lookAtRole(report, now)
        lookAtLink(report)
        lookAtDark(report)
        lookAtKeys(report, now)
        lookAtPeers(report)
        lookAtProblem(report, now)
        lookAtRemarks(report, now)
        return events
    }

    private mutating func say(
        _ report: NodeReport, _ kind: HistoryEvent.Kind, _ text: String, isBad: Bool = false,
        reason: NodeReport.Reason? = nil, peer: UInt8? = nil
    ) {
        events.append(
            HistoryEvent(
                wallMicroseconds: report.wallMicroseconds, kind: kind, isBad: isBad,
                role: report.role, reason: reason?.rawValue, peerID: peer, text: text))
    }

    // MARK: Role

    private mutating func lookAtRole(_ report: NodeReport, _ now: Instant) {
        let since = now - min(report.roleAge, now)
        // The same role, taken later than the one that is known: it was another one in between.
        guard report.role != role || since > roleSince + Self.roleTolerance else { return }
        let before = role.map { " after \(Words.time(max(since, roleSince) - roleSince)) as \($0)" }
        (role, roleSince) = (report.role, since)
        (condition, hasBeenWell, peers, remarks) = (nil, false, [:], [:])
        var text = report.role == .master ? "MASTER" : "SLAVE"
        if report.role == .master {
            if let micros = report.promotionMicroseconds {
                text += ", promoted in \(Words.time(micros * 1_000))"
            }
            text += ", epoch \(report.epoch)"
        }
        say(report, .role, "\(text)\(before ?? ""): \(report.roleCause)")
    }

    // MARK: Link, l2drop, peers

    private mutating func lookAtLink(_ report: NodeReport) {
        let now = report.link.isPresent && report.link.hasCarrier
        defer { carrier = now }
        guard let carrier, carrier != now else { return }
        let state = now ? "has carrier again" : report.link.isPresent ? "has no carrier" : "is gone"
        say(
            report, .link, "\(report.link.device) \(state)", isBad: !now,
            reason: now ? nil : report.link.isPresent ? .linkDown : .deviceGone)
    }

    private mutating func lookAtDark(_ report: NodeReport) {
        defer { isDark = report.l2drop.isOn }
        guard let backend = report.l2drop.backend, let isDark, isDark != report.l2drop.isOn else {
            return
        }
        let isByHand = report.role == .slave && !report.l2drop.isOn
        let open = "the node is open\(isByHand ? ", by hand" : "")"
        say(
            report, .l2drop, report.l2drop.isOn ? "the node is dark, by \(backend)" : open,
            isBad: isByHand)
    }

    /// The key file, and who speaks in another way.
    private mutating func lookAtKeys(_ report: NodeReport, _ now: Instant) {
        if report.seal.readings.count != readings {
            readings = report.seal.readings.count
            say(report, .key, "read again: \(report.seal.readings.last)")
        }
        let present = report.seal.strangers
        for stranger in present where !strangers.contains(where: { $0.stranger.isSame(stranger) }) {
            if now >= told.since + 60 * Duration.second { told = (now, 0) }
            let isSaid = told.count < Self.strangersAMinute
            strangers.append((stranger, now, isSaid))
            guard isSaid else { continue }
            told.count += 1
            say(
                report, .key, stranger.sentence, isBad: true, reason: stranger.kind.reason,
                peer: stranger.nodeID)
        }
        for known in strangers
        where known.isSaid && !present.contains(where: { $0.isSame(known.stranger) }) {
            let age = Words.time(Self.age(since: known.since, now))
            say(
                report, .key, "over after \(age): \(known.stranger.sentence)",
                reason: known.stranger.kind.reason, peer: known.stranger.nodeID)
        }
        strangers.removeAll { known in !present.contains { $0.isSame(known.stranger) } }
    }

    private mutating func lookAtPeers(_ report: NodeReport) {
        for peer in report.peers {
            let name = "\(peer.role) \(peer.nodeID) (\(peer.address))"
            let last = peers[peer.nodeID]
            peers[peer.nodeID] = peer
            if last?.isHeard != peer.isHeard {
                guard peer.isHeard || last != nil else { continue }
                say(
                    report, .peer, "\(name) is \(peer.isHeard ? "heard" : "silent")",
                    isBad: !peer.isHeard, peer: peer.nodeID)
            }
            if peer.role == .slave, peer.isHeard, (last?.isInSync ?? false) != peer.isInSync {
                say(
                    report, .peer, "\(name) is \(peer.isInSync ? "" : "not ")in sync",
                    isBad: !peer.isInSync, peer: peer.nodeID)
            }
        }
        let present = Set(report.peers.map(\.nodeID))
        peers = peers.filter { present.contains($0.key) }
    }

    // MARK: Conditions

    /// A transition is told after the report that it came before: what it belongs to may have begun
    /// later than it.
    fileprivate static func age(since: Instant, _ now: Instant) -> UInt64 {
        now - min(since, now)
    }

    private mutating func lookAtProblem(_ report: NodeReport, _ now: Instant) {
        guard let problem = report.problem else {
            endProblem(report, now)
            hasBeenWell = true
            return
        }
        let isOther = condition?.problem.sentence != problem.sentence
        if condition == nil { condition = Condition(problem: problem, since: now) }
        condition?.problem = problem
        guard let current = condition else { return }
        let age = Self.age(since: current.since, now)
        if let said = current.said {
            let count = Self.repetitions.count { $0 <= age }
            let isNew = isOther && current.tells(problem.sentence, now: now)
            guard isNew || count > said else { return }
            condition?.said = count
        } else {
            guard age >= delay(problem.reason, current.since) else { return }
            condition?.said = 0
        }
        let times = current.sentences[problem.sentence]?.count ?? 0
        if current.sentences.count >= Self.sentenceLimit { condition?.sentences = [:] }
        condition?.sentences[problem.sentence] = (now, times + 1)
        say(
            report, .state,
            age < Self.briefTime ? report.statusLine : Self.aged(report, age).verdict, isBad: true,
            reason: problem.reason)
    }

    /// A report of the past knows the reason of that instant, and not for how long there was one.
    private static func aged(_ report: NodeReport, _ age: UInt64) -> NodeReport {
        var report = report
        report.syncAge = max(report.syncAge, age)
        report.aloneAge = report.aloneAge.map { max($0, age) }
        return report
    }

    /// How long something must last to be said.
    private func delay(_ reason: NodeReport.Reason, _ since: Instant) -> UInt64 {
        if since < roleSince + Self.briefTime {
            return role == .master ? Self.masterTime : Self.briefTime
        }
        return reason.isBrief ? Self.briefTime : 0
    }

    private mutating func endProblem(_ report: NodeReport, _ now: Instant) {
        defer { condition = nil }
        guard let condition else {
            if !hasBeenWell { say(report, .state, report.statusLine) }
            return
        }
        // Too brief to have been said.
        if condition.said == nil, hasBeenWell { return }
        let again = hasBeenWell ? " again" : ""
        say(
            report, .state,
            "\(report.statusLine)\(again) after \(Words.time(Self.age(since: condition.since, now))) "
                + "(\(condition.problem.sentence))")
    }

    private mutating func lookAtRemarks(_ report: NodeReport, _ now: Instant) {
        // Who speaks in another way is said as it is heard.
        let warnings = report.warnings.filter { !$0.reason.isOfKeys }
        for warning in warnings {
            let key = warning.reason.rawValue
            let known = remarks[key] ?? Condition(problem: warning, since: now)
            remarks[key] = known
            let age = Self.age(since: known.since, now)
            let count = Self.repetitions.count { $0 <= age }
            guard age >= delay(warning.reason, known.since), count > known.said ?? -1 else {
                continue
            }
            remarks[key]?.said = count
            let past = count == 0 ? "" : "for \(Words.time(age)): "
            say(
                report, .remark, past + warning.sentence, isBad: true, reason: warning.reason)
        }
        let present = Set(warnings.map(\.reason.rawValue))
        for (key, known) in remarks where !present.contains(key) {
            remarks[key] = nil
            guard known.said != nil else { continue }
            say(
                report, .remark,
                "over after \(Words.time(Self.age(since: known.since, now))): "
                    + known.problem.sentence,
                reason: known.problem.reason)
        }
    }
}

extension NodeReport.Reason {
    /// Whether a slave usually repairs it by itself in milliseconds.
    var isBrief: Bool {
        switch self {
        case .packetsMissing, .incompleteEntries, .waitingForParent: true
        default: false
        }
    }
}
