// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Looks how the node is, once a second and after each change of the role, and tells it: systemd, the
/// journal, the history.
///
/// Thread: control.
struct Observer {
    private let log: Logger
    private let disk: DiskWriter
    private var chronicle = Chronicle()
    private var history: History
    private var due: Instant = 0
    private var seenChanges: UInt64 = 0
    private var seenTransitions: UInt64 = 0
    /// Whether it has looked at all, the last promotion that it has seen, and what becomes of it.
    private var hasLooked = false
    private var seenPromotion: NodeEngine.Promotion?
    private var timeline: TakeoverTimeline?
    /// What the kernel had forwarded when it last looked at a slave: a packet that comes while a
    /// promotion ends is the first one after it.
    private var forwardedBefore: UInt64?

    init(controlFile: String, disk: DiskWriter, log: Logger) {
        self.disk = disk
        self.log = log
        history = History(controlFile: controlFile)
    }

    /// How long it is until the next look: usually, and while no other node is heard.
    static func interval(_ report: NodeReport) -> UInt64 {
        report.needsWitness ? 250 * Duration.millisecond : 1 * Duration.second
    }

    /// How long it need not look.
    func patience(now: Instant) -> UInt64 {
        max(min(due, timeline?.due ?? due), now) - now
    }

    /// Looks, if it is time or if somebody asks.
    mutating func look(_ node: Node, _ service: inout ServiceNotify, isAsked: Bool = false) {
        let now = Clock.now()
        follow(node, now)
        let changes = node.roleChanges.toMaster + node.roleChanges.toSlave
        guard isAsked || now >= due || changes != seenChanges else { return }
        seenChanges = changes
        if node.role == .slave { forwardedBefore = ForwardedPackets.count }
        node.tellAnnouncements()
        node.lookAtRefusals(now)
        let report = node.nodeReport()
        node.lookAtDevice(report)
        node.tellTraits(report, now: now)
        due = now + Self.interval(report)
        service.show(report.statusLine)
        tell(report, node.link.status.transitions, now)
    }

    private mutating func tell(
        _ report: NodeReport, _ transitions: SyncTransitions, _ now: Instant
    ) {
        var events: [HistoryEvent] = []
        let roleSince = now - min(report.roleAge, now)
        for transition in transitions.since(seenTransitions)
        where report.role == .slave && transition.at >= roleSince && transition.at <= now {
            var past = report
            let age = now - transition.at
            past.outOfSync = transition.reason
            (past.syncAge, past.reasonAge) = (0, 0)
            past.roleAge = transition.at - roleSince
            past.wallMicroseconds -= min(age / Duration.microsecond, past.wallMicroseconds)
            events += chronicle.take(past, now: transition.at)
        }
        seenTransitions = transitions.count
        events += chronicle.take(report, now: now)
        guard !events.isEmpty else { return }
        for event in events { write(history.add(event)) }
        disk.record(history)
    }

    /// Follows a takeover until its phases are known; what a daemon starts as is none.
    private mutating func follow(_ node: Node, _ now: Instant) {
        defer { (hasLooked, seenPromotion) = (true, node.engine.promotion) }
        if hasLooked, let promotion = node.engine.promotion, promotion != seenPromotion {
            timeline = TakeoverTimeline(
                promotion, forwarded: forwardedBefore ?? ForwardedPackets.count, now: now,
                wallMicroseconds: Clock.wallMicroseconds())
        }
        guard let due = timeline?.due, now >= due || node.role == .slave,
            let event = timeline?.look(node.takeoverFacts, now: now)
        else { return }
        timeline = nil
        write(history.add(event))
        disk.record(history)
    }

    /// A line of the journal, with fields that can be searched for.
    private func write(_ event: HistoryEvent) {
        var fields: Logger.Metadata = [
            "MESSAGE_ID": "\(event.kind.messageID)", "CT_SYNC_ROLE": "\(event.role)",
        ]
        if let reason = event.reason { fields["CT_SYNC_REASON"] = "\(reason)" }
        if let peer = event.peerID { fields["CT_SYNC_PEER"] = "\(peer)" }
        log.log(level: event.isBad ? .warning : .notice, "\(event.text)", metadata: fields)
    }

    /// Answers with the events after the one of the number `since`.
    func answer(_ request: ControlRequest) -> ControlReply {
        let since = request["since"].flatMap { UInt64($0) } ?? 0
        return ControlReply(
            history.events.filter { $0.number > since }.map { ControlLine("event", $0.line) })
    }
}
