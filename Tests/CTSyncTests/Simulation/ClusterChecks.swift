// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// The design's promises (section 6) as code, checked while a schedule runs and at its end.
extension SimulatedCluster {
    /// How long a daemon has to notice what somebody did to its kernel.
    static let grace = 3 * Duration.second
    /// What every promise rests on.
    func checkStructures(_ node: SimulatedNode) throws {
        guard let daemon = node.daemon else { return }
        var fault: String?
        daemon.slave.table.assertValid { fault = fault ?? $0 }
        daemon.link.assertValid { fault = fault ?? $0 }
        daemon.engine.assertValid { fault = fault ?? $0 }
        daemon.aftermath?.assertValid { fault = fault ?? $0 }
        if let fault { throw Failure(0, "node \(node.index): \(fault)") }
    }

    /// Promise 10: what is reported is what is.
    func checkReport(_ node: SimulatedNode) throws {
        guard let daemon = node.daemon else { return }
        let isMaster = daemon.engine.role == .master
        guard (daemon.term != nil) == isMaster, daemon.link.isSlave == !isMaster,
            daemon.isOpen == isMaster
        else {
            throw Failure(
                10,
                """
                node \(node.index) reports \(daemon.engine.role), but its term runs: \
                \(daemon.term != nil), it receives: \(daemon.link.isSlave), it is open: \
                \(daemon.isOpen)
                """)
        }
    }

    /// Promise 5: a slave leaves its master for a higher claim only.
    func checkFollowing(_ node: SimulatedNode) throws {
        guard let daemon = node.daemon, let slave = node.slave?.slave else { return }
        guard slave.master >= daemon.followed else {
            throw Failure(
                5, "slave \(node.index) follows \(slave.master), after \(daemon.followed)")
        }
        daemon.followed = slave.master
    }

    /// Promise 3: a slave of a master that replicates by other rules is not in sync.
    func checkRules(_ node: SimulatedNode) throws {
        guard schedule.habits.contains(.rules), let slave = node.slave?.slave,
            let master = nodes.first(where: { $0.isMaster(of: slave) }), !node.agrees(with: master),
            slave.outOfSync(now: now) == nil
        else { return }
        throw Failure(
            3, "slave \(node.index) is in sync, and has other rules than \(master.index)")
    }

    /// No closed packet waits until the sender wakes by itself, for the next announcement.
    func checkSending(_ node: SimulatedNode) throws {
        guard let since = node.daemon?.unsentSince, now > since + 50 * Duration.millisecond
        else { return }
        let time = (now - since) / Duration.millisecond
        throw Failure(0, "node \(node.index): a closed packet waits for the sender, for \(time) ms")
    }

    /// Promise 3: a slave that has heard the master's last word, and says that it is in sync, has its
    /// table. Promise 1: none of it can expire there.
    func probe() throws {
        let master = chance.one(of: nodes)
        guard master.role == .master, let word = master.daemon?.lastWord() else { return }
        guard !isMeddled(master) else { return }
        for node in nodes where node.role == .slave && connects(master.index, node.index) {
            node.daemon?.takeNow(word, from: master.index)
            guard let slave = node.slave, slave.slave.master == master.daemon?.engine.claim,
                slave.slave.outOfSync(now: now) == nil, !isMeddled(node)
            else { continue }
            agreements += 1
            if let difference = node.difference(from: master) {
                throw Failure(3, "in sync, but \(difference)")
            }
            if let key = node.runningReplica(of: master) {
                throw Failure(1, "\(key) may expire on slave \(node.index)")
            }
        }
    }

    private func isMeddled(_ node: SimulatedNode) -> Bool {
        node.kernel.meddledAt > 0 && now < node.kernel.meddledAt + Self.grace
    }

    /// Promise 1: after an orderly stop no entry has a standby's long time.
    func checkStopped(_ node: SimulatedNode) throws {
        guard node.kernel.faults == 0 else { return }
        if let key = heldEntry(node) {
            throw Failure(1, "node \(node.index) stopped, and \(key) keeps a day")
        }
    }

    private func heldEntry(_ node: SimulatedNode) -> Key? {
        node.kernel.table.slots.keys.first {
            !isOwnEntry($0) && !node.leavesOut($0)
                && SimulatedNode.heldSeconds.contains(node.kernel.table.secondsLeft($0))
        }
    }

    private func isOwnEntry(_ key: Key) -> Bool {
        nodes.contains { $0.own == key.tuple.source }
    }

    /// Promise 1: what had arrived when a promotion was ordered is in the kernel; a parent that
    /// somebody has deleted a moment ago may be missing there.
    func checkApplied(_ node: SimulatedNode) throws {
        guard node.kernel.faults == 0, !isMeddled(node), let daemon = node.daemon,
            daemon.slave.table.isDirty
        else { return }
        throw Failure(1, "node \(node.index) is master, and its kernel lacks what had arrived")
    }

    // MARK: The end

