// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Two to eight nodes on a bad wire, with a hand clock, for as long as a schedule lasts. It ends with
/// a quiet time on a good wire, after which all must agree.
final class SimulatedCluster {
    /// Why a schedule failed: which promise of the design, and how it shows.
    struct Failure: Error, CustomStringConvertible {
        /// Of DESIGN.md, section 6.
        var promise: Int
        var text: String
        var description: String { "promise \(promise): \(text)" }

        init(_ promise: Int, _ text: String) {
            self.promise = promise
            self.text = text
        }
    }

    static let tick = 1 * Duration.millisecond
    static let quietTick = 4 * Duration.millisecond
    /// The longest that a quiet cluster may take to agree.
    static let patience = 40 * Duration.second

    let schedule: Schedule
    let chance: Chance
    /// The links: one, or two of which one is always good enough.
    let wires: [SimulatedWire]
    let nodes: [SimulatedNode]
    let traffic: SimulatedTraffic
    private let drops: EarlyDrops?
    private let whole: WholeMasters
    private let late: LateBirths?
    private let forgeries: Forgeries?
    let flushed: FlushedReplicas
    private let sent = SentPackets()
    private(set) var now: Instant = 5 * Duration.second
    /// The node that the manager gave the addresses to: where the traffic goes.
    private(set) var active: Int?
    /// The one that it gave them to whose promotion waits for an initsync.
    private var awaited: Int?
    /// Live connections that a role change must not lose.
    var owed: [Key: Tuple] = [:]
    /// Those of them that the rules of a node have left out since.
    var leftOut: Set<Key> = []
    /// What somebody ordered a node to forget, and its kernel has still: it may have refused to delete it
    /// at first, and the daemon asks again, whatever becomes of the node's role meanwhile.
    private var forgotten: [Int: (keys: Set<Key>, at: Instant)] = [:]
    /// How often a slave that said it was in sync was found to be.
    var agreements = 0
    /// How often an owed connection was found.
    var kept = 0
    private(set) var overruns = 0
    /// When two nodes were master last.
    private var splitAt: Instant = 0
    private var roleChanges = 0
    /// Whether the stranger is on the link: not in the quiet time.
    var isForging = true
    private let churn: Int
    private let lossChance: Int

