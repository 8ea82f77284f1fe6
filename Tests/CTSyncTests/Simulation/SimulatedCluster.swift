// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Three nodes on a bad wire, with a hand clock, for as long as a schedule lasts.
///
/// A schedule is decided by its seed: traffic at whoever is master, promotions, demotions, restarts,
/// cut links, lost events, kernels that refuse, batches that break off. It ends with a quiet time on
/// a good wire, after which all must agree.
final class SimulatedCluster {
    /// Why a schedule failed.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private static let own = (0..<3).map { Address(ipv4: 0xC000_0201 + UInt32($0)) }
    private static let tick = 1 * Duration.millisecond
    private static let quietTick = 4 * Duration.millisecond
    /// The longest that a quiet cluster may take to agree.
    private static let patience = 30 * Duration.second

    private let chance: Chance
    private let wire: SimulatedWire
    private let nodes: [SimulatedNode]
    private let traffic: SimulatedTraffic
    private var now: Instant = 5 * Duration.second
    private var highestClaim = MasterClaim.none
    /// How often a slave that said it was in sync was found to be.
    private(set) var agreements = 0
    private(set) var overruns = 0
    private let lossChance: Int
    private let churn: Int

    init(seed: UInt64) throws {
        let chance = Chance(seed: seed)
        self.chance = chance
        let wire = SimulatedWire(nodes: 3, chance)
        wire.loss = chance.one(of: [0, 10, 50, 200])
        wire.doubling = chance.one(of: [0, 20, 100])
        wire.delay = chance.one(of: [1, 500, 5_000, 20_000])
        self.wire = wire
        let slots = chance.one(of: [16, 32, 64])
        nodes = try (0..<3).map {
            try SimulatedNode(
                index: $0, own: Self.own[$0], wire: wire, chance: chance, ringSlots: slots)
        }
        traffic = SimulatedTraffic(own: Self.own, chance)
        lossChance = chance.one(of: [0, 0, 1, 4])
        churn = chance.one(of: [30, 150, 600, 1_500])
        let faults = chance.one(of: [0, 0, 10])
        let breaks = chance.one(of: [0, 0, 10])
        let capacity = chance.one(of: [12, 64, 500])
        for (index, node) in nodes.enumerated() {
            node.kernel.faults = faults
            node.kernel.breaks = breaks
            node.kernel.eventCapacity = capacity
            node.kernel.make(Self.ownEntry(index))
        }
    }

    /// A connection of a node's own, which no other node may touch.
    private static func ownEntry(_ index: Int) -> Entry {
        var entry = Entry(
            Key(
                Tuple(
                    family: .ipv4, protocolNumber: ProtocolNumber.udp, source: own[index],
                    destination: Address(ipv4: 0x0808_0808), sourcePort: 5, destinationPort: 53)))
        entry.status = .IPS_CONFIRMED
        entry.mark = 77
        entry.fields = [.status, .timeout, .mark]
        return entry
    }

    /// What was counted at all nodes: recovered, lost, initsyncs, purged, insufficient, beyond, stale.
    var counters: [UInt64] {
        nodes.reduce(into: Array(repeating: 0, count: 7)) { sum, node in
            for (index, count) in node.counters.enumerated() { sum[index] += count }
        }
    }

    /// Runs the schedule to its end.
    ///
    /// - Throws: `Failure` where a promise was broken.
    func run() throws {
        order(nodes[chance.below(3)], .master)
        for _ in 0..<(800 + chance.below(2_500)) {
            try disturb()
            step(Self.tick)
            if chance.happens(20) { try probe() }
        }
        try settle()
    }

    private func order(_ node: SimulatedNode, _ role: Role) {
        node.order(role, now: now)
        highestClaim = max(highestClaim, node.machine.claim)
    }

    private func step(_ time: UInt64) {
        now += time
        wire.deliver(now) { source, target, bytes in
            nodes[target].deliver(bytes, from: source, now: now)
        }
        for node in nodes { node.step(now) }
    }

    private func disturb() throws {
        for node in nodes where node.role == .master {
            var times = churn / 1_000
            if chance.happens(churn % 1_000) { times += 1 }
            for _ in 0..<times { traffic.disturb(node.kernel) }
            if chance.happens(lossChance) {
                node.kernel.loseEvents()
                overruns += 1
            }
        }
        if chance.happens(2) { order(chance.one(of: nodes), .master) }
        if chance.happens(1) { order(chance.one(of: nodes), .slave) }
        if chance.happens(1) {
            let node = chance.one(of: nodes)
            try node.restart(as: chance.happens(300) ? node.role : .slave, now: now)
            highestClaim = max(highestClaim, node.machine.claim)
        }
        if chance.happens(2) { wire.isCut[chance.below(3)].toggle() }
        if chance.happens(8) { wire.isCut = [false, false, false] }
    }

    /// A slave that has heard the master's last word, and says that it is in sync, has its table.
    private func probe() throws {
        let master = chance.one(of: nodes)
        guard master.role == .master else { return }
        let word = master.lastWord(now)
        for node in nodes where node.role == .slave {
            node.deliver(word, from: master.index, now: now)
            node.inject(now)
            guard node.slave.master == master.machine.claim,
                node.slave.outOfSync(now: now) == nil
            else { continue }
            agreements += 1
            if let difference = node.difference(from: master) {
                throw Failure(description: "in sync, but \(difference)")
            }
        }
    }

    // MARK: The end

    private func settle() throws {
        wire.isCut = [false, false, false]
        wire.loss = 0
        wire.doubling = 0
        wire.delay = 100
        for node in nodes {
            node.kernel.faults = 0
            node.kernel.breaks = 0
        }
        let chosen = chance.one(of: nodes)
        if chosen.role == .slave || chosen.machine.claim != highestClaim {
            order(chosen, .slave)
            order(chosen, .master)
        }
        let end = now + Self.patience
        var agreedAt: Instant?
        while agreedAt.map({ now < $0 + 500 * Duration.millisecond }) ?? true {
            step(Self.quietTick)
            try probe()
            let problem = disagreement()
            agreedAt = problem == nil ? agreedAt ?? now : nil
            if now > end { throw Failure(description: problem ?? "does not settle") }
        }
        for (index, node) in nodes.enumerated() {
            let entry = Self.ownEntry(index)
            guard node.kernel.entries[entry.key] == entry else {
                throw Failure(description: "own entry of \(node.id) was touched")
            }
        }
    }

    private func disagreement() -> String? {
        let masters = nodes.filter { $0.role == .master }
        guard masters.count == 1 else { return "\(masters.count) masters" }
        for node in nodes where node.role == .slave {
            if let reason = node.slave.outOfSync(now: now) {
                return "slave \(node.id): \(reason.rawValue)\(node.refused)"
            }
            guard node.slave.master == masters[0].machine.claim else {
                return "slave \(node.id) follows another"
            }
            if let difference = node.difference(from: masters[0]) { return difference }
        }
        return nil
    }
}
