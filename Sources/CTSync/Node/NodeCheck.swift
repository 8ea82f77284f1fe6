// SPDX-License-Identifier: GPL-2.0-or-later

/// `ct_sync check`: would a takeover work, and would it have been noticed?
///
/// Made of a report and of what this kernel is set to; each item says what to do if it is not well.
struct NodeCheck {
    /// How bad an item is, by the exit status of monitoring plugins.
    enum Level: Int, Comparable {
        case ok = 0
        case warn = 1
        case fail = 2

        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    /// One thing that was looked at.
    struct Item: Equatable {
        var level: Level
        var name: String
        var text: String
        /// What to type; empty if it is well.
        var remedy = ""
    }

    /// What is not in the report.
    struct Facts {
        /// What this kernel is set to.
        var traits = Traits()
        /// MemAvailable of /proc/meminfo, in kilobytes; nil if it is not known.
        var availableKilobytes: UInt64?
        /// What is there for the time after an opening.
        var outside = Outside()
        /// The last rehearsal, and its age.
        var rehearsal: (age: UInt64, result: Rehearsal)?
        /// Why files could not be written.
        var fileTroubles: [String] = []
        /// The control file, if it is not in memory.
        var fileOnDisk: String?
        /// Between two comparisons; 0 for none.
        var reconcileSeconds: UInt64 = 0
    }

    private(set) var items: [Item] = []
    let report: NodeReport
    let facts: Facts

    /// Looks at everything.
    init(_ report: NodeReport, _ facts: Facts) {
        self.report = report
        self.facts = facts
        checkState()
        checkLink()
        if report.role == .slave {
            checkProof()
            checkLacks()
        }
        checkPeers()
        checkRoom()
        checkKernel()
        checkNode()
        checkOutside()
        checkForecast()
    }

    /// Adds a line.
    mutating func add(
        _ level: Level, _ name: String, _ text: String, _ remedy: String = ""
    ) {
        items.append(Item(level: level, name: name, text: text, remedy: report.typed(remedy)))
    }

    // MARK: Items

    private mutating func checkState() {
        let name = report.role == .slave ? "in sync" : "slaves"
        let isSync = report.problem.map { $0.reason != .lacking && $0.reason != .l2drop } ?? false
        guard isSync, let problem = report.problem else {
            let text = report.role == .slave ? "with node \(report.masterID)" : report.redundancy
            return add(.ok, name, text)
        }
        add(.fail, name, problem.sentence, problem.tries.first?.command ?? "ct_sync status")
    }

    private mutating func checkLink() {
        let device = report.link.device
        let heard = report.peers.filter(\.isHeard).map { "node \($0.nodeID)" }
        if !report.link.isPresent {
            add(.fail, "link", "\(device) is gone", "ip link")
        } else if !report.link.hasCarrier {
            add(.fail, "link", "\(device) has no carrier", "ip link show \(device)")
        } else if heard.isEmpty {
            add(.fail, "link", "nobody is heard on \(device)", "ct_sync status")
        } else {
            add(.ok, "link", "\(heard.joined(separator: ", ")) heard on \(device)")
        }
        for peer in report.link.misplaced.own {
            add(.fail, "peer", "\(peer) is an address of this node itself", "ip -br addr")
        }
        for peer in report.link.misplaced.elsewhere
        where !report.peers.contains(where: { $0.isHeard && $0.address == "\(peer)" }) {
            add(
                .warn, "peer",
                "\(peer) is in no network of \(device), and no route by it leads there",
                "ip -br addr    on both nodes")
        }
        let foreign = ["own_id", "version", "cluster"]
        let recent = report.drops.filter { drop in
            foreign.contains(drop.reason) && (drop.age.map { $0 < 60 * Duration.second } ?? false)
        }
        for drop in recent {
            add(
                .fail, "nodes",
                "packets from \(drop.address ?? "") are dropped: \(drop.reason)",
                "ct_sync status on both nodes")
        }
        for stranger in report.seal.strangers {
            // While a cluster gets its key, some have it and some have not.
            let isExpected = stranger.kind == .unsealed && report.seal.mode == .permissive
            add(
                isExpected ? .warn : .fail, "nodes", stranger.sentence,
                "\(report.keyHint(stranger.kind).command)    on both nodes")
        }
        if recent.isEmpty, report.seal.strangers.isEmpty {
            add(.ok, "nodes", "ids, versions, clusters and keys agree")
        }
        for peer in report.peers where peer.isClockApart {
            let offset = Words.time(peer.clockOffsetMicroseconds.magnitude * 1_000)
            add(
                .warn, "clock", "\(offset) apart from node \(peer.nodeID)'s",
                "timedatectl, on both nodes")
        }
        if report.peers.contains(where: \.isHeard), !report.peers.contains(where: \.isClockApart) {
            add(.ok, "clock", "the nodes' clocks agree")
        }
    }

    private mutating func checkProof() {
        guard let verified = report.verified else {
            return add(.warn, "verified", "not yet", "ct_sync verify")
        }
        let text = verified.sentence.replacing("verified ", with: "")
        let limit = max(2 * facts.reconcileSeconds, 600) * Duration.second
        if verified.differed > 0 || verified.added > 0 {
            add(.warn, "verified", "\(text), \(verified.added) added", "ct_sync verify")
        } else if verified.age > limit {
            add(.warn, "verified", text, "ct_sync verify")
        } else {
            add(.ok, "verified", text)
        }
    }

