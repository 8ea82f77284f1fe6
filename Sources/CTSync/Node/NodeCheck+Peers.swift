// SPDX-License-Identifier: GPL-2.0-or-later

/// The other nodes' kernels beside this one's.
extension NodeCheck {
    /// What each node that is heard says of itself.
    mutating func checkPeers() {
        for peer in report.peers where peer.isHeard {
            guard let theirs = peer.traits else {
                add(.ok, "settings of node \(peer.nodeID)", "not told yet")
                continue
            }
            compare(peer, theirs)
            guard report.role == .master else { continue }
            lookAtLacks(peer, theirs)
            lookAtProof(peer, theirs)
        }
    }

    /// Sysctls side by side: those of the slave have to be as the master's.
    private mutating func compare(_ peer: NodeReport.Peer, _ theirs: Traits) {
        var differing = 0
        var shown: [String] = []
        for trait in KernelTrait.sysctls {
            guard let mine = facts.traits[trait], let other = theirs[trait] else { continue }
            let (ofMaster, ofSlave) = report.role == .master ? (mine, other) : (other, mine)
            guard let level = level(trait, ofMaster, ofSlave) else {
                if Self.main.contains(trait) {
                    shown.append("\(trait.name.replacing("nf_conntrack_", with: "")) \(mine)")
                }
                continue
            }
            differing += 1
            let place = report.role == .master ? "on node \(peer.nodeID): " : ""
            add(
                level, trait.name, "\(mine) here, \(other) on node \(peer.nodeID)",
                "\(place)sysctl -w \(trait.key)=\(ofMaster)")
        }
        guard differing == 0 else { return }
        add(
            .ok, "settings",
            "as on node \(peer.nodeID), timeouts too: "
                + shown.joined(separator: ", "))
    }

    /// Those that are named if they are equal.
    private static let main: Set<KernelTrait> = [
        .conntrackMax, .buckets, .events, .tcpLoose, .tcpBeLiberal, .forwarding, .forwarding6,
        .reversePath,
    ]

    /// How bad a difference is; nil if it is none.
    private func level(_ trait: KernelTrait, _ ofMaster: UInt32, _ ofSlave: UInt32) -> Level? {
        guard ofMaster != ofSlave else { return nil }
        switch trait {
        case .conntrackMax, .buckets:
            guard ofSlave < ofMaster else { return nil }
            return trait == .conntrackMax && ofSlave < report.entriesHeld ? .fail : .warn
        case .forwarding, .forwarding6, .events: return ofSlave == 0 ? .fail : .warn
        default: return .warn
        }
    }

    /// What a slave could not carry on.
    private mutating func lookAtLacks(_ peer: NodeReport.Peer, _ theirs: Traits) {
        for trait in KernelTrait.allCases {
            guard let what = trait.lack, let count = theirs[trait], count > 0 else { continue }
            let lack = NodeReport.Lack(what: what, count: UInt64(count))
            add(
                Self.level(lack: what), "node \(peer.nodeID)", "there: \(lack.sentence)",
                "ct_sync check    on node \(peer.nodeID)")
        }
    }

    private mutating func lookAtProof(_ peer: NodeReport.Peer, _ theirs: Traits) {
        let (name, remedy) = ("verified", "ct_sync verify    on node \(peer.nodeID)")
        let node = "node \(peer.nodeID)"
        guard let verified = peer.verified else {
            return add(.warn, name, "\(node): not yet", remedy)
        }
        let text =
            "\(node): \(verified.sentence.replacing("verified ", with: "")), "
            + "\(Words.number(verified.added)) added"
        let limit = max(2 * facts.reconcileSeconds, 600) * Duration.second
        let isBad = verified.differed > 0 || verified.added > 0 || verified.age > limit
        add(isBad ? .warn : .ok, name, text, isBad ? remedy : "")
    }
}

extension NodeReport.Peer {
    /// A slave's last comparison, as it says itself; nil if it has said of none.
    var verified: NodeReport.Verified? {
        guard let traits, let entries = traits[.verifiedEntries], let age = traits[.verifiedAge],
            let differed = traits[.verifiedDiffered]
        else { return nil }
        return NodeReport.Verified(
            age: UInt64(age) * Duration.second, entries: Int(entries), differed: Int(differed),
            added: Int(traits[.verifiedAdded] ?? 0))
    }
}