    init(_ schedule: Schedule, ringSlots: Int? = nil, slotByteCount: Int? = nil) throws {
        self.schedule = schedule
        let chance = Chance(seed: schedule.seed &* 3 &+ 1)
        self.chance = chance
        let wires = (0..<schedule.linkCount).map { place in
            let wire = SimulatedWire(nodes: schedule.nodeCount, chance, place: UInt8(place))
            wire.loss = chance.one(of: [0, 10, 50, 200])
            wire.doubling = chance.one(of: [0, 20, 100])
            wire.delay = chance.one(of: [1, 500, 5_000, 20_000])
            wire.corruption = chance.one(of: [0, 0, schedule.habits.contains(.noise) ? 50 : 5])
            return wire
        }
        self.wires = wires
        var settings = SimulatedSettings()
        settings.ringSlots = chance.one(of: [16, 32, 64])
        if let ringSlots { settings.ringSlots = ringSlots }
        if let slotByteCount { settings.slotByteCount = slotByteCount }
        settings.packetsPerSecond = chance.one(of: [200, 1_000, 0])
        if schedule.habits.contains(.boots) { settings.packetsPerSecond = 100 }
        settings.requireSyncSeconds = chance.one(of: [0, 0, 1])
        // By chances of their own: what else a seed decides does not change.
        let later = Chance(seed: schedule.seed &* 47 &+ 23)
        if schedule.habits.contains(.flushes) {
            settings.flushGraceSeconds = UInt32(1 + later.below(3))
        }
        if schedule.habits.contains(.narrowLinks) {
            settings.slotByteCount = 1_400
            let largest = PathWatch.sizes[2] + later.below(700)
            for wire in wires { wire.largest = largest }
        }
        flushed = FlushedReplicas(schedule, graceSeconds: settings.flushGraceSeconds)
        let own = (0..<schedule.nodeCount).map { Address(ipv4: 0xC000_0201 + UInt32($0)) }
        nodes = own.indices.map {
            SimulatedNode(
                index: $0, own: own[$0], wires: wires, chance: chance, settings: settings)
        }
        traffic = SimulatedTraffic(own: own, chance)
        if schedule.habits.contains(.shortExpectations) {
            traffic.expectationSeconds = UInt32(1 + later.below(3))
        }
        if schedule.habits.contains(.refusedSends) {
            let perMille = later.one(of: [20, 100, 300])
            for node in nodes {
                node.port.refusal = (perMille, Chance(seed: later.next()))
            }
        }
        let numbers =
            schedule.rules
            + schedule.steps.compactMap { step in
                if case .setRules(_, let number) = step.action { number } else { nil }
            }
        traffic.hasFamilies = numbers.allSatisfy { SimulatedRules.keepFamilies($0) }
        for node in nodes { node.rules = SimulatedRules[schedule.rules[node.index]] }
        drops =
            schedule.habits.contains(.earlyDrops)
            ? EarlyDrops(seed: schedule.seed &* 17 &+ 7) : nil
        lossChance = chance.one(of: [0, 0, 1, 4])
        let churn = chance.one(of: [30, 150, 600])
        self.churn = schedule.habits.contains(.splits) ? 30 : churn
        let faults = chance.one(of: [0, 0, 10])
        let capacity = chance.one(of: [12, 64, 500])
        if schedule.isTraced { SimulatedTrace.watch(nodes) }
        for node in nodes { node.kernel.faults = faults }
        let whole = WholeMasters(schedule, wires, nodes)
        self.whole = whole
        late =
            schedule.habits.contains(.lateBirths)
            ? LateBirths(
                schedule, isQuiet: whole.isQuiet && !schedule.habits.contains(.narrowLinks))
            : nil
        forgeries = schedule.habits.contains(.forgeries) ? Forgeries(schedule, wires) : nil
        for node in nodes {
            node.port.look = { [sent, unowned node] in sent.look($0, of: node) }
            node.advance(to: now)
            node.kernel.eventCapacity = capacity
            if schedule.habits.contains(.stalls) {
                node.stalls = Chance(seed: schedule.seed &* 19 &+ UInt64(node.index))
                // What is lost is lost when it ends, not if a demotion comes meanwhile.
                node.kernel.eventCapacity = 500
            }
            _ = node.kernel.table.insert(
                Self.ownEntry(node.own), seconds: 1_000_000, .traffic)
            if let (index, call, kind) = schedule.failing, index == node.index {
                (node.kernel.calls.failing, node.kernel.calls.kind) = (call, kind)
            }
            if schedule.habits.contains(.lateControl) { node.controlPause = Duration.second }
            try start(node)
        }
    }

    /// Starts a daemon; one that a call failed is started again, as systemd does.
    func start(_ node: SimulatedNode, _ state: Role? = nil) throws {
        whole.disturbed(now: now)
        late?.disturbed(now: now)
        do {
            try node.start(state)
        } catch  where node.kernel.calls.failed != nil {
            try node.start(state)
        }
    }

    /// A connection of a node's own, which no other node may touch.
    static func ownEntry(_ address: Address) -> Entry {
        var entry = Entry(
            Key(
                Tuple(
                    family: .ipv4, protocolNumber: ProtocolNumber.udp, source: address,
                    destination: Address(ipv4: 0x0808_0808), sourcePort: 5, destinationPort: 53)))
        entry.status = .IPS_CONFIRMED
        entry.mark = 77
        entry.fields = [.status, .timeout, .mark]
        return entry
    }

    /// What was counted at all nodes: recovered, lost, initsyncs, purged, insufficient, beyond, stale.
    var counters: [UInt64] {
        var sum = SlaveCounters()
        for node in nodes {
            sum.add(node.past)
            if let daemon = node.daemon { sum.add(daemon.slave.slave.counters) }
        }
        return [
            sum.recovered, sum.lost, sum.initsyncs, sum.purged, sum.insufficient, sum.beyond,
            sum.stale,
        ]
    }

    // MARK: Running

    /// Runs the schedule to its end.
    ///
    /// - Throws: `Failure` where a promise was broken.
    func run() throws {
        try order(0, .master)
        var next = schedule.steps[...]
        for index in 0..<schedule.stepCount {
            func carryOutDue() throws {
                while let step = next.first, step.at <= index {
                    next.removeFirst()
                    nodes[0].trace("--- step \(index): \(step.action)")
                    try carryOut(step.action)
                }
            }
            let interrupts = schedule.habits.contains(.interruptions)
            if !interrupts { try carryOutDue() }
            disturb()
            try step(Self.tick) { if interrupts { try carryOutDue() } }
            if chance.happens(20) { try probe() }
        }
        try settle()
    }

