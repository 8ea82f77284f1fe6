// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Neighbours learn late where a cluster's addresses are now: some connections still begin through a node
/// that gave way, also after it has handed over what began there before.
///
/// Promise 9: if nothing keeps them from it, its master has each of them a moment later. Looked at only
/// if few packets are lost and no call fails, and since it began no way was down, no daemon was started,
/// and the node has followed one master.
final class LateBirths {
    private struct Birth {
        let key: Key
        let reply: Tuple
        let at: Instant
        let node: Int
        /// The process that was there.
        weak var daemon: SimulatedDaemon?
        /// Whether the master has had it.
        var hasArrived = false
    }

    /// How long after a node gave way connections begin there; it listens for three seconds at least.
    private static let span = 2 * Duration.second
    /// How soon the master has them.
    private static let limit = 2 * Duration.second
    /// How long they may differ from what the master says: it walks its table when it is whole.
    private static let grace = 6 * Duration.second

    private let chance: Chance
    private let isQuiet: Bool
    private var births: [Birth] = []
    /// Whom each node follows, and since when.
    private var followed: [Int: (master: MasterClaim, since: Instant)] = [:]
    private var disturbedAt: Instant = 0

    init(_ schedule: Schedule, isQuiet: Bool) {
        chance = Chance(seed: schedule.seed &* 31 &+ 13)
        self.isQuiet = isQuiet
    }

    /// Something that keeps a master from knowing has happened.
    func disturbed(now: Instant) {
        disturbedAt = now
    }

    /// Somebody had a node forget what it holds.
    func excuse(_ node: Int) {
        births.removeAll { $0.node == node }
    }

    /// Begins a connection at each node that gave way a moment ago, perhaps.
    func begin(_ nodes: [SimulatedNode], _ traffic: SimulatedTraffic, now: Instant) {
        for node in nodes {
            guard let daemon = node.daemon, daemon.engine.role == .slave,
                daemon.engine.promotion != nil, now < daemon.engine.roleSince + Self.span,
                chance.happens(8), let entry = traffic.begin(at: node, of: nodes, chance)
            else { continue }
            node.trace("begins late: \(EntryLine.text(entry))")
            births.append(
                Birth(
                    key: entry.key, reply: entry.reply, at: now, node: node.index,
                    daemon: daemon))
        }
        for node in nodes {
            node.begunLate = Set(births.lazy.filter { $0.node == node.index }.map(\.key))
        }
    }

    /// Looks whether the masters have them.
    func check(
        _ nodes: [SimulatedNode], _ wires: [SimulatedWire], _ live: [Key: Tuple], now: Instant
    ) throws {
        if wires.contains(where: { !$0.cuts.isEmpty }) { disturbedAt = now }
        for node in nodes {
            let master = node.slave?.slave.masterAddress == nil ? nil : node.slave?.slave.master
            if followed[node.index]?.master != master {
                followed[node.index] = master.map { ($0, now) }
            }
        }
        births.removeAll { now >= $0.at + Self.grace }
        for index in births.indices { try check(&births[index], nodes, live, now) }
    }

    private func check(
        _ birth: inout Birth, _ nodes: [SimulatedNode], _ live: [Key: Tuple], _ now: Instant
    ) throws {
        guard isQuiet, !birth.hasArrived, !nodes[birth.node].leavesOut(birth.key),
            live[birth.key] == birth.reply,
            let daemon = nodes[birth.node].daemon, daemon === birth.daemon,
            let (claim, since) = followed[birth.node],
            let master = nodes.first(where: {
                $0.role == .master && $0.daemon?.engine.claim == claim
            })
        else { return }
        guard !master.leavesOut(birth.key, of: nodes[birth.node]) else { return }
        let table = master.kernel.table
        // Something else of its ends may have begun at the master.
        birth.hasArrived =
            table.entry(birth.key) != nil
            || table.key(replying: Key(birth.reply, zone: birth.key.zone)) != nil
        let due = max(birth.at, since, disturbedAt) + Self.limit
        guard !birth.hasArrived, now >= due else { return }
        throw SimulatedCluster.Failure(
            9,
            """
            master \(master.index) has not taken what began at node \(birth.node) \
            \((now - birth.at) / Duration.millisecond) ms ago: \(EntryLine.text(Entry(birth.key)))
            """)
    }
}
