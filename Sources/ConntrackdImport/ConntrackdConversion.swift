// SPDX-License-Identifier: GPL-2.0-or-later

/// Makes a ct_sync.conf of a conntrackd.conf: its settings, and a comment on each clause.
///
/// Nothing is guessed that would leave a connection behind: what ct_sync cannot say in the same way is
/// left wider, and said.
package struct ConntrackdConversion {
    private let path: String
    private var file = OutputFile()
    private var filter = Filter()
    private var links: [Link] = []
    /// What becomes of them.
    private var linkSettings = LinkSettings()
    /// How many of them were written.
    private var written = 0
    /// The place of the link that becomes the sync device.
    private var chosen = 0
    private var port = Self.defaultPort

    private static let defaultPort = 3781
    /// conntrackd's own limit.
    private static let linkLimit = 4

    /// The text of ct_sync.conf for the text of a conntrackd.conf; the path is for sentences and comments.
    ///
    /// - Throws: `ImportMistake`, the first mistake found.
    package static func configuration(
        from text: String, path: String
    ) throws(ImportMistake) -> String {
        let clauses = try Parser.clauses(of: text, path: path)
        var conversion = try ConntrackdConversion(clauses, path: path)
        return conversion.convert(clauses)
    }

    private init(_ clauses: [Clause], path: String) throws(ImportMistake) {
        self.path = path
        let sync = clauses.filter { $0.name == "Sync" }
        guard let first = sync.first else {
            throw ImportMistake(
                path, nil,
                "there is no Sync section: conntrackd replicates nothing here, so there is nothing "
                    + "to take over; keep conntrackd for statistics and helpers")
        }
        if let stats = clauses.first(where: { $0.name == "Stats" }) {
            throw ImportMistake(
                path, max(stats.line, first.line),
                "Stats and Sync are both given, with which conntrackd does not start")
        }
        for clause in sync.flatMap(\.clauses) where Link.kinds.contains(clause.name) {
            if let kind = links.first?.kind, kind != clause.name {
                throw ImportMistake(
                    path, clause.line,
                    "\(clause.name) stands beside \(kind), but all links of conntrackd are of one kind"
                )
            }
            guard links.count < Self.linkLimit else {
                throw ImportMistake(
                    path, clause.line,
                    "this is one more than the \(Self.linkLimit) links that conntrackd takes")
            }
            if clause.words.contains("Default") { chosen = links.count }
            links.append(try Link(clause, path: path))
        }
        guard !links.isEmpty else {
            throw ImportMistake(
                path, first.line,
                "Sync has no Multicast, UDP or TCP section, which names the sync device; add one")
        }
        linkSettings = LinkSettings(links, chosen: chosen)
        while links.contains(where: { $0.port == port }) { port += 1 }
    }

    private mutating func convert(_ clauses: [Clause]) -> String {
        file.comment(
            "/etc/ct_sync.conf, made by ct_sync import-conntrackd of \(ImportMistake.plain(path)): its "
                + "clauses with their line numbers, and what became of each.")
        file.blank()
        write(clauses, indent: 0)
        filter.write(to: &file)
        file.blank()
        file.comment(
            "The role comes from the cluster manager: ct_sync-primary-backup takes the words of "
                + "conntrackd's primary-backup.sh.")
        return file.text
    }

    private mutating func write(_ clauses: [Clause], indent: Int) {
        for clause in clauses { write(clause, indent: indent) }
    }

    private mutating func write(_ clause: Clause, indent: Int) {
        switch clause.name {
        case "Multicast", "UDP", "TCP": writeLink(clause, indent: indent)
        case "HashLimit": writeLimit(clause, indent: indent)
        case "ResendQueueSize": writeQueue(clause, indent: indent)
        case "Protocol", "Address", "State", "IgnoreProtocol", "IgnoreTrafficFor", "Replicate":
            writeFilter(clause, indent: indent)
        case "Filter":
            // Where conntrackd decides, if it says so.
            let place = clause.words.isEmpty ? "" : Remarks.filterPlace
            file.clause(clause, place, indent: indent)
            write(clause.clauses, indent: indent + 2)
        case "Helper":
            file.clause(clause, Remarks.remark(clause), indent: indent)
            writeHelpers(clause.clauses, indent: indent + 2)
        default:
            file.clause(clause, Remarks.remark(clause), indent: indent)
            write(clause.clauses, indent: indent + 2)
        }
    }

    private mutating func writeHelpers(_ clauses: [Clause], indent: Int) {
        for clause in clauses {
            file.clause(clause, "", indent: indent)
            writeHelpers(clause.clauses, indent: indent + 2)
        }
    }

    private mutating func writeLink(_ clause: Clause, indent: Int) {
        let link = links[written]
        defer { written += 1 }
        guard written == chosen else {
            writeFurther(link, linkSettings.parts[written], indent: indent)
            return
        }
        let isTCP = link.kind == "TCP"
        file.clause(
            clause,
            isTCP
                ? "cannot be had: ct_sync sends over UDP only, numbers its packets and sends lost ones "
                    + "again. The device and the peer are kept"
                : "", indent: indent)
        for item in clause.clauses {
            file.clause(item, remark(item, of: link), indent: indent + 2)
        }
        for (name, value) in linkSettings.settings(isMulticast: link.isMulticast) {
            file.setting(name, value)
        }
        file.setting("port", String(port))
        let id = link.nodeID
        file.comment(
            id == nil
                ? "conntrackd has no word for the id: this node's number, unlike the other's. Change it "
                    + "on the other node."
                : "conntrackd has no word for the id: this node's number, unlike the other's. It is made "
                    + "of the address above.")
        file.setting("id", String(id ?? 1))
    }

    private func remark(_ item: Clause, of link: Link) -> String {
        switch item.name {
        case "Interface": return "syncdev"
        case "IPv4_address", "IPv6_address":
            guard link.isMulticast else {
                return "nothing: ct_sync takes the addresses of syncdev"
            }
            let group = linkSettings.targets[0]
            return link.target == group
                ? "group" : "nothing: one group, \(group), counts for all sync devices"
        case "IPv4_Destination_Address", "IPv6_Destination_Address": return "peer"
        case "IPv4_interface", "IPv6_interface":
            return "nothing: ct_sync takes the addresses of syncdev"
        case "Group", "Port":
            return
                "port \(port), not conntrackd's, so that both can run side by side: let UDP \(port) "
                + "through on \(link.device)"
        default: return Remarks.remark(item)
        }
    }

    private mutating func writeFurther(
        _ link: Link, _ part: LinkSettings.Part, indent: Int
    ) {
        let first = links[chosen].device
        switch part {
        case .first, .device:
            file.clause(
                link.clause,
                "a further link: \(link.device) is one more sync device, beside \(first)",
                indent: indent)
        case .peer:
            file.clause(
                link.clause, "a further link on \(link.device): one more peer", indent: indent)
        case .nothing(let why):
            file.clause(link.clause, "a further link; nothing: \(why)", indent: indent)
        }
        for item in link.clause.clauses {
            file.clause(item, remark(item, of: link), indent: indent + 2)
        }
    }

    private mutating func writeLimit(_ clause: Clause, indent: Int) {
        let limit = Int(clause.value) ?? 0
        guard (1...1_073_741_824).contains(limit) else {
            file.clause(clause, "nothing: no limit but the kernel's table", indent: indent)
            return
        }
        file.clause(
            clause,
            "max-entries, what a slave holds at most. Without it, the kernel's nf_conntrack_max, which "
                + "is the better limit unless memory is short", indent: indent)
        file.setting("max-entries", String(limit))
    }

    /// A packet holds some 40 changes when the queue is of any use, under load; 32 are counted on.
    private mutating func writeQueue(_ clause: Clause, indent: Int) {
        let packets = (Int(clause.value) ?? 0) / 32
        var slots = 4_096
        guard packets > slots else {
            file.clause(
                clause, "nothing: ring-slots is 4096 packets of some 40 changes each",
                indent: indent)
            return
        }
        while slots < packets, slots < 1_048_576 { slots *= 2 }
        file.clause(clause, "ring-slots, packets of some 40 changes each", indent: indent)
        file.setting("ring-slots", String(slots))
    }

    private mutating func writeFilter(_ clause: Clause, indent: Int) {
        switch clause.name {
        case "Protocol": filter.add(protocols: clause, isAccept: clause.value == "Accept")
        case "IgnoreProtocol": filter.add(protocols: clause, isAccept: false)
        case "Address": filter.add(addresses: clause, isAccept: clause.value == "Accept")
        case "IgnoreTrafficFor": filter.add(addresses: clause, isAccept: false)
        case "State": filter.add(states: clause, isAccept: clause.value == "Accept")
        default: filter.add(states: clause, isAccept: true)
        }
        let items = clause.items.map { ImportMistake.plain($0.text) }.joined(separator: " ")
        file.clause(
            clause, items.isEmpty ? "rules at the end" : "\(items): rules at the end",
            indent: indent)
        write(clause.clauses, indent: indent + 2)
    }
}
