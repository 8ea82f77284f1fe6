// SPDX-License-Identifier: GPL-2.0-or-later

/// What is wrong with a node, and which command tells more.
extension NodeReport {
    /// Why the node is not well; nil if it is.
    var problem: Problem? {
        if let failure = l2drop.failure { return Problem(.l2drop, failure) }
        guard role == .slave else {
            return areEventsOff ? silentKernel : aloneAge == nil ? nil : alone
        }
        if let outOfSync { return problem(outOfSync) }
        return lacking
    }

    // MARK: A slave

    private func problem(_ reason: SlaveProtocol.OutOfSync) -> Problem {
        switch reason {
        case .noMaster: return evidence ?? noMaster
        case .silent: return evidence ?? silent
        case .adopting: return Problem(.reading, "this kernel's table is being read")
        case .initsync: return initsyncProblem
        case .gap:
            return Problem(.packetsMissing, "packets are missing and asked for again")
        case .insufficient:
            return Problem(.incompleteEntries, "entries are incomplete and asked for again")
        case .waiting, .expectationsWaiting:
            return Problem(.waitingForParent, "entries wait for the connection they belong to")
        case .refused, .expectationsRefused:
            let names = injectionErrors.map(\.name).joined(separator: ", ")
            return Problem(
                .refusedEntries, "the kernel refuses entries\(names.isEmpty ? "" : " (\(names))")",
                detail: refusedEntries > 0
                    ? "\(Words.count(refusedEntries, "entry is", "entries are")) missing; they are "
                        + "tried again" : "",
                tries: [Hint(command: "ct_sync dump", why: "what is there?"), Self.kernelLog])
        case .full, .expectationsFull:
            return Problem(
                .tableFull, "the table is full",
                detail: entriesLimit.map { "it may hold \(Words.number($0)) entries" } ?? "",
                tries: [
                    Hint(
                        command: "sysctl net.netfilter.nf_conntrack_max",
                        why: "as large as on the master? max-entries as well?")
                ])
        case .eventsOff:
            return Problem(
                .eventsOff, "the kernel of node \(masterID) sends no events",
                detail: "what changes there is seen by its walks only",
                tries: [statusElsewhere("what does it say?", on: masterID)])
        case .unwatched:
            return Problem(
                .unwatched, "changes of this kernel's table are not heard",
                detail: "nf_conntrack_events is 0 and cannot be set, or there is no socket for it",
                tries: [Self.events])
        case .kernelChanged:
            return Problem(
                .kernelChanged,
                "somebody else has changed this kernel's table; it is put right",
                tries: [Hint(command: "ct_sync verify", why: "is it so again?")])
        case .rules:
            return Problem(
                .rulesDiffer,
                "the rules of what is replicated differ from those of node \(masterID)",
                detail: "what one of them leaves out is lost at a takeover",
                tries: [
                    Hint(
                        command: "grep -E 'replicate|own' \(configurationFile)",
                        why: "on both nodes: the same lines in the same order?")
                ])
        }
    }

    private static let events = Hint(
        command: "sysctl -w net.netfilter.nf_conntrack_events=1",
        why: "what keeps it from being set?")

    /// A master that does not hear what changes.
    private var silentKernel: Problem {
        Problem(
            .eventsOff, "this kernel sends no events: changes are not replicated",
            detail: "nf_conntrack_events is 0 and cannot be set; walks are all that slaves hear",
            tries: [Self.events])
    }

    private static let kernelLog = Hint(command: "dmesg | tail", why: "what does the kernel say?")

    private var initsyncProblem: Problem {
        guard !initsync.isRunning else { return Problem(.initsync, "initsync") }
        let isLate = reasonAge >= Self.requestTime
        guard isLate, initsync.unansweredRequests >= Self.requestPatience else {
            return Problem(.initsync, "an initsync is asked for")
        }
        let asked = Words.count(initsync.unansweredRequests, "request", "requests")
        return Problem(
            .noAnswer, "node \(masterID) does not answer; do its rules let UDP \(link.port) in?",
            detail: "\(asked) without an answer; its packets arrive here",
            tries: [
                Hint(
                    command: "nft list ruleset | grep \(link.port)",
                    why: "on node \(masterID): may our packets in?"),
                statusElsewhere("does it hear this node?", on: masterID),
            ])
    }

    /// So many requests without an answer, for so long, are no accident: a master that has just been promoted
    /// may let one wait for a second or two.
    static let (requestPatience, requestTime) = (4, 2_500 * Duration.millisecond)

    private var noMaster: Problem {
        let sinceStart = uptime < roleAge + 2 * Duration.second
        return Problem(
            .noMaster, "no master heard since \(sinceStart ? "the start" : "this node is slave")",
            detail: traffic,
            tries: [statusElsewhere("is it master? same port and group?"), capture])
    }

