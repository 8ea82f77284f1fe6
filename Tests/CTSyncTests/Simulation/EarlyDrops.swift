// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A node is promoted whose table is full: its kernel drops, to make room, live connections of which no
/// packet has passed there yet. Other nodes may hold more than it does, so as long as it is partial this
/// takes nothing from its slaves.
final class EarlyDrops {
    private struct Drop {
        var key: Key
        var reply: Tuple
        var at: Instant
        var master: Int
        var claim: MasterClaim
        /// The slaves that had it.
        var holders: [Int]
    }

    private let chance: Chance
    private var drops: [Drop] = []
    private static let order = TupleHash(seed: 1)

    init(seed: UInt64) {
        chance = Chance(seed: seed)
    }

    /// Somebody had a node forget what it holds.
    func excuse(_ node: Int) {
        for index in drops.indices { drops[index].holders.removeAll { $0 == node } }
    }

    /// Drops something, perhaps, before the daemons work; there the connection is dead.
    ///
    /// - Parameters:
    ///   - active: the node where the traffic is.
    ///   - isForgotten: whether somebody had a node forget what its kernel has still.
    func drop(
        _ nodes: [SimulatedNode], at active: Int, _ traffic: SimulatedTraffic, now: Instant,
        isForgotten: (Int, Key) -> Bool
    ) {
        let (node, table) = (nodes[active], nodes[active].kernel.table)
        guard let daemon = node.daemon, Self.isNewMaster(node, now), chance.happens(20) else {
            return
        }
        let untouched = traffic.live.filter { key, reply in
            table.entry(key)?.reply == reply
                && table.touched[key, default: 0] < daemon.engine.roleSince
        }
        guard let (key, reply) = untouched.min(by: { Self.order($0.key) < Self.order($1.key) })
        else { return }
        let claim = daemon.engine.claim
        let holders = nodes.filter {
            $0.slave?.slave.master == claim && $0.kernel.table.entry(key)?.reply == reply
                && !isForgotten($0.index, key)
        }
        node.trace("drops \(EntryLine.text(Entry(key))) early")
        _ = table.remove(key, .traffic)
        traffic.forget(key)
        drops.append(
            Drop(
                key: key, reply: reply, at: now, master: active, claim: claim,
                holders: holders.map(\.index)))
    }

    /// Promise 9: what a partial master lacks stays with its slaves.
    func check(_ nodes: [SimulatedNode], now: Instant) throws {
        drops.removeAll { drop in
            let (master, table) = (nodes[drop.master], nodes[drop.master].kernel.table)
            let isBack =
                table.entry(drop.key) != nil
                || table.key(replying: Key(drop.reply, zone: drop.key.zone)) != nil
            return isBack || !Self.isNewMaster(master, now)
                || master.daemon?.engine.claim != drop.claim
        }
        for drop in drops {
            for index in drop.holders where nodes[index].slave?.slave.master == drop.claim {
                let table = nodes[index].kernel.table
                guard table.entry(drop.key) == nil, let removal = table.removals[drop.key],
                    removal.at >= drop.at, removal.cause == .daemon,
                    table.key(replying: Key(drop.reply, zone: drop.key.zone)) == nil
                else { continue }
                throw SimulatedCluster.Failure(
                    9,
                    "slave \(index) deleted what its partial master \(drop.master) has lost: "
                        + EntryLine.text(Entry(drop.key)))
            }
        }
    }

    /// Whether it was promoted less than a second ago: it has made no walk yet.
    private static func isNewMaster(_ node: SimulatedNode, _ now: Instant) -> Bool {
        guard let daemon = node.daemon, daemon.engine.role == .master else { return false }
        return !daemon.master.exchange.isWhole && now < daemon.engine.roleSince + Wholeness.patience
    }
}