    /// Lets time pass, and each node work.
    ///
    /// - Parameter meanwhile: what is done while packets and events wait that no daemon has read.
    func step(_ time: UInt64, _ meanwhile: () throws -> Void = {}) throws {
        now += time
        for node in nodes { node.advance(to: now) }
        for wire in wires {
            wire.deliver(now) { source, target, bytes in
                nodes[target].deliver(bytes, from: source, by: wire.place)
            }
        }
        if isForging, forgeries?.send(nodes, now: now) == true {
            whole.disturbed(now: now)
            late?.disturbed(now: now)
        }
        try meanwhile()
        for node in nodes where node.isStopping { _ = try stop(node) }
        for node in nodes { try startWaiting(node) }
        if let active {
            drops?.drop(nodes, at: active, traffic, now: now, isForgotten: isForgotten)
        }
        late?.begin(nodes, traffic, now: now)
        for node in nodes {
            node.step()
            try checkStructures(node)
            try checkReport(node)
            try checkSending(node)
            try checkFollowing(node)
            try checkRules(node)
            try checkOwnEntry(node)
        }
        try sent.check(nodes, now: now)
        if let index = awaited, nodes[index].role == .master { (active, awaited) = (index, nil) }
        try drops?.check(nodes, now: now)
        try whole.check(nodes, traffic.live, now: now)
        try late?.check(nodes, wires, traffic.live, now: now)
        try forgeries?.check(nodes)
        try flushed.check(nodes, now: now) { key, reply in
            if traffic.live[key] == reply { traffic.forget(key) }
        }
        try trackOwed()
    }

    private func disturb() {
        guard let active, nodes[active].role == .master else { return }
        let kernel = nodes[active].kernel
        var times = churn / 1_000
        if chance.happens(churn % 1_000) { times += 1 }
        for _ in 0..<times { traffic.disturb(kernel.table) }
        if chance.happens(lossChance) {
            kernel.loseEvents()
            overruns += 1
        }
        if chance.happens(2) { traffic.refresh(kernel.table) }
    }

    /// The manager's order, and with a promotion the addresses.
    func order(_ index: Int, _ role: Role) throws {
        noteTold()
        let node = nodes[index]
        guard let daemon = node.daemon, !node.isStopping else { return }
        let taken = role == .master ? owe(to: index) : []
        let (before, failures) = (node.role, node.kernel.calls.failures)
        var refusal: (any Error)?
        do {
            let outcome = try daemon.order(role)
            if role == .master {
                // A node whose promotion waits is dark: the traffic comes when it is master.
                if outcome == .done { move(to: index, taken) }
                awaited = outcome == .waits ? index : nil
            } else if awaited == index {
                awaited = nil
            }
        } catch {
            refusal = error
        }
        if refusal != nil, node.role != before {
            throw Failure(
                10, "node \(index) refused \(role), and reports \(String(describing: node.role))")
        }
        roleChanges += 1
        if before == .slave, node.role == .master, failures == node.kernel.calls.failures {
            try checkApplied(node)
        }
    }

    // MARK: What is done