    private var silent: Problem {
        guard let master = peers.first(where: { $0.role == .master }) else { return noMaster }
        return Problem(
            .masterSilent, "node \(master.nodeID) is silent",
            detail: "it was heard last at \(clock(ago: master.heardAge)), at \(master.address)",
            tries: [
                ping(master.address), statusElsewhere("is the daemon there?", on: master.nodeID),
                capture,
            ])
    }

    private var lacking: Problem? {
        let needed = lacks.filter { $0.count > 0 && $0.what == "nat_chain" }
        guard let first = needed.first else { return nil }
        return Problem(
            .lacking, first.sentence,
            detail: needed.dropFirst().map(\.sentence)
                .joined(separator: "; "),
            tries: needed.map(\.hint))
    }

    // MARK: A master

    private var alone: Problem {
        if knownSlaves == 0, let evidence { return evidence }
        let slaves = peers.filter { $0.role == .slave }
        if let silent = slaves.max(by: { $0.heardAge > $1.heardAge }), !silent.isHeard {
            var problem = evidence ?? Problem(.alone, "no slave could take over")
            problem.detail = "\(last(silent)). \(cut)"
            if problem.reason == .alone {
                let question = statusElsewhere("is the daemon there?", on: silent.nodeID)
                problem.tries = [ping(silent.address), question, ruleset]
            }
            return problem
        }
        if let slave = slaves.first {
            return Problem(
                .alone, "no slave could take over",
                detail: "slave \(slave.nodeID) (\(slave.address)) is heard and not in sync. \(cut)",
                tries: [statusElsewhere("why is it not in sync?", on: slave.nodeID)])
        }
        return Problem(
            .alone, "no slave could take over", detail: "no slave has been heard. \(traffic)",
            tries: [statusElsewhere("is it slave? same port and group?"), capture])
    }

    private func last(_ peer: Peer) -> String {
        let then = peer.isInSync ? "in sync then" : "not in sync then"
        return "slave \(peer.nodeID) (\(peer.address)) was heard last at "
            + "\(clock(ago: peer.heardAge)), \(then)"
    }

    private var cut: String {
        "A takeover would cut \(Words.count(entriesHeld, "connection", "connections"))."
    }

    // MARK: Words

    /// What came and went.
    var traffic: String {
        let refused = link.refused > 0 ? ", \(Words.number(link.refused)) refused" : ""
        return "\(Words.count(link.packetsIn, "packet", "packets")) came in on \(link.device), UDP "
            + "\(link.port), \(link.target); \(Words.number(link.packetsOut)) went out\(refused)"
    }

    /// The time of day so many nanoseconds ago.
    func clock(ago age: UInt64) -> String {
        let micros = age / Duration.microsecond
        return Words.clock(wallMicroseconds > micros ? wallMicroseconds - micros : 0)
    }

    /// The hint to try the link to an address.
    func ping(_ address: String) -> Hint {
        let carrier = link.hasCarrier ? "yes" : "no"
        return Hint(
            command: "ping -I \(link.device) \(address)",
            why: "is the link up? (\(link.device): carrier \(carrier))")
    }

    /// The hint to ask another node.
    func statusElsewhere(_ question: String, on nodeID: UInt8? = nil) -> Hint {
        let node = nodeID.map { "node \($0)" } ?? "the other node"
        return Hint(command: "ct_sync status", why: "on \(node): \(question)")
    }

    var capture: Hint {
        Hint(
            command: "tcpdump -ni \(link.device) udp port \(link.port)",
            why: "do its packets arrive? then a rule drops them: nft list ruleset")
    }

    var ruleset: Hint {
        Hint(command: "nft list ruleset | grep \(link.port)", why: "may its packets in?")
    }
}

extension NodeReport.Lack {
    /// What it means after a takeover.
    var sentence: String {
        let entries = Words.count(count, "connection", "connections")
        switch what {
        case "nat_chain": return "no nat chain here for \(entries) that must be translated"
        case "nat": return "this kernel has no NAT for \(entries) that must be translated"
        case "address":
            return "\(entries) translated to \(name ?? ""), which stays with the master"
        case "helper": return "the helper \(name ?? "") is not there for \(entries)"
        case "labels": return "labels of \(entries) are left out, as no rule here uses labels"
        default: return "\(what)\(name.map { " \($0)" } ?? "") is lacking for \(entries)"
        }
    }

    /// What to do about it.
    var hint: NodeReport.Hint {
        switch what {
        case "nat_chain":
            NodeReport.Hint(command: "nft list chains", why: "load the master's nat rules here")
        case "address":
            NodeReport.Hint(
                command: "nft list ruleset",
                why: "translate to an address that moves: snat to it, not masquerade")
        case "helper":
            NodeReport.Hint(
                command: "modprobe nf_conntrack_\((name ?? "").replacing("-", with: "_"))",
                why: "before a takeover")
        default: NodeReport.Hint(command: "lsmod | grep nf_nat", why: "is NAT there?")
        }
    }
}
