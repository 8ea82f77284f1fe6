// SPDX-License-Identifier: GPL-2.0-or-later

/// The seal of the sync link in the status.
extension NodeReport {
    /// How it is.
    struct Seal: Sendable {
        var mode = SealMode.off
        var keyCount = 0
        /// Whether packets for all nodes are sealed.
        var sealsToAll = false
        /// Packets that were opened.
        var opened: UInt64 = 0
        /// Who speaks in another way.
        var strangers: [Strangers.Stranger] = []
    }

    /// Who is heard and not understood, if that is why nobody is.
    var keyProblem: Problem? {
        guard let stranger = seal.strangers.first else { return nil }
        let reason: Reason =
            switch stranger.kind {
            case .anotherKey: .anotherKey
            case .sealed: .sealed
            case .unsealed: .unsealed
            }
        return Problem(
            reason, stranger.sentence,
            tries: [
                Hint(command: "grep key /etc/ct_sync.conf", why: "on both nodes: the same file?"),
                Hint(command: "ct_sync rekey", why: "on a node whose key file has changed"),
            ])
    }

    /// Adds the group `seal`.
    func addSeal(_ status: inout StatusReport) {
        status.add(group: "seal") { group in
            group.add("mode", "\(seal.mode)")
            group.add("keys", count: seal.keyCount)
            group.add("seals_to_all", seal.sealsToAll)
            group.add("opened", seal.opened)
            group.add(
                list: "strangers",
                seal.strangers.map { stranger in
                    var line = StatusReport()
                    line.add("id", stranger.nodeID)
                    line.add(
                        "address",
                        HostAddress(stranger.peer.family, stranger.peer.address).description)
                    line.add("trouble", stranger.sentence)
                    return line
                })
        }
    }
}
