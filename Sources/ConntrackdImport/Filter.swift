// SPDX-License-Identifier: GPL-2.0-or-later

/// The filter of conntrackd, whose parts must all hold, as rules of ct_sync, of which the first that
/// holds decides.
///
/// What cannot be said in the same way is said so that more is replicated, never less: conntrackd looks
/// at a connection's destination after its translation, ct_sync before it; and conntrackd leaves a
/// connection that leaves the accepted states as it was on the standby, while ct_sync removes it there.
struct Filter {
    /// Which protocols, as words or numbers for ct_sync; nil without such a filter.
    private var protocols: (isAccept: Bool, names: [String])?
    /// Which networks.
    private var networks: (isAccept: Bool, networks: [(text: String, network: IPNetwork)])?
    /// Which states of TCP, as ct_sync names them.
    private var states: (isAccept: Bool, names: [String])?

    /// The most rules that ct_sync takes.
    static let ruleLimit = 64

    /// Adds protocols.
    mutating func add(protocols clause: Clause, isAccept: Bool) {
        let names = clause.items.compactMap { ProtocolName.number($0.text) }.map(Self.protocolWord)
        let before = protocols?.names ?? []
        protocols = (isAccept, before + names.filter { !before.contains($0) })
    }

    /// Adds addresses and networks.
    mutating func add(addresses clause: Clause, isAccept: Bool) {
        let added = clause.clauses.compactMap { item in
            IPNetwork(item.value, item.name == "IPv4_address" ? .ipv4 : .ipv6)
                .map { (text: item.value, network: $0) }
        }
        networks = (isAccept, (networks?.networks ?? []) + added)
    }

    /// Adds states.
    mutating func add(states clause: Clause, isAccept: Bool) {
        let names = clause.items.map { TCPStates.ctSyncName($0.text) }
        states = (isAccept, (states?.names ?? []) + names)
    }

    /// Writes the rules and what is to be known about them; nothing without a filter.
    func write(to file: inout OutputFile) {
        let rules = rules()
        guard !rules.isEmpty || networks != nil else { return }
        file.blank()
        file.comment(
            "The filter: the first rule that holds decides; after the last, its opposite.")
        writeRemarks(to: &file)
        for rule in rules.prefix(Self.ruleLimit) { file.setting("replicate", rule) }
        guard rules.count > Self.ruleLimit else { return }
        file.comment("More than \(Self.ruleLimit) rules are not taken. Those left out:")
        for rule in rules.dropFirst(Self.ruleLimit) { file.proposal([("replicate", rule)]) }
    }

    /// The rules in the order that they must have.
    private func rules() -> [String] {
        var accepts: [String] = []
        var ignores: [String] = []
        if let networks, !networks.isAccept {
            ignores = ignoredNetworks.map { "ignore source \($0)" }
        }
        let tcpIsLeftOut = protocols.map { $0.isAccept != $0.names.contains("tcp") } ?? false
        if let protocols, !protocols.isAccept {
            ignores += protocols.names.map { "ignore protocol \($0)" }
        }
        if let kept = keptStates, !tcpIsLeftOut {
            if kept.isAccept {
                accepts.append("accept state \(kept.names.joined(separator: ","))")
            } else if !kept.names.isEmpty {
                ignores.append("ignore state \(kept.names.joined(separator: ","))")
            }
        }
        let statesAccept = !tcpIsLeftOut && keptStates?.isAccept == true
        guard let protocols, protocols.isAccept else {
            return ignores + accepts + (statesAccept ? ["ignore protocol tcp"] : [])
        }
        let names = protocols.names.filter { !(statesAccept && $0 == "tcp") }
        accepts += names.map { "accept protocol \($0)" }
        // Nothing accepted: everything is ignored.
        return ignores + (accepts.isEmpty ? ["ignore"] : accepts)
    }

    /// The states, and those in between that an open connection passes through.
    private var keptStates: (isAccept: Bool, names: [String])? {
        guard let states else { return nil }
        var names: [String] = []
        for name in states.names where !names.contains(name) { names.append(name) }
        if states.isAccept, names.isEmpty { return nil }
        guard names.contains("ESTABLISHED") == states.isAccept else {
            return (states.isAccept, names)
        }
        if states.isAccept {
            names += TCPStates.closing.filter { !names.contains($0) }
        } else {
            names.removeAll { TCPStates.closing.contains($0) }
        }
        return (states.isAccept, names)
    }

    /// Networks that conntrackd ignores, without those that ct_sync never replicates.
    private var ignoredNetworks: [String] {
        guard let networks, !networks.isAccept else { return [] }
        var texts: [String] = []
        for item in networks.networks
        where !item.network.isAddress && !item.network.isNeverReplicated
            && !texts.contains(item.text)
        {
            texts.append(item.text)
        }
        return texts
    }

    private func writeRemarks(to file: inout OutputFile) {
        if let networks, networks.isAccept {
            file.comment(
                "Address Accept: not taken over, so that more is replicated. ct_sync compares the "
                    + "destination before its translation, conntrackd after it: add \"accept source\" "
                    + "and \"accept destination\" rules, with the addresses that clients see.")
        } else if networks != nil {
            file.comment(
                "Single addresses of Address Ignore: nothing. Connections of the firewall itself are "
                    + "left out in any case (own-connections=0), loopback and link-local ones too.")
            for network in ignoredNetworks {
                file.comment(
                    "Add this unless connections to addresses of \(network) are translated (dnat): "
                        + "ct_sync compares the destination before its translation:")
                file.proposal([("replicate", "ignore destination \(network)")])
            }
        }
        if let states, let kept = keptStates, Set(states.names) != Set(kept.names) {
            file.comment(
                "State: \(TCPStates.closing.joined(separator: ", ")) stay replicated. A connection "
                    + "that is no longer accepted is removed from the standby; conntrackd keeps it."
            )
        }
    }

    private static func protocolWord(_ number: UInt8) -> String {
        switch number {
        case 1: "icmp"
        case 6: "tcp"
        case 17: "udp"
        case 47: "gre"
        case 58: "icmpv6"
        case 132: "sctp"
        default: String(number)
        }
    }
}
