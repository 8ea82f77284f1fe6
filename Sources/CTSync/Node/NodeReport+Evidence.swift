// SPDX-License-Identifier: GPL-2.0-or-later

/// If nobody is heard: what tells the faults apart.
extension NodeReport {
    /// How recent a dropped packet must be to count.
    static let evidenceAge = 5 * Duration.second

    /// How long a node may take to hear of another's role.
    static let roleTime = 1_500 * Duration.millisecond

    /// What can be seen of the fault, the surest first; nil if nothing.
    var evidence: Problem? {
        if !link.isPresent {
            return Problem(
                .deviceGone, "the sync device \(link.device) is gone",
                tries: [Hint(command: "ip link", why: "is there a device of that name?")])
        }
        if !link.hasCarrier {
            return Problem(
                .linkDown, "\(link.device) has no carrier",
                tries: [
                    Hint(
                        command: "ip link show \(link.device)",
                        why: "is it up, the cable in, and the other end up?")
                ])
        }
        return ownPeer ?? keyProblem ?? dropped ?? sighting.map { seen($0) } ?? other ?? crossing
            ?? peerElsewhere
    }

    /// A peer that is this node, whether or not the node is well.
    var ownPeer: Problem? {
        guard let peer = link.misplaced.own.first else { return nil }
        return Problem(
            .ownPeer,
            "peer \(peer) is an address of this node itself; name the other nodes in "
                + configurationFile,
            tries: [Hint(command: "ip -br addr", why: "on both nodes: which addresses are whose?")])
    }

    /// A peer that packets have no way to.
    private var peerElsewhere: Problem? {
        guard let peer = link.misplaced.elsewhere.first else { return nil }
        return Problem(
            .peerElsewhere,
            "peer \(peer) is in no network of \(link.device), and no route by it leads there",
            tries: [
                Hint(
                    command: "ip -br addr",
                    why: "on both nodes: is that the other's address on this wire?")
            ])
    }

    /// A slave that hears no master.
    private var other: Problem? {
        // What it said before this node took its role is of before.
        guard let stranger, stranger.age < Self.evidenceAge,
            stranger.age + Self.roleTime < roleAge
        else { return nil }
        let node = "node \(stranger.nodeID) (\(stranger.address))"
        guard role == .master else {
            return Problem(
                .onlySlaves, "no node is master: \(node) is slave too",
                tries: [
                    Hint(
                        command: "ct_sync promote",
                        why: "on one of them, or does the cluster manager run?"),
                    Hint(
                        command: "journalctl -u keepalived -u pacemaker",
                        why: "why does it make none master?"),
                ])
        }
        return Problem(
            .notHeard,
            "\(node) does not hear this node; do its rules let UDP \(link.port) in?",
            tries: [
                Hint(
                    command: "nft list ruleset | grep \(link.port)",
                    why: "on node \(stranger.nodeID): may our packets in?"),
                statusElsewhere("what does it hear?", on: stranger.nodeID),
            ])
    }

    /// Packets that are not taken.
    private var dropped: Problem? {
        let order = ["own_id", "version", "cluster", "checksum"]
        let known = ["same_id", "another_link"]
        for reason in order + drops.map(\.reason) where !known.contains(reason) {
            if let problem = problem(reason) { return problem }
        }
        return nil
    }

    /// What packets tell that were dropped lately for this reason; nil if none were.
    private func problem(_ reason: String) -> Problem? {
        let isRecent = { (drop: Drop) in drop.age.map { $0 < Self.evidenceAge } ?? false }
        return drops.first { $0.reason == reason && isRecent($0) }.flatMap { problem($0) }
    }

    /// Nodes that share an id or are of another version, and devices that share a segment, while that is to
    /// be heard, whether or not the node is well.
    var identityConflicts: [Problem] {
        // On one segment each node has as many addresses as devices.
        let reasons = crossing == nil ? ["own_id", "same_id", "version"] : ["own_id", "version"]
        return (["another_link"] + reasons).compactMap { problem($0) }
    }

    /// Packets of one sync device that come by another one.
    private var crossing: Problem? { problem("another_link") }

