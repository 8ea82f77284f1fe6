// SPDX-License-Identifier: GPL-2.0-or-later

/// What the role engine has done, in the order of its steps: by the daemon's threads, sockets and
/// rules, or by a simulated node.
protocol NodeParts: AnyObject {
    /// The instant it is.
    var now: Instant { get }
    /// Why the node is not in sync as slave, and the highest claim it follows.
    var slaveState: (outOfSync: SlaveProtocol.OutOfSync?, master: MasterClaim) { get }

    /// Ceases to be slave: everything that has arrived is applied.
    func stopReceiving(now: Instant)
    /// Begins a term as master; its first packet announces it.
    func startTerm(_ claim: MasterClaim, now: Instant) throws(SystemError)
    /// Lifts l2drop and tells the neighbours.
    func open(now: Instant)
    /// Begins to start the replicas' timers, in the background.
    func startTimers(now: Instant) throws(SystemError)

    /// Puts l2drop on.
    func close(now: Instant)
    /// Ends what `startTimers` began.
    func stopTimers()
    /// Ends a term as master: what the kernel has said is sent.
    func stopTerm(now: Instant)
    /// Becomes slave, to follow what is above this claim.
    func becomeSlave(after claim: MasterClaim, now: Instant)
}

/// Decides the role: takes the manager's orders and the claims heard, and has the parts of the node
/// carried from one role to the other.
///
/// Thread: control. It is the only place that knows the role. Promotion: stop receiving, apply what
/// has arrived, take a new epoch, open the event socket, announce, lift l2drop; only then, in the
/// background, start the replicas' timers. Nothing before that depends on the size of the table.
final class NodeEngine {
    /// What became of an order.
    enum Outcome: Equatable {
        /// The role is the one ordered.
        case done
        /// The promotion waits for the end of an initsync (`--require-sync`).
        case waits
    }

    private unowned let parts: any NodeParts
    private(set) var machine: RoleMachine
    private var gate: PromotionGate
    /// When the role was taken.
    private(set) var roleSince: Instant
    /// What the last promotion took, from the order to the announcement; 0 before the first.
    private(set) var promotionMicroseconds: UInt64 = 0

    init(
        nodeID: UInt8, _ parts: any NodeParts, requireSyncSeconds: UInt32, now: Instant
    ) {
        self.parts = parts
        machine = RoleMachine(nodeID: nodeID)
        gate = PromotionGate(seconds: requireSyncSeconds)
        roleSince = now
    }

    /// The role.
    var role: Role { machine.role }
    /// The claim this node makes or made last.
    var claim: MasterClaim { machine.claim }
    /// Whether a promotion waits; `tick` looks whether it still has to.
    var isWaiting: Bool { gate.deadline != nil }

    // MARK: Epochs

    /// Takes note of the highest epoch of an earlier run.
    func remember(epoch: UInt64, wallMicroseconds: UInt64) {
        let claim = MasterClaim(epoch: epoch, nodeID: machine.nodeID)
        guard claim.isPlausible(wallMicroseconds: wallMicroseconds) else { return }
        machine.heard(claim)
    }

    /// The highest epoch that this node has made or followed.
    var highestEpoch: UInt64 {
        max(machine.claim, machine.highest, parts.slaveState.master).epoch
    }

    // MARK: Role changes

    /// Takes up the first role.
    ///
    /// - Throws: `SystemError` where the master's threads or sockets cannot be had.
    func begin(as role: Role, now: Instant, wallMicroseconds: UInt64) throws(SystemError) {
        if role == .master {
            try carryOut(machine.order(.master, wallMicroseconds: wallMicroseconds), now)
        } else {
            parts.becomeSlave(after: .none, now: now)
        }
    }

    /// Obeys the cluster manager, at once or, with `--require-sync`, when an initsync has ended.
    func order(
        _ wanted: Role, now: Instant, wallMicroseconds: UInt64
    ) throws(SystemError) -> Outcome {
        if role == .slave {
            let slave = parts.slaveState
            if wanted == .master, gate.mustWait(slave.outOfSync, now: now) { return .waits }
            machine.heard(slave.master)
        }
        gate.cancel()
        try carryOut(machine.order(wanted, wallMicroseconds: wallMicroseconds), now)
        return .done
    }

    /// Gives way to a higher claim heard as master.
    ///
    /// - Returns: whether the role changed.
    func giveWay(to claim: MasterClaim, now: Instant) throws(SystemError) -> Bool {
        let change = machine.superseded(by: claim)
        guard change != .none else { return false }
        try carryOut(change, now)
        return true
    }

    private func carryOut(_ change: RoleMachine.Change, _ now: Instant) throws(SystemError) {
        switch change {
        case .none: return
        case .promote(let claim):
            parts.stopReceiving(now: now)
            try parts.startTerm(claim, now: now)
            parts.open(now: now)
            try parts.startTimers(now: now)
            promotionMicroseconds = (parts.now - now) / Duration.microsecond
        case .demote(let claim):
            parts.close(now: now)
            parts.stopTimers()
            parts.stopTerm(now: now)
            parts.becomeSlave(after: claim, now: now)
        }
        roleSince = now
    }

    /// Ends everything in order: what has arrived is applied, what has happened is sent.
    func end(now: Instant) {
        if role == .master {
            parts.stopTimers()
            parts.stopTerm(now: now)
        }
    }
}
