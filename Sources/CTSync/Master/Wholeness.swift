// SPDX-License-Identifier: GPL-2.0-or-later

/// Where two nodes hold another entry of a connection, the one with the later word is right.
struct LastWords: Equatable, Sendable {
    /// The last word that the node has that hands over.
    var donor: Basis
    /// The last word that the master has from before its epoch.
    var own: Basis
}

/// Whether a master holds everything that some node of the cluster holds, and from whom it takes what
/// it lacks.
///
/// A master that is promoted before it has the table (it was started a moment ago, the manager
/// preempts) is *partial*: a node that holds more, as its reports say, is asked for all of it, one
/// after the other. When nobody within reach holds more, and a second after the promotion at the
/// earliest, the master is *whole*. Until then its timers do not start and it walks for nobody.
struct Wholeness {
    /// What is to be done.
    enum Step: Equatable {
        /// Nothing yet; to be asked again at this instant.
        case wait(until: Instant)
        /// Take what this node holds: its last word, and this master's.
        case take(UInt8, PeerAddress, LastWords)
        /// Give up on the node that has been asked.
        case leave
        /// From now on the master is whole.
        case becameWhole
        /// It is whole.
        case whole
    }

    /// How long a master waits for reports before it believes that nobody holds more.
    static let patience = 1 * Duration.second
    /// A node not heard for so long gives nothing.
    static let silence = 1_500 * Duration.millisecond
    /// How long a node may hand over nothing.
    static let limit = 60 * Duration.second
    private static let interval = 10 * Duration.millisecond
    private static let retakeInterval = 5 * Duration.second

    /// What the master holds from before its epoch.
    private(set) var basis: Basis
    /// The last word of anything that it has from before its epoch.
    private(set) var latest: Basis
    /// The last word that it had of itself.
    private var own: Basis
    private(set) var isWhole = false
    private let epoch: UInt64
    /// Whether its predecessor had said what it lacks, or is not known.
    private let lacks: Bool
    private let promotedAt: Instant
    /// The node whose table is being taken.
    private struct Donor {
        var nodeID: UInt8
        /// What it held when it was asked.
        var holding: Holding
        /// How far its stream has come, and since when no further.
        var applied: UInt64
        var since: Instant
    }
    private var donor: Donor?
    /// The last word of nodes from which all was taken, by id, and those that were given up on.
    private var taken: [UInt8: Basis] = [:]
    private var retakeAt: Instant
    private var left = InlineArray<32, UInt8>(repeating: 0)

    init(epoch: UInt64, holding: Holding, lacks: Bool, now: Instant) {
        self.epoch = epoch
        self.lacks = lacks
        basis = holding.basis
        latest = holding.latest
        own = holding.latest
        promotedAt = now
        retakeAt = now + Self.retakeInterval
    }

    /// Checks that a master that takes something over is partial. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        if own > latest { report("its own last word is \(own), the last of all \(latest)") }
        guard let donor else { return }
        if isWhole { report("a whole master takes over from \(donor.nodeID)") }
        if Self.isIn(left, donor.nodeID) { report("it takes over from \(donor.nodeID) again") }
    }

    /// Decides what is next.
    ///
    /// - Parameter applied: how far the stream of the node has come from which it takes.
    mutating func next(
        _ peers: borrowing PeerList, applied: UInt64, now: Instant
    ) -> Step {
        if var donor {
            if donor.applied != applied {
                (donor.applied, donor.since) = (applied, now)
                self.donor = donor
            }
            guard peers.isHeard(donor.nodeID, since: Self.silence, now: now) else {
                // Nothing is lost yet: when it is heard again it is asked again.
                self.donor = nil
                return .leave
            }
            guard now < donor.since + Self.limit else {
                leave(donor.nodeID)
                return .leave
            }
            return .wait(until: now + Self.interval)
        }
        if let (nodeID, peer) = richest(peers, now) {
            donor = Donor(
                nodeID: nodeID, holding: peer.report.holding, applied: applied, since: now)
            isWhole = false
            return .take(
                nodeID, peer.address,
                LastWords(donor: peer.report.holding.latest, own: own))
        }
        // One that still says that it has more did not hear that it was taken.
        if now >= retakeAt {
            taken = [:]
            retakeAt = now + Self.retakeInterval
        }
        guard !isWhole else { return .whole }
        guard now >= promotedAt + Self.patience else { return .wait(until: now + Self.interval) }
        isWhole = true
        return .becameWhole
    }

    /// The node that holds most of what the master does not, of those that are heard.
    private func richest(
        _ peers: borrowing PeerList, _ now: Instant
    ) -> (UInt8, PeerList.Peer)? {
        var best: (UInt8, PeerList.Peer)?
        peers.visit { nodeID, peer in
            let holding = peer.report.holding
            // What it holds of this master's own stream is no news.
            let isNews = holding.basis.epoch < epoch && holding.basis > basis
            // Later, what an earlier process has left there is of another time.
            let isOther = holding.hasMore || holding.hasUnproved && !isWhole && mayLack(holding)
            let isBranch = holding.isBranch && !includes(holding.basis)
            let isTaken = taken[nodeID].map { holding.latest <= $0 } ?? false
            guard isNews || (isOther || isBranch) && !isTaken, !Self.isIn(left, nodeID),
                peers.isHeard(nodeID, since: Self.silence, now: now)
            else { return }
            if let best, Self.isAskedFirst(best.1.report.holding, before: holding) { return }
            best = (nodeID, peer)
        }
        return best
    }

    /// Whether a node is asked before another: the one that holds more without a hole, or as much and has the
    /// later word. What a later one takes the place of then comes too late to have taken another's.
    private static func isAskedFirst(_ holding: Holding, before other: Holding) -> Bool {
        (holding.basis, holding.latest) > (other.basis, other.latest)
    }

    /// Whether what an earlier process has left at a node may be what the master lacks: its predecessor had
    /// said what it lacks, as it heard itself, or as the node's lock file tells, which has a later word.
    private func mayLack(_ other: Holding) -> Bool {
        lacks || other.latest.epoch < epoch && other.latest > latest
    }

    /// Whether the master is known to hold all of a stream up to there: of masters that were at work at the
    /// same time the later one need not have heard what the other said.
    private func includes(_ other: Basis) -> Bool {
        basis.epoch == other.epoch && basis >= other
    }

    /// All that a node held has been taken.
    mutating func took(_ nodeID: UInt8) {
        guard let donor, donor.nodeID == nodeID else { return }
        let held = donor.holding
        if held.basis.epoch < epoch { basis = max(basis, held.basis) }
        if held.latest.epoch < epoch { latest = max(latest, held.latest) }
        taken[nodeID] = held.latest
        self.donor = nil
    }

    /// More of what its predecessor said is there.
    mutating func inherited(_ holding: Holding) {
        basis = max(basis, holding.basis)
        latest = max(latest, holding.latest)
        own = max(own, holding.latest)
    }

    private mutating func leave(_ nodeID: UInt8) {
        left[Int(nodeID) / 8] |= 1 << (nodeID % 8)
        donor = nil
    }

    private static func isIn(_ set: InlineArray<32, UInt8>, _ nodeID: UInt8) -> Bool {
        set[Int(nodeID) / 8] & 1 << (nodeID % 8) != 0
    }
}