    private func problem(_ drop: Drop) -> Problem? {
        let from = drop.address ?? "an unknown address"
        let count = Words.count(drop.count, "packet was", "packets were")
        let detail = "\(count) dropped for that"
        switch drop.reason {
        case "another_link":
            let devices = Set(links.map(\.device)).sorted().joined(separator: ", ")
            return Problem(
                .oneSegment,
                "packets of one sync device come by another one (\(devices)); each needs a segment of "
                    + "its own", detail: detail,
                tries: [
                    Hint(
                        command: "tcpdump -ni \(link.device) udp port \(link.port)",
                        why: "whose packets come by it? one switch for both, or cables swapped")
                ])
        case "own_id":
            return Problem(
                .ownID,
                "another node has our id \(nodeID) (from \(from)); give each its own in "
                    + configurationFile, detail: detail,
                tries: [Hint(command: "ct_sync status --field node_id", why: "on both nodes")])
        case "same_id":
            return Problem(
                .sameID,
                "another node, at \(from), has the id of one that is heard; give each its own in "
                    + configurationFile, detail: detail,
                tries: [Hint(command: "ct_sync status --field node_id", why: "on all nodes")])
        case "version":
            let (theirs, ours) = (drop.detail >> 4, PacketHeader.version >> 4)
            let older = theirs > ours ? "this node" : "that node"
            return Problem(
                .anotherVersion,
                "the node at \(from) speaks wire version \(theirs), this is \(ours); upgrade \(older)",
                detail: detail, tries: [Hint(command: "ct_sync --version", why: "on both nodes")])
        case "cluster":
            return Problem(
                .anotherCluster,
                "the node at \(from) is of another cluster; both need the same cluster name",
                detail: detail,
                tries: [Hint(command: "grep cluster \(configurationFile)", why: "on both nodes")])
        case "checksum":
            return Problem(
                .damaged, "packets from \(from) are damaged or of another cluster", detail: detail,
                tries: [capture])
        case "unproven":
            return Problem(
                .unproven,
                "the node at \(from) does not answer: do our packets reach it?", detail: detail,
                tries: [capture])
        // Recordings, and what is said by `keyProblem`.
        case "stale", "replayed", "unsealed", "another_key": return nil
        default:
            return Problem(
                .malformed, "packets from \(from) are not understood (\(drop.reason))",
                detail: detail, tries: [capture])
        }
    }

    /// Packets that arrive on the device and are not heard.
    private func seen(_ sighting: Sighting) -> Problem {
        let node = "node \(sighting.nodeID) (\(sighting.address))"
        let both = [Hint(command: "cat \(configurationFile)", why: "on both nodes")]
        switch sighting.kind {
        case .anotherPort(let port):
            return Problem(
                .anotherPort,
                "\(node) sends to UDP port \(port), this node listens on \(link.port); set the same "
                    + "port on both", tries: both)
        case .anotherGroup(let address):
            return Problem(
                .anotherGroup,
                "\(node) sends to \(address), this node listens to \(link.target); set the same on "
                    + "both", tries: both)
        case .anotherDevice(let device):
            return Problem(
                .anotherDevice,
                "packets of \(node) arrive on \(device), which is no sync device of this node "
                    + "(\(link.device)); both need the same wire",
                tries: both + [Hint(command: "ip -br addr", why: "on both nodes")])
        case .notAPeer:
            return Problem(
                .notAPeer, "\(node) is not among the peers of this node (\(link.target))",
                tries: both)
        case .routed(let hopLimit):
            return Problem(
                .routed,
                "packets of \(node) come through a router (TTL \(hopLimit), not 255); the sync link "
                    + "must be one segment",
                tries: [Hint(command: "ip route get \(sighting.address)", why: "on both nodes")])
        case .blocked:
            return Problem(
                .blockedHere,
                "packets of \(node) arrive on \(link.device), and a rule of this node drops them",
                tries: [
                    Hint(
                        command: "nft list ruleset | grep -n -e drop -e \(link.port)",
                        why: "let UDP port \(link.port) in on \(link.device)"),
                    Hint(command: "iptables -nvL INPUT", why: "or is it one of these?"),
                ])
        }
    }
}