    private func carryOut(_ action: Schedule.Action) throws {
        noteTold()
        switch action {
        case .order(let node, let role): try order(node, role)
        case .kill(let node): nodes[node].kill()
        case .stop(let node): _ = try stop(nodes[node])
        case .start(let node, let state):
            if nodes[node].daemon == nil || nodes[node].isStopping { nodes[node].startsAs = state }
            try startWaiting(nodes[node])
        case .reboot(let node):
            excuse(node)
            nodes[node].startsAs = nil
            nodes[node].reboot()
            _ = nodes[node].kernel.table.insert(
                Self.ownEntry(nodes[node].own), seconds: 1_000_000, .traffic)
        case .cut(let node): anyWire.cut(node, true)
        case .cutWay(let source, let target):
            anyWire.cuts.insert(SimulatedWire.Way(source: source, target: target))
        case .heal: heal()
        case .setClock(let node, let offset): nodes[node].clock.offset = offset
        case .stopClock(let node): nodes[node].clock.isStopped = true
        case .loseEvents(let node): nodes[node].kernel.loseEvents()
        case .flush(let node):
            excuse(node)
            drops?.excuse(node)
            late?.excuse(node)
            flushed.excuse(node)
            if schedule.habits.contains(.mastersCommands) { flushMaster(nodes[node]) }
            nodes[node].daemon?.command { slave in
                _ = slave.flush(now: now)
                forgotten[node] = (Set(nodes[node].kernel.table.slots.keys), now)
            }
        case .loseAddress(let node): flushed.lose(nodes[node], nodes, now: now)
        case .loseDisk(let node):
            try carryOut(.reboot(node))
            nodes[node].storage.diskEpoch = 0
        case .failRecords(let node): nodes[node].storage.isFull = true
        case .resync(let node):
            if schedule.habits.contains(.mastersCommands) { nodes[node].daemon?.walkForAll() }
            nodes[node].daemon?.command { slave in slave.requireInitsync(now: now) }
        default: meddle(action)
        }
    }

    /// Tells a node's daemon to end.
    ///
    /// - Returns: whether it has; if not it is told again with each step.
    func stop(_ node: SimulatedNode) throws -> Bool {
        guard node.daemon != nil else { return true }
        guard node.stop() else { return false }
        try checkStopped(node)
        return true
    }

    /// Starts a daemon for which another one had to end, if it has.
    private func startWaiting(_ node: SimulatedNode) throws {
        guard node.daemon == nil, let state = node.startsAs else { return }
        node.startsAs = nil
        let taken = state == .master ? owe(to: node.index) : []
        try start(node, state)
        if node.role == .master { move(to: node.index, taken) }
    }

    /// All ways are up again. What live connections need, and any node holds, is owed from now on.
    func heal() {
        for wire in wires { wire.cuts = [] }
        if let active, nodes[active].role == .master { _ = owe(to: active) }
    }

    private var anyWire: SimulatedWire { wires.count == 1 ? wires[0] : chance.one(of: wires) }

    /// Whether a packet from one node reaches the other, by any link.
    func connects(_ source: Int, _ target: Int) -> Bool {
        wires.contains { $0.connects(source, target) }
    }

    private func meddle(_ action: Schedule.Action) {
        switch action {
        case .flushKernel(let node):
            nodes[node].kernel.meddle { $0.flush(.hand) }
            forgetDeleted(nodes[node])
            _ = nodes[node].kernel.table.insert(
                Self.ownEntry(nodes[node].own), seconds: 1_000_000, .traffic)
        case .deleteEntry(let node):
            nodes[node].kernel.meddle { table in
                guard let key = sorted(table).first(where: { $0.tuple.source != nodes[node].own })
                else { return }
                _ = table.remove(key, .hand)
            }
            forgetDeleted(nodes[node])
        case .changeEntry(let node):
            nodes[node].kernel.meddle { table in
                guard let key = sorted(table).first(where: { $0.tuple.source != nodes[node].own })
                else { return }
                table.change(key, saying: .mark, .hand) { $0.mark = 9 }
            }
        case .setEvents(let node, let value):
            nodes[node].kernel.meddle { _ in }
            nodes[node].kernel.eventsSetting = value
        case .resize(let node): nodes[node].kernel.resize()
        case .limit(let node, let capacity): nodes[node].kernel.table.capacity = capacity
        case .loseHelpers(let node, let value): nodes[node].kernel.table.hasHelpers = value
        case .setRules(let node, let number): nodes[node].rules = SimulatedRules[number]
        default: break
        }
    }

    /// An operator's `flush --yes` on a master: what it replicates is deleted, and its slaves are told.
    private func flushMaster(_ node: SimulatedNode) {
        guard node.role == .master else { return }
        node.kernel.table.flush(.hand) { node.admits($0) }
        forgetDeleted(node)
    }

    /// What a hand deletes on a master, its slaves are told to have ended: that it is nowhere then is the
    /// operator's doing, also if the traffic goes to another node already.
    private func forgetDeleted(_ node: SimulatedNode) {
        guard node.role == .master else { return }
        let table = node.kernel.table
        for key in traffic.live.keys {
            guard let removal = table.removals[key], removal.at == table.now,
                removal.cause == .hand
            else { continue }
            traffic.forget(key)
        }
    }