    /// A quiet time on a good wire: one master, whom all follow, and equal tables.
    func settle() throws {
        nodes[0].trace("--- settle")
        isForging = false
        heal()
        for wire in wires {
            (wire.loss, wire.doubling, wire.delay, wire.corruption) = (0, 0, 100, 0)
        }
        for node in nodes {
            node.kernel.faults = 0
            node.stalls = nil
            node.port.refusal = nil
            if !schedule.failsToTheEnd { node.kernel.calls.failing = 0 }
            node.kernel.table.capacity = 1_000
            node.kernel.table.hasHelpers = true
        }
        while nodes.contains(where: \.isStopping) { try step(Self.quietTick) }
        for node in nodes where node.daemon == nil { try start(node) }
        // In every other schedule nobody says who is to be master until the nodes have agreed. Where a
        // call may fail there may be none: that is for the manager to see.
        let hasMaster = nodes.contains { $0.role == .master }
        if schedule.seed % 2 == 0, hasMaster, !schedule.failsToTheEnd { try agree(on: nil) }
        let chosen = chance.below(nodes.count)
        for node in nodes where node.index != chosen { try order(node.index, .slave) }
        let calls = nodes[chosen].kernel.calls
        if schedule.habits.contains(.lateFailures) {
            let (call, kind) = Schedule.lateFailure(schedule.seed)
            calls.fail(call, of: kind)
        }
        let failures = calls.failures
        try order(chosen, .master)
        // The manager is told that it was refused, and orders it again.
        if calls.failures != failures { try order(chosen, .master) }
        try agree(on: chosen, failures)
        try checkOwed(chosen)
        let others = nodes.filter { !$0.agrees(with: nodes[chosen]) }
        for node in others {
            while try !stop(node) { try step(Self.quietTick) }
            node.rules = nodes[chosen].filter.current.rules
            try start(node)
        }
        if !others.isEmpty {
            try agree(on: chosen, nodes[chosen].kernel.calls.failures)
            try checkOwed(chosen)
        }
    }

    /// Waits until all have been of one mind for half a second.
    ///
    /// - Parameters:
    ///   - chosen: the node that the manager has made master; nil for any.
    ///   - before: how many of its calls had failed before that.
    private func agree(on chosen: Int?, _ before: Int = 0) throws {
        nodes[0].trace("--- agree on \(chosen.map { "\($0)" } ?? "anybody")")
        let end = now + Self.patience
        var agreedAt: Instant?
        var failures = before
        var traced = ""
        while agreedAt.map({ now < $0 + 500 * Duration.millisecond }) ?? true {
            try step(Self.quietTick)
            // A promotion may still wait for an initsync; if it fails then, it is ordered again.
            if let chosen, nodes[chosen].role == .slave,
                nodes[chosen].kernel.calls.failures != failures
            {
                failures = nodes[chosen].kernel.calls.failures
                try order(chosen, .master)
            }
            if let forwarding = chosen ?? active, nodes[forwarding].role == .master {
                traffic.refresh(nodes[forwarding].kernel.table)
            }
            // Whoever is probed has heard the master.
            if !schedule.habits.contains(.unprobed) { try probe() }
            let problem = disagreement(chosen)
            agreedAt = problem == nil ? agreedAt ?? now : nil
            let state = problem?.text ?? "all agree"
            if state != traced { nodes[0].trace("--- \(state)") }
            traced = state
            if now > end { throw problem ?? Failure(3, "does not settle") }
        }
    }

    private func disagreement(_ chosen: Int?) -> Failure? {
        let masters = nodes.filter { $0.role == .master }
        guard masters.count == 1 else { return Failure(5, "\(masters.count) masters") }
        if let chosen, masters[0].index != chosen {
            return Failure(
                5, "node \(chosen) was promoted last, node \(masters[0].index) is master")
        }
        // A slave of other rules says what keeps it from being in sync, whatever its master lacks.
        guard masters[0].daemon?.master.exchange.isWhole == true else {
            return Failure(3, "master \(masters[0].index) stays partial: \(states)")
        }
        for node in nodes {
            guard let slave = node.slave else { continue }
            guard slave.slave.master == masters[0].daemon?.engine.claim else {
                return Failure(5, "slave \(node.index) does not follow the master: \(states)")
            }
            let reason = slave.slave.outOfSync(now: now)
            if let reason, reason != .rules || node.agrees(with: masters[0]) {
                return Failure(
                    3, "slave \(node.index) stays out of sync: \(reason.rawValue): \(states)")
            }
            if let difference = node.difference(from: masters[0]) { return Failure(3, difference) }
        }
        if let key = heldEntry(masters[0]) {
            return Failure(1, "\(key) keeps a day on the master")
        }
        return nil
    }

    /// Promise 9.
    private func checkOwed(_ chosen: Int) throws {
        for (key, reply) in owed where traffic.live[key] == reply && !leftOut.contains(key) {
            guard nodes[chosen].kernel.table.entry(key)?.reply == reply else {
                throw Failure(9, "a live connection is not on the master at the end: \(key)")
            }
            kept += 1
        }
    }

