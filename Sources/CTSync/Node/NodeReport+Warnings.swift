// SPDX-License-Identifier: GPL-2.0-or-later

/// What is to be said although the node is well.
extension NodeReport {
    /// The most important first.
    var warnings: [Problem] {
        var warnings: [Problem] = []
        if isPromotionWaiting {
            warnings.append(
                Problem(
                    .promotionWaits, "the ordered promotion waits for the end of the initsync"))
        }
        warnings += identityConflicts.filter { $0.reason != problem?.reason } + keyProblems
        if let ownPeer, problem?.reason != .ownPeer { warnings.append(ownPeer) }
        if let refusing { warnings.append(refusing) }
        if role == .master { addMaster(&warnings) }
        if path.isLess { warnings.append(smallPath) }
        warnings += smallDevices
        warnings += peers.filter(\.isClockApart).map(clockApart)
        if role == .slave, outOfSync == nil {
            for lack in lacks where lack.what != "nat_chain" && lack.count > 0 {
                let tries = lack.what == "labels" ? [] : [lack.hint]
                warnings.append(Problem(.lacking, lack.sentence, tries: tries))
            }
        }
        if let entriesLimit, entriesLimit > 0, entriesHeld * 10 >= entriesLimit * 9 {
            warnings.append(
                Problem(
                    .almostFull,
                    "the table is almost full: \(Words.number(entriesHeld)) of "
                        + "\(Words.number(entriesLimit)) entries",
                    tries: [
                        Hint(
                            command: "sysctl net.netfilter.nf_conntrack_max", why: "on both nodes")
                    ]))
        }
        if let verified, verified.differed > 0 {
            warnings.append(
                Problem(
                    .differed,
                    "\(Words.count(verified.differed, "entry", "entries")) differed from what the "
                        + "master said and \(verified.differed == 1 ? "was" : "were") put right",
                    tries: [
                        Hint(
                            command: "ct_sync verify",
                            why: "is it so again? then somebody changes them")
                    ]))
        }
        if let verified, verified.added > 0 {
            let entries = Words.count(verified.added, "entry", "entries")
            warnings.append(
                Problem(
                    .differed, "this kernel has \(entries) that the master does not have",
                    tries: [Hint(command: "ct_sync verify", why: "which?")]))
        }
        return warnings
    }

    private func clockApart(_ peer: Peer) -> Problem {
        let offset = peer.clockOffsetMicroseconds
        let side = offset > 0 ? "ahead of" : "behind"
        return Problem(
            .clockApart,
            "this node's clock is \(Words.time(offset.magnitude * 1_000)) \(side) node "
                + "\(peer.nodeID)'s",
            tries: [Hint(command: "timedatectl", why: "on both nodes: is NTP there?")])
    }

    /// The network refuses packets, as a rule for what goes out does.
    private var refusing: Problem? {
        guard link.isPresent, link.hasCarrier, let age = link.refusedAge, age < Self.evidenceAge
        else { return nil }
        let error = link.lastRefusal ?? "no reason"
        return Problem(
            .sendsRefused, "the network refuses packets of this node (\(error))",
            detail: "\(Words.number(link.refused)) since the start",
            tries: [
                Hint(
                    command: "nft list ruleset | grep -n -e drop -e reject -e \(link.port)",
                    why: "is UDP port \(link.port) let out on \(link.device)?"),
                Hint(command: "ip addr show \(link.device)", why: "is it up, with its address?"),
            ])
    }

    /// A path that swallows packets which the device takes.
    private var smallPath: Problem {
        let isMaster = role == .master
        let packets = isMaster ? "large packets" : "large packets of node \(masterID)"
        let target = path.nodeID == nodeID ? "this node" : "node \(path.nodeID)"
        let other = peers.first { !isMaster || $0.nodeID == path.nodeID }?.address ?? "ADDRESS"
        let room = max(link.mtu - (other.contains(":") ? 40 : 20) - 8, 0)
        let device = "\(link.device) takes \(Words.number(link.mtu)) bytes"
        let most = Words.number(path.byteCount)
        return Problem(
            .pathMTU, "\(packets) do not reach \(target); they have at most \(most) bytes now",
            detail: isMaster ? device : "\(device) here",
            tries: [
                Hint(
                    command: "ip link show \(link.device)", why: "on both nodes: the same MTU?"),
                Hint(
                    command: "ping -M do -s \(room) -I \(link.device) \(other)",
                    why: "or does a switch between take less?"),
            ])
    }

    /// Devices that have got an MTU with which the daemon would not have started: long messages do not go out.
    private var smallDevices: [Problem] {
        links.filter { $0.isPresent && $0.mtu > 0 && $0.mtu < SyncSocket.smallestMTU }.map { line in
            let least = Words.number(SyncSocket.smallestMTU)
            return Problem(
                .deviceMTU,
                "\(line.device) has an MTU of \(Words.number(line.mtu)) bytes; the sync link needs "
                    + "\(least)",
                tries: [
                    Hint(command: "ip link set dev \(line.device) mtu 1500", why: "on both nodes")
                ])
        }
    }

    private func addMaster(_ warnings: inout [Problem]) {
        if !isWhole {
            warnings.append(
                Problem(
                    .partialMaster,
                    "this master may lack what other nodes hold; it is taking it over"))
        }
        guard aloneAge == nil else { return }
        for peer in peers where peer.role == .slave && !peer.isReady {
            let how =
                peer.isHeard
                ? "is not in sync" : "was heard last at \(clock(ago: peer.heardAge))"
            warnings.append(
                Problem(
                    .slaveNotReady, "slave \(peer.nodeID) (\(peer.address)) \(how)",
                    tries: [statusElsewhere("why?", on: peer.nodeID)]))
        }
    }
}
