// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A master loses its outside address, and its kernel flushes what is masqueraded to it: the slaves keep
/// that for the grace, as the node may be about to lose its part (DESIGN.md, section 3).
///
/// Promise 9: as long as the grace lasts, and the slave follows the same claim, its daemon deletes none of
/// it, unless its master has something in that place again, or leaves it out by its rules. Looked at only if no
/// call fails: a master that cannot look for lost addresses tells the flush as the end that it seems to be.
final class FlushedReplicas {
    private struct Flushed {
        let key: Key
        let reply: Tuple
        let at: Instant
        let master: Int
        let claim: MasterClaim
        /// The slaves that have it.
        var holders: [Int]
    }

    private let grace: UInt64
    private let isQuiet: Bool
    private var flushed: [Flushed] = []
    /// How many were kept for all of the grace.
    private(set) var keptCount = 0

    init(_ schedule: Schedule, graceSeconds: UInt32) {
        grace = UInt64(graceSeconds) * Duration.second
        isQuiet = schedule.failing == nil && !schedule.habits.contains(.lateFailures)
    }

    /// Somebody had a node forget what it holds.
    func excuse(_ node: Int) {
        for index in flushed.indices { flushed[index].holders.removeAll { $0 == node } }
    }

    /// A node loses its address.
    func lose(_ node: SimulatedNode, _ nodes: [SimulatedNode], now: Instant) {
        let (kernel, table) = (node.kernel, node.kernel.table)
        let before = table.slots
        guard let daemon = node.daemon, daemon.engine.role == .master else {
            return kernel.meddle { _ in kernel.lose(SimulatedTraffic.natAddress) }
        }
        kernel.lose(SimulatedTraffic.natAddress)
        let claim = daemon.engine.claim
        for (key, slot) in before where table.slots[key] == nil && node.admits(slot.entry) {
            let reply = slot.entry.reply
            let holders = nodes.filter {
                $0.slave?.slave.master == claim && $0.kernel.table.entry(key)?.reply == reply
            }
            flushed.append(
                Flushed(
                    key: key, reply: reply, at: now, master: node.index, claim: claim,
                    holders: holders.map(\.index)))
        }
    }

    /// Looks whether the slaves have it still.
    ///
    /// - Parameter ended: is given what the master has all slaves purge from now on, as the grace is over.
    func check(
        _ nodes: [SimulatedNode], now: Instant, ended: (Key, Tuple) -> Void
    ) throws {
        flushed.removeAll { item in
            let (master, table) = (nodes[item.master], nodes[item.master].kernel.table)
            let isOver = now >= item.at + grace
            if isOver, isQuiet { keptCount += item.holders.count }
            // What is made in its place ends it.
            let isBack =
                table.touched[item.key, default: 0] >= item.at || table.entry(item.key) != nil
                || table.key(replying: Key(item.reply, zone: item.key.zone)) != nil
            let hasClaim = master.daemon?.engine.claim == item.claim
            if isOver, !isBack, hasClaim { ended(item.key, item.reply) }
            return isOver || isBack || !hasClaim
        }
        for item in flushed where isQuiet {
            for index in item.holders where nodes[index].slave?.slave.master == item.claim {
                let table = nodes[index].kernel.table
                guard table.entry(item.key) == nil, let removal = table.removals[item.key],
                    removal.at >= item.at, removal.cause == .daemon
                else { continue }
                throw SimulatedCluster.Failure(
                    9,
                    """
                    slave \(index) deleted, \((now - item.at) / Duration.millisecond) ms after it, \
                    what the kernel of master \(item.master) has flushed with its address: \
                    \(EntryLine.text(Entry(item.key)))
                    """)
            }
        }
    }
}

extension SimulatedNode {
    /// How long after a flush a walk may take to purge it at the slaves, besides the grace.
    private static let purgeTime = 10 * Duration.second

    /// Whether its kernel has flushed something a moment ago that its slaves keep. Until the walk after the
    /// grace no walk purges, so they may have other things, too, that it has not: what was made again since
    /// and has ended, or what it ended while it was partial.
    var isSparing: Bool {
        let table = kernel.table
        let grace = UInt64(settings.flushGraceSeconds) * Duration.second
        return table.flushedAt > 0 && now < table.flushedAt + grace + Self.purgeTime
    }
}