    /// The keys of a table in an order that the seed decides.
    private func sorted(_ table: SimulatedTable) -> [Key] {
        let bucket = TupleHash(seed: UInt64(chance.below(1_000)))
        return table.slots.keys.sorted { bucket($0) < bucket($1) }
    }

    // MARK: Connections that must not be lost

    /// Before a promotion: what lives, and some node within reach holds, is there afterwards.
    ///
    /// What no such node holds is not promised, as two things failed: it was not replicated, and who
    /// has it is gone.
    ///
    /// - Returns: those of them whose packets an older connection of the new master takes.
    private func owe(to index: Int) -> [Key] {
        var taken: [Key] = []
        for (key, reply) in traffic.live {
            let isHeld = keepers(key, reply).contains { holder in
                nodes[holder].daemon != nil
                    && (holder == index
                        || connects(holder, index) && connects(index, holder))
            }
            let table = nodes[index].kernel.table
            let isTaken =
                table.entry(key) != nil || table.key(replying: Key(reply, zone: key.zone)) != nil
            if isHeld {
                owed[key] = reply
                // What was left out at a role change, and is not where the traffic is since, is dead there.
                if isForwarded(key, reply) { leftOut.remove(key) }
            } else if isTaken {
                owed[key] = nil
                if table.entry(key)?.reply != reply { taken.append(key) }
            }
        }
        return taken
    }

    private func isForwarded(_ key: Key, _ reply: Tuple) -> Bool {
        active.map { nodes[$0].kernel.table.entry(key)?.reply == reply } ?? true
    }

    /// The traffic goes to a node. What its older connections have taken the packets of is dead, whoever
    /// holds it and comes back later.
    private func move(to index: Int, _ taken: [Key]) {
        active = index
        for key in taken { traffic.forget(key) }
    }

    private func holders(_ key: Key, _ reply: Tuple) -> [Int] {
        nodes.indices.filter { nodes[$0].kernel.table.entry(key)?.reply == reply }
    }

    /// Whether the rules of a node leave out a connection, as some node has it.
    private func isLeftOut(_ key: Key) -> Bool {
        guard schedule.habits.contains(.rules) else { return false }
        return nodes.contains { node in
            node.kernel.table.entry(key).map { entry in nodes.contains { !$0.admits(entry) } }
                ?? false
        }
    }

    /// Whether its master replicates by other rules, so what that one does not name is nobody's to delete.
    private func isWary(_ node: SimulatedNode) -> Bool {
        guard let slave = node.slave?.slave else { return false }
        return nodes.contains { $0.isMaster(of: slave) && !$0.agrees(with: node) }
    }

    /// Before anything is done: what slaves hold is of the connections that their masters have.
    private func noteTold() {
        for node in nodes {
            guard let slave = node.slave?.slave, slave.outOfSync(now: now) == nil,
                let master = nodes.first(where: { $0.isMaster(of: slave) })
            else { continue }
            traffic.wasTold(by: master.kernel.table, to: node.kernel.table)
        }
    }

    /// Those of them that have it of this connection, as an earlier one's entry is told to end, and were
    /// not ordered to forget it.
    private func keepers(_ key: Key, _ reply: Tuple) -> [Int] {
        holders(key, reply).filter {
            !isForgotten($0, key) && traffic.isHeld(key, reply, by: nodes[$0].kernel.table)
        }
    }

    private func isForgotten(_ node: Int, _ key: Key) -> Bool {
        forgotten[node]?.keys.contains(key) == true
    }

    /// What is ordered to be forgotten is gone, or the daemon holds it again, or another one runs that
    /// knows of no order.
    private func trackForgotten() {
        for (node, order) in forgotten {
            let table = nodes[node].kernel.table
            let replicas = nodes[node].daemon?.slave.table
            let isUnread = nodes[node].slave?.slave.hasAdopted == false
            let pending = order.keys.filter { key in
                let wentAt = table.removals[key]?.at ?? 0
                guard let replicas, table.entry(key) != nil, wentAt < order.at else { return false }
                return (replicas.knows(key) || isUnread) && replicas.book.alivePlace(key) == nil
            }
            forgotten[node] = pending.isEmpty ? nil : (pending, order.at)
        }
    }

