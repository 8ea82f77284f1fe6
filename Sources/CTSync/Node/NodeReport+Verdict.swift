// SPDX-License-Identifier: GPL-2.0-or-later

/// What is said of a node: the verdict, and what stands below it.
extension NodeReport {
    /// Who, what, well or not, for how long: the first line of `ct_sync status`.
    var verdict: String {
        guard let problem else {
            guard role == .master else { return "SLAVE, in sync for \(Words.time(syncAge))" }
            return "MASTER for \(Words.time(roleAge))\(promotion)"
        }
        let age = problemAge(problem).map { " for \(Words.time($0))" } ?? ""
        return "\(state(problem))\(age): \(problem.sentence)\(progress(problem))"
    }

    /// The same without ages and counts, which changes only with what it says: for systemd's STATUS=
    /// and for the journal.
    var statusLine: String {
        if let problem { return "\(state(problem)): \(problem.sentence)" }
        guard role == .master else { return "SLAVE of node \(masterID), in sync" }
        return "MASTER, \(redundancy)"
    }

    /// `2 of 2 slaves could take over now`
    var redundancy: String {
        "\(readySlaves) of \(knownSlaves) slaves could take over now"
    }

    private var promotion: String {
        guard let promotionMicroseconds else { return "" }
        let micros = roleAge / Duration.microsecond
        let at = wallMicroseconds > micros ? wallMicroseconds - micros : 0
        return ", promoted in \(Words.time(promotionMicroseconds * 1_000)) at \(Words.clock(at))"
    }

    /// The role and the state word, without ages.
    private func state(_ problem: Problem) -> String {
        let name = role == .master ? "MASTER" : "SLAVE"
        if problem.reason == .l2drop {
            return "\(name), \(role == .master ? "STILL DARK" : "NOT DARK")"
        }
        if problem.reason == .eventsOff, role == .master { return "\(name), NOT REPLICATING" }
        if role == .master { return "\(name), ALONE" }
        return problem.reason == .lacking ? "\(name), in sync, NOT READY" : "\(name), NOT IN SYNC"
    }

    private func problemAge(_ problem: Problem) -> UInt64? {
        switch problem.reason {
        case .l2drop, .lacking: nil
        case .eventsOff where role == .master: nil
        default: role == .master ? aloneAge : syncAge
        }
    }

    /// How far a repair has got: `, 61,200 of about 104,000 entries, 4 s to go`
    private func progress(_ problem: Problem) -> String {
        guard problem.reason == .initsync, initsync.isRunning else { return "" }
        guard let entriesOfMaster, entriesOfMaster > 0 else {
            return ", \(Words.number(initsync.done)) entries"
        }
        let left = initsync.left(of: entriesOfMaster).map { ", \(Words.time($0)) to go" } ?? ""
        return ", \(Words.number(initsync.done)) of about \(Words.number(entriesOfMaster)) entries"
            + left
    }

    // MARK: Below the verdict

    /// Sentences on what is normal, the most important first.
    var facts: [String] {
        role == .slave ? slaveFacts : masterFacts
    }

    private var slaveFacts: [String] {
        guard outOfSync == nil else {
            guard entriesHeld > 0, roleAge > 0 else { return [] }
            return ["\(connections(entriesHeld)) of a master \(are(entriesHeld)) in this kernel"]
        }
        var of = "of the master's"
        if let entriesOfMaster, entriesOfMaster > 0 {
            of = "of the master's about \(Words.number(entriesOfMaster))"
        }
        let held = Words.number(entriesHeld)
        var facts = ["\(held) \(of) connections \(are(entriesHeld)) in this kernel\(share)"]
        if problem == nil { facts.append("a takeover is possible: \(readiness)") }
        if let proof { facts.append(proof) }
        return facts
    }

    private var masterFacts: [String] {
        let all = "\(connections(entriesHeld))\(share)"
        guard knownSlaves > 0, aloneAge == nil else { return [all] }
        let proofs = peers.filter(\.isReady).compactMap { peer in
            peer.verified.map { "slave \(peer.nodeID) \($0.sentence)" }
        }
        return ["\(all); \(redundancy)"] + proofs
    }

    private func connections(_ count: Int) -> String {
        Words.count(count, "connection", "connections")
    }

    private func are(_ count: Int) -> String { count == 1 ? "is" : "are" }

    /// ` (40 % of 262,144)`
    private var share: String {
        guard let entriesLimit, entriesLimit > 0 else { return "" }
        return " (\(entriesHeld * 100 / entriesLimit) % of \(Words.number(entriesLimit)))"
    }

    /// The last comparison in one sentence; nil before the first.
    var proof: String? { verified?.sentence }

    private var readiness: String {
        guard let backend = l2drop.backend else { return "l2drop is not used" }
        return l2drop.isOn
            ? "dark by \(backend), opens when promoted" : "not dark, l2drop is off by hand"
    }

    /// What is not normal, the reason why the node is not well first.
    var remarks: [Remark] {
        var remarks: [Remark] = []
        if let problem {
            remarks.append(
                Remark(reason: problem.reason, text: problem.detail, tries: problem.tries))
        }
        remarks += warnings.map { warning in
            let text = [warning.sentence, warning.detail].filter { !$0.isEmpty }
            return Remark(
                reason: warning.reason, text: text.joined(separator: "; "), tries: warning.tries)
        }
        return remarks.map { remark in
            var remark = remark
            for index in remark.tries.indices {
                remark.tries[index].command = typed(remark.tries[index].command)
            }
            return remark
        }
    }

    /// A command as it is to be typed for this node.
    func typed(_ command: String) -> String {
        ClientCommand.typed(command, controlFile: controlFile)
    }

    /// The id of the master that a slave follows; 0 for none.
    var masterID: UInt8 { peers.first { $0.role == .master }?.nodeID ?? 0 }
}

extension NodeReport.Verified {
    /// `verified 42 s ago: 104,382 entries, 0 differed`
    var sentence: String {
        "verified \(Words.time(age)) ago: \(Words.count(entries, "entry", "entries")), "
            + "\(Words.number(differed)) differed"
    }
}