    /// Promise 4. A kernel without room drops what it likes.
    func checkOwnEntry(_ node: SimulatedNode) throws {
        let entry = Self.ownEntry(node.own)
        let table = node.kernel.table
        if table.entry(entry.key) == nil, table.removals[entry.key]?.cause == .traffic { return }
        guard let found = table.entry(entry.key), found.mark == entry.mark else {
            throw Failure(4, "own entry of node \(node.index) was touched")
        }
    }
}

/// What keeps a slave's kernel from being the master's.
extension SimulatedNode {
    /// What a replica on hold has, and no other entry.
    static let heldSeconds: ClosedRange<UInt32> = 40_000...ReplicaTable.holdSeconds

    /// A replica that is not on hold; nil where there is none. A walk that purges nothing, as its master's
    /// kernel flushes, leaves what it does not speak of as it is.
    func runningReplica(of master: SimulatedNode) -> Key? {
        guard let replicas = daemon?.slave.table else { return nil }
        return kernel.table.slots.keys.first {
            replicas.book.alivePlace($0) != nil
                && !Self.heldSeconds.contains(kernel.table.secondsLeft($0))
                && !begunLate.contains($0)
                && (!master.isSparing || master.replicates($0))
        }
    }

    /// The first difference; nil where there is none.
    func difference(from other: SimulatedNode) -> String? {
        let filter = filter.current
        let mine = kernel.table.slots.values.map(\.entry).filter { filter.admits($0) }
        let theirs = other.kernel.table.slots.values.map(\.entry).filter {
            other.admits($0) && !filter.isOwn($0) && (agrees(with: other) || filter.admits($0))
        }
        // What was made while nf_conntrack_events was 0 tells nobody what becomes of it: a walk does.
        let muted = other.kernel.table.muted
        // What the master leaves out tells a slave nothing if their rules differ.
        for entry in mine
        where agrees(with: other) && other.kernel.table.entry(entry.key) == nil
            && !muted.contains(entry.key)
            && !begunLate.contains(entry.key) && !other.isSparing
        {
            return "slave \(index) has \(entry.key), master \(other.index) has not"
        }
        for entry in mine
        where agrees(with: other) && other.leavesOut(entry.key) && knows(entry.key)
            && !other.isSparing
        {
            return
                "slave \(index) has \(entry.key), which the rules of master \(other.index) leave out"
        }
        for entry in theirs where !muted.contains(entry.key) {
            guard let held = kernel.table.entry(entry.key) else {
                return "slave \(index) lacks \(entry.key) of master \(other.index)"
            }
            if let reason = Self.difference(held, entry, other.kernel.table) {
                return "slave \(index), master \(other.index): \(reason) of \(entry.key)"
            }
        }
        return expectationDifference(from: other)
    }

    private func expectationDifference(from other: SimulatedNode) -> String? {
        // Those of connections of this node's own are left out.
        let filter = filter.current
        let mine = kernel.table.expectations.filter { filter.mayAdmit($0) && holds($0) }
        let theirs = other.kernel.table.expectations.filter {
            filter.mayAdmit($0) && other.filter.current.mayAdmit($0)
        }
        // One whose parent comes in by its state later is told by the next walk.
        let isTold = !filter.hasChangeableRules && !other.filter.current.hasChangeableRules
        if isTold, let lost = theirs.first(where: { item in !mine.contains { $0.key == item.key } })
        {
            return "slave \(index) lacks the expectation \(lost.key)"
        }
        let all = other.kernel.table.expectations
        if agrees(with: other), !other.isSparing,
            let extra = mine.first(where: { item in !all.contains { $0.key == item.key } })
        {
            return "slave \(index) has the expectation \(extra.key), the master has not"
        }
        return nil
    }

    private static func difference(
        _ held: Entry, _ said: Entry, _ table: SimulatedTable
    ) -> String? {
        let bits: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]
        if held.reply != said.reply { return "reply" }
        if held.mark != said.mark { return "mark \(held.mark) instead of \(said.mark)" }
        if watched(held.protocolInfo) != watched(said.protocolInfo) { return "protocol state" }
        if held.status.intersection(bits) != said.status.intersection(bits) { return "status" }
        if held.extras.labelsLow != said.extras.labelsLow { return "labels" }
        let isRelated = said.fields.contains(.parent)
        if held.fields.contains(.parent) != isRelated {
            guard isRelated, table.orphans.contains(said.key) else { return "parent" }
        }
        return nil
    }

    /// Whether its windows are watched is each node's own.
    private static func watched(_ info: ProtocolInfo) -> ProtocolInfo {
        var info = info
        info.originalFlags &= ~TCPFlag.beLiberal
        info.replyFlags &= ~TCPFlag.beLiberal
        return info
    }
}