    /// Looks after the connections that are owed: one that nobody holds any more was lost, by a
    /// daemon, or by what no daemon can help.
    private func trackOwed() throws {
        forgetLost()
        trackForgotten()
        if nodes.count(where: { $0.role == .master }) > 1 || isSplitRecent && isTakingOver {
            splitAt = now
        }
        for (key, reply) in owed {
            if isLeftOut(key) { leftOut.insert(key) }
            if traffic.live[key] != reply {
                owed[key] = nil
            } else if holders(key, reply).isEmpty {
                owed[key] = nil
                // Both masters of a split have made a connection of these ends, or one that is answered
                // at the same port: no kernel can have both, so one gives way.
                let hasOther = nodes.contains { node in
                    node.kernel.table.entry(key) != nil
                        || node.kernel.table.key(replying: Key(reply, zone: key.zone)) != nil
                }
                if isSplitRecent, hasOther { continue }
                // What two nodes have of the same ends is told apart by what their daemons have heard: what
                // is older than its node's daemon is of an unknown time.
                let isUnknown = nodes.contains { $0.isOlderThanDaemon(key, reply) }
                if isUnknown, hasOther || isLeftLate(key, reply) { continue }
                let removals = nodes.compactMap { node in
                    node.kernel.table.removals[key].map { (node, $0.at, $0.cause) }
                }
                guard let last = removals.max(by: { $0.1 < $1.1 }), last.2 == .daemon
                else { continue }
                // Of what its rules leave out nobody knows how late it is.
                if leftOut.contains(key), hasOther || !isWary(last.0) { continue }
                throw Failure(
                    9,
                    """
                    the last entry of a live connection was deleted by node \(last.0.index): \
                    \(EntryLine.text(Entry(key))); \
                    \(removals.map { "\($0.0.index) \($0.2) at \($0.1 / Duration.millisecond)" }), \
                    now \(now / Duration.millisecond), live \(reply.destinationPort); \(states)
                    """)
            }
        }
    }

    /// Whether two were master at once a moment ago, or one has begun since to take over what they had: at the
    /// pace of walks, and from each node in turn.
    private var isSplitRecent: Bool { splitAt > 0 && now < splitAt + 10 * Duration.second }

    private var isTakingOver: Bool {
        nodes.contains { $0.role == .master && $0.daemon?.master.exchange.isWhole == false }
    }

    /// Whether an earlier process left it at a node whose daemon began while a master was at work that was whole
    /// already: that master does not ask for it, as it may have ended long since (docs/limits.md).
    private func isLeftLate(_ key: Key, _ reply: Tuple) -> Bool {
        let promotions = nodes.filter { $0.role == .master }.compactMap {
            $0.daemon?.engine.roleSince
        }
        return nodes.contains { node in
            node.isOlderThanDaemon(key, reply)
                && promotions.contains { $0 + Wholeness.patience <= node.startedAt }
        }
    }

    /// A connection that the forwarding kernel has dropped for reasons of its own is dead.
    private func forgetLost() {
        guard let active else { return }
        let table = nodes[active].kernel.table
        for key in traffic.live.keys where table.entry(key) == nil {
            guard let removal = table.removals[key], removal.cause != .daemon else { continue }
            traffic.forget(key)
        }
    }

    /// How the nodes are, for a failure's report.
    var states: String {
        nodes.map { node in
            guard let daemon = node.daemon else { return "node \(node.index) down" }
            guard daemon.engine.role == .master else {
                let slave = daemon.slave.slave
                let reason = slave.outOfSync(now: now)?.rawValue ?? "in sync"
                return """
                    node \(node.index) slave of \(slave.master.nodeID), \(reason), holds \
                    \(slave.basis.epoch):\(slave.basis.sequence)
                    """
            }
            let basis = daemon.master.exchange.basis
            return """
                node \(node.index) master \(daemon.master.exchange.isWhole ? "whole" : "partial"), \
                epoch \(daemon.engine.claim.epoch), holds \(basis.epoch):\(basis.sequence)
                """
        }.joined(separator: "; ")
    }

    /// An operator's flush is an order, and a boot takes what is not on the disk.
    private func excuse(_ node: Int) {
        for (key, reply) in owed where keepers(key, reply) == [node] { owed[key] = nil }
    }
}
