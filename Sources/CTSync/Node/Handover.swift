// SPDX-License-Identifier: GPL-2.0-or-later

/// Hands over what this node holds to a master that was promoted without it: the master's own engine
/// walks the replica table instead of the kernel's, for one node alone.
///
/// Begun when the master asks (SLAVE_INITSYNC), ended when the node is no slave of it any more, or
/// when it has asked for nothing for some seconds. Thread: the link's; a slave's master engine is
/// idle.
final class Handover {
    private struct Term {
        var replicas: ReplicaWalk
        var walk: InitsyncWalk.Term
        var sending: Sender.Term
        var claim: MasterClaim
        /// Whether the master has all that it had when it was asked.
        var isTaken = false
    }

    /// A master that has all says so by asking no more.
    private static let silence = 3 * Duration.second

    private let master: MasterEngine
    private let slave: SlaveEngine
    private let nodeID: UInt8
    private var term: Term?
    /// The master that has taken something, and up to which generation.
    private var taken: (by: MasterClaim, generation: UInt16)?
    private var askedAt: Instant = 0
    /// Whether it hands over.
    var isRunning: Bool { term != nil }
    /// How many were begun.
    private(set) var count: UInt64 = 0

    init(_ master: MasterEngine, _ slave: SlaveEngine, nodeID: UInt8) {
        self.master = master
        self.slave = slave
        self.nodeID = nodeID
    }

    /// Checks that what goes out is for the master that it is for. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        guard let term else { return }
        if term.isTaken, taken?.by != term.claim { report("nobody has taken it") }
        let claim = master.exchange.claim
        if claim != MasterClaim(epoch: term.claim.epoch, nodeID: nodeID) {
            report("it hands over, and answers in the name of \(claim)")
        }
    }

    /// Takes what the master asks for.
    ///
    /// - Parameter isRequest: whether it asks for all that there is. If it asks from the first packet on, and
    ///   has taken all that was asked for before, there is more: the packets of before would tell it that there
    ///   is not; and so would those of a walk that it has not taken, if there is more since. But the request
    ///   may also be one of before, which comes late once more.
    /// - Parameter expected: the packet that it expects next: of a stream that another process began, or that
    ///   has ended, if none runs.
    func receive(
        _ packet: RawSpan, from peer: PeerAddress, isRequest: Bool, expected: UInt64, now: Instant,
        wallMicroseconds: UInt64
    ) {
        // What the kernel has is not read yet: it asks again.
        guard slave.slave.hasAdopted else { return }
        let followed = slave.slave.master
        if let term, term.claim != followed { end() }
        if term == nil { begin(followed, peer, expected, now) }
        if let term, isRequest, term.isTaken ? expected == 1 : term.replicas.isOutdated {
            goOn(term)
        }
        askedAt = now
        _ = master.exchange.receive(
            packet, from: peer, now: now, wallMicroseconds: wallMicroseconds)
        // The end was sent, and all before it has been applied.
        guard let term else { return }
        guard master.initsync.isDone(term.walk) else {
            self.term?.isTaken = false
            return
        }
        guard master.exchange.areAllApplied else { return }
        let (generation, isAll) = term.replicas.wasTaken()
        taken = (followed, generation)
        self.term?.isTaken = true
        if isAll {
            slave.slave.wasTaken()
        } else if !term.isTaken {
            slave.slave.wasTakenInPart(now: now)
        }
    }

    /// Hands over what was not taken yet, by the next packets of the same stream; those before are for nobody
    /// any more.
    private func goOn(_ term: Term) {
        master.initsync.close(term.walk)
        term.replicas.cancel()
        master.ring.forgetBacklog()
        master.exchange.requireInitsync()
        count += 1
    }

    /// Each stream has numbers of its own, by the time at which it begins, and says which is its first: what
    /// the master has of another, which a process before this one began, is not to be taken for a part of it.
    private func begin(
        _ followed: MasterClaim, _ peer: PeerAddress, _ expected: UInt64, _ now: Instant
    ) {
        let first = max(
            now / Duration.microsecond, expected &+ UInt64(2 * master.ring.slotCount))
        let claim = MasterClaim(epoch: followed.epoch, nodeID: nodeID)
        master.ring.reset(epoch: claim.epoch, nodeID: nodeID, flags: .handover, from: first)
        // The brackets tell the word of what this kernel had: what it heard has that of the report.
        master.exchange.start(claim, holding: Holding(basis: slave.table.adoptedWord), now: now)
        let isSame = taken?.by == followed
        let replicas = ReplicaWalk(slave.table, after: isSame ? taken?.generation : nil)
        let walk = master.initsync.open(replicas, NoLookup(), NoAddressLosses(), now: now)
        // By all links that the master is heard by: a handover outlives the one it was asked by.
        let sending = master.sender.open(to: peer) { [slave] body in
            slave.slave.paths.others(than: peer, body)
        }
        term = Term(replicas: replicas, walk: walk, sending: sending, claim: followed)
        count += 1
    }

    /// Does the next piece of work.
    func step(now: Instant, wallMicroseconds: UInt64) -> Pause {
        guard let term else { return .untilWoken }
        guard term.claim == slave.slave.master, now < askedAt + Self.silence else {
            end()
            return .untilWoken
        }
        let walking = master.initsync.step(term.walk, now: now)
        return walking.sooner(
            master.sender.step(term.sending, now: now, wallMicroseconds: wallMicroseconds))
    }

    /// Ends it.
    func end() {
        guard let term else { return }
        master.initsync.close(term.walk)
        self.term = nil
    }
}

/// Replicas are flushed by nobody.
private final class NoAddressLosses: AddressLosses {
    func look(_ body: (AddressLoss) -> Void) throws(SystemError) {}
}

/// No kernel to ask: every expectation of a replica was admitted when it came.
private final class NoLookup: EntryLookup {
    func entry(_ key: borrowing Key) throws(SystemError) -> Entry? { nil }
}
