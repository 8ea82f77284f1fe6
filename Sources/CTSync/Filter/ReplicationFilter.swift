// SPDX-License-Identifier: GPL-2.0-or-later

/// Which connections are replicated: those that go through the firewall, of them the
/// administrator's choice.
///
/// Always left out are loopback and what runs over the sync link; connections that begin or end at
/// the node itself are left out unless asked for, as their sockets do not move with a takeover. Of
/// the rest the first rule that holds decides; where none does, the opposite of the last rule, and
/// without rules everything is replicated. Asked for every event: it allocates nothing.
package struct ReplicationFilter: Sendable {
    /// A network.
    package struct Network: Sendable, Equatable, BitwiseCopyable {
        /// Any address in it.
        var address: Address
        /// The bits that all its addresses share.
        var prefixLength: Int
        /// AF_INET or AF_INET6
        var family: Family

        /// A network.
        init(address: Address, prefixLength: Int, family: Family) {
            self.address = address
            self.prefixLength = prefixLength
            self.family = family
        }

        /// Whether an address of this family is in it.
        @inline(__always)
        func contains(_ other: Address, _ family: Family) -> Bool {
            family == self.family
                && other.isWithin(address, prefixLength: prefixLength, family)
        }
    }

    /// What the filter says of a connection.
    enum Verdict: Sendable, Equatable {
        /// Replicated as long as it lives.
        case always
        /// Left out as long as it lives.
        case never
        /// Replicated, as it is now.
        case now
        /// Left out, as it is now.
        case notNow
        /// It hangs on a TCP state that was not said.
        case unknown
    }

    /// The most rules there may be.
    static let ruleLimit = 64

    /// The administrator's rules, in their order.
    let rules: [ReplicationRule]
    private let own: [Address]
    private let syncNetworks: [Network]
    private let syncAddresses: [Address]
    private let replicatesOwn: Bool
    /// Whether a rule looks at anything that can change in a connection's life.
    let hasChangeableRules: Bool
    /// By which the nodes compare their settings; it does not change with their addresses.
    let fingerprint: UInt32

    /// A filter that knows these addresses.
    ///
    /// - Parameters:
    ///   - ownAddresses: of all devices of the node.
    ///   - syncNetworks: the sync device's own addresses with their prefixes.
    ///   - rules: at most `ruleLimit`.
    ///   - replicatesOwn: whether connections of the node's own addresses are replicated too.
    init(
        ownAddresses: [Address], syncNetworks: [Network], rules: [ReplicationRule] = [],
        replicatesOwn: Bool = false
    ) {
        precondition(rules.count <= Self.ruleLimit)
        own = ownAddresses.sorted { ($0.high, $0.low) < ($1.high, $1.low) }
        self.syncNetworks = syncNetworks
        syncAddresses = syncNetworks.map(\.address)
        self.rules = rules
        self.replicatesOwn = replicatesOwn
        hasChangeableRules = rules.contains { $0.isChangeable }
        fingerprint = RulesFingerprint(rules, ownConnections: replicatesOwn).value
    }

    /// A filter that leaves out loopback only.
    static let everything = ReplicationFilter(ownAddresses: [], syncNetworks: [])

    /// Whether an entry of which all is known is to be replicated as it is now.
    func admits(_ entry: Entry) -> Bool {
        let verdict = verdict(entry)
        return verdict == .always || verdict == .now
    }

    /// Whether an entry that the kernel has when a node becomes slave is held from then on, to be
    /// confirmed or removed by the initsync.
    ///
    /// One of the node's own addresses may be the administrator's own: it is held only where such
    /// connections are replicated and it has the long timeout that replicas have.
    ///
    /// - Parameter isHeld: whether it has.
    func adopts(_ entry: Entry, isHeld: Bool = false) -> Bool {
        (!isOwn(entry) || replicatesOwn && isHeld) && admits(entry)
    }

    /// What is to become of an entry.
    @inline(__always)
    func verdict(_ entry: Entry) -> Verdict {
        guard !isOutside(entry) else { return .never }
        guard let last = rules.last else { return .always }
        guard hasChangeableRules else {
            for rule in rules where rule.holdsAlways(for: entry.key) {
                return rule.isAccept ? .always : .never
            }
            return last.isAccept ? .never : .always
        }
        guard rulesMayAccept(entry.key) else { return .never }
        var isForLife = true
        for rule in rules where rule.holdsAlways(for: entry.key) {
            guard rule.isChangeable else {
                return Self.verdict(rule.isAccept, isForLife: isForLife)
            }
            isForLife = false
            switch rule.holdsNow(for: entry) {
            case .none: return .unknown
            case .some(true): return Self.verdict(rule.isAccept, isForLife: false)
            case .some(false): continue
            }
        }
        return Self.verdict(!last.isAccept, isForLife: isForLife)
    }

    /// Whether a connection may be replicated at some time of its life: all that can be said of a
    /// message or an event that lacks the rest.
    @inline(__always)
    func mayAdmit(_ entry: Entry) -> Bool {
        !isOutside(entry) && rulesMayAccept(entry.key)
    }

    /// Whether a connection may have been replicated before it came to be as it is now.
    ///
    /// ASSURED is never taken back: without it, no rule that asks for it has accepted.
    func mayHaveAdmitted(_ entry: Entry) -> Bool {
        guard !isOutside(entry) else { return false }
        let wasNeverAssured =
            entry.fields.contains(.status) && !entry.status.contains(.IPS_ASSURED)
        return rulesMayAccept(entry.key, exceptAssured: wasNeverAssured)
    }

    /// Whether the rules may accept a connection at some time of its life.
    @inline(__always)
    func rulesMayAccept(_ key: Key, exceptAssured: Bool = false) -> Bool {
        guard let last = rules.last else { return true }
        for rule in rules where rule.holdsAlways(for: key) {
            if rule.isChangeable, !rule.isAccept { continue }
            if exceptAssured, rule.needsAssured { continue }
            return rule.isAccept
        }
        return !last.isAccept
    }

    private static func verdict(_ isAccept: Bool, isForLife: Bool) -> Verdict {
        switch (isAccept, isForLife) {
        case (true, true): .always
        case (true, false): .now
        case (false, true): .never
        case (false, false): .notNow
        }
    }

    // MARK: What no rule is asked for

    @inline(__always)
    private func isOutside(_ entry: Entry) -> Bool {
        isLinkLocal(entry.key.tuple) || !replicatesOwn && isOwn(entry) || isSync(entry.key.tuple)
    }

    /// Whether a connection begins or ends at one of this node's own addresses.
    ///
    /// It begins at the original tuple's source and ends, after translation, at the reply's source.
    func isOwn(_ entry: Entry) -> Bool {
        holds(entry.key.tuple.source) || holds(entry.reply.source)
    }

    /// Whether a connection is this node's own, whatever is replicated: one of its addresses, of the
    /// sync link, or one that no firewall forwards.
    func isNodesOwn(_ entry: Entry) -> Bool {
        isOwn(entry) || isLinkLocal(entry.key.tuple) || isSync(entry.key.tuple)
    }

    /// Loopback and link-local addresses, which no firewall forwards (RFC 3927, RFC 4291).
    private func isLinkLocal(_ tuple: Tuple) -> Bool {
        if tuple.family == .ipv4 {
            return Self.isLinkLocal(tuple.source.low) || Self.isLinkLocal(tuple.destination.low)
        }
        let loopback = Address(high: 0, low: 1)
        return tuple.source == loopback || tuple.destination == loopback
            || tuple.source.high >> 54 == 0x3FA || tuple.destination.high >> 54 == 0x3FA
    }

    private static func isLinkLocal(_ ipv4: UInt64) -> Bool {
        ipv4 >> 24 == 127 || ipv4 >> 16 == 0xA9FE
    }

    private func isSync(_ tuple: Tuple) -> Bool {
        for address in syncAddresses where tuple.source == address || tuple.destination == address {
            return true
        }
        for network in syncNetworks
        where network.contains(tuple.source, tuple.family)
            && network.contains(tuple.destination, tuple.family)
        {
            return true
        }
        return false
    }

    private func holds(_ address: Address) -> Bool {
        var low = 0
        var high = own.count
        while low < high {
            let middle = (low + high) / 2
            let candidate = own[middle]
            if candidate == address { return true }
            if (candidate.high, candidate.low) < (address.high, address.low) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return false
    }
}
