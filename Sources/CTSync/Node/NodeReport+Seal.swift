// SPDX-License-Identifier: GPL-2.0-or-later

/// The seal of the sync link in the status.
extension NodeReport {
    /// How it is.
    struct Seal: Sendable {
        var mode = SealMode.off
        /// Where its keys stand.
        var keyFile: String?
        var keyCount = 0
        /// Whether packets for all nodes are sealed.
        var sealsToAll = false
        /// Packets that were opened.
        var opened: UInt64 = 0
        /// Who speaks in another way.
        var strangers: [Strangers.Stranger] = []
        /// How often the key file was read again, and what was the case then.
        var readings = (count: 0, last: "")
    }

    /// Who is heard and not understood, if that is why nobody is.
    var keyProblem: Problem? { seal.strangers.first.map { problem($0) } }

    /// Those who are not understood though others are.
    var keyProblems: [Problem] {
        let strangers = seal.strangers.map { problem($0) }
        return strangers.filter { $0.sentence != problem?.sentence }
    }

    private func problem(_ stranger: Strangers.Stranger) -> Problem {
        Problem(
            stranger.kind.reason, stranger.sentence,
            tries: [
                keyHint(stranger.kind),
                Hint(command: "ct_sync rekey", why: "on a node whose key file has changed"),
            ])
    }

    /// What tells why a node speaks in another way.
    func keyHint(_ kind: Strangers.Kind) -> Hint {
        guard kind == .anotherKey, let file = seal.keyFile else {
            return Hint(
                command: "grep key \(configurationFile)", why: "on both nodes: is there a key file?"
            )
        }
        return Hint(command: "sha256sum \(file)", why: "on both nodes: the same key?")
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

extension Strangers.Kind {
    /// The same as a reason of the status.
    var reason: NodeReport.Reason {
        switch self {
        case .anotherKey: .anotherKey
        case .sealed: .sealed
        case .unsealed: .unsealed
        }
    }
}

extension NodeReport.Reason {
    /// Whether it is that another node speaks with another key, or with none.
    var isOfKeys: Bool { [.anotherKey, .sealed, .unsealed].contains(self) }
}