    private mutating func checkLacks() {
        let lacks = report.lacks.filter { $0.count > 0 }
        for lack in lacks {
            add(
                Self.level(lack: lack.what), lack.what.replacing("_", with: " "), lack.sentence,
                lack.hint.command)
        }
        if lacks.isEmpty { add(.ok, "nat, helpers", "nothing is lacking for what is held") }
    }

    /// Without labels and helpers a connection goes on all the same.
    static func level(lack: String) -> Level {
        ["labels", "helper"].contains(lack) ? .warn : .fail
    }

    private mutating func checkRoom() {
        guard let limit = report.entriesLimit, limit > 0 else { return }
        let most = max(report.entriesHeld, report.entriesOfMaster ?? 0)
        let text = "\(Words.number(most)) of \(Words.number(limit)) entries"
        let remedy = "sysctl -w net.netfilter.nf_conntrack_max=\(limit * 2)"
        if most >= limit {
            add(.fail, "room", text, remedy)
        } else if most * 10 >= limit * 9 {
            add(.warn, "room", text, remedy)
        } else {
            add(.ok, "room", text)
        }
        checkMemory(UInt64(max(0, limit - report.entriesHeld)))
        if let buckets = facts.traits[.buckets], buckets > 0, UInt64(limit) > 8 * UInt64(buckets) {
            add(
                .warn, "buckets", "\(Words.number(buckets)) for \(Words.number(limit)) entries",
                "sysctl -w net.netfilter.nf_conntrack_buckets=\(limit / 4)")
        }
    }

    /// About what an entry takes in the kernel, with its extensions.
    private static let entryByteCount: UInt64 = 400

    private mutating func checkMemory(_ more: UInt64) {
        guard let kilobytes = facts.availableKilobytes else { return }
        let (free, needed) = (kilobytes >> 10, (more * Self.entryByteCount) >> 20)
        let text =
            "\(Words.number(free)) MB are available, a full table takes about "
            + "\(Words.number(needed)) MB more"
        if free < needed {
            add(.warn, "memory", text, "free -m; sysctl net.netfilter.nf_conntrack_max")
        } else {
            add(.ok, "memory", text)
        }
    }

    private mutating func checkKernel() {
        switch facts.traits[.events] {
        case 0: add(.fail, "events", "off", "sysctl -w net.netfilter.nf_conntrack_events=1")
        case 1: add(.ok, "events", "on")
        default:
            add(
                .warn, "events", "only while somebody listens",
                "sysctl -w net.netfilter.nf_conntrack_events=1")
        }
        if facts.traits[.forwarding] == 0 {
            add(.fail, "forwarding", "IPv4 is not forwarded", "sysctl -w net.ipv4.ip_forward=1")
        } else {
            add(.ok, "forwarding", "IPv4 is forwarded")
        }
    }

    private mutating func checkNode() {
        if let failure = report.l2drop.failure {
            add(.fail, "l2drop", failure, "ct_sync l2drop status")
        } else if report.role == .slave, report.l2drop.backend != nil, !report.l2drop.isOn {
            add(
                .warn, "l2drop",
                "open, by hand: both nodes answer for the same addresses until a demotion or a restart",
                "ct_sync l2drop status")
        } else if let backend = report.l2drop.backend {
            add(.ok, "l2drop", report.l2drop.isOn ? "dark by \(backend)" : "open, by \(backend)")
        } else {
            add(.ok, "l2drop", "not used")
        }
        for trouble in facts.fileTroubles {
            add(.warn, "files", trouble, "df; ls -ld /run/ct_sync")
        }
        if let path = facts.fileOnDisk {
            add(
                .warn, "files", "\(path) is not in memory: a takeover waits for its disk",
                "control-file = /run/ct_sync/state    in ct_sync.conf")
        } else if facts.fileTroubles.isEmpty {
            add(.ok, "files", "control file and epoch are kept")
        }
    }

    /// How long a takeover would take, by the last one and by a rehearsal.
    private mutating func checkForecast() {
        var texts: [String] = []
        if let micros = report.promotionMicroseconds {
            texts.append("the last promotion took \(Words.time(micros * 1_000))")
        }
        if let (age, result) = facts.rehearsal {
            texts.append("a rehearsal \(Words.time(age)) ago: \(result.sentence)")
            if report.role == .slave, !result.isReady {
                return add(.warn, "takeover", texts.joined(separator: ", "), "ct_sync rehearse")
            }
        }
        if texts.isEmpty {
            let command = report.typed("ct_sync rehearse")
            texts = ["none since the daemon runs; \(command) on a slave times one"]
        }
        add(.ok, "takeover", texts.joined(separator: ", "))
    }

    // MARK: The answer

    /// The lines of the control socket: level, name, sentence, remedy.
    var lines: [ControlLine] {
        items.map { item in
            let fields = ["\(item.level.rawValue)", item.name, item.text, item.remedy]
            return ControlLine(
                "item", fields.map { $0.replacing("\t", with: " ") }.joined(separator: "\t"))
        }
    }
}
