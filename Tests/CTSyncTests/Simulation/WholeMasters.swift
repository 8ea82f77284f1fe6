// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Promise 9, when a master begins to call itself whole: it lacks nothing live that a slave holds.
///
/// Looked at only if nothing has kept it from knowing: few packets are lost and no call fails, and since
/// it was promoted no way was down, no daemon was started, and its kernel had room.
final class WholeMasters {
    private var known: [Int: MasterClaim] = [:]
    private let wires: [SimulatedWire]
    /// Whether few packets are lost and no call fails.
    let isQuiet: Bool
    private var disturbedAt: Instant = 0

    init(_ schedule: Schedule, _ wires: [SimulatedWire], _ nodes: [SimulatedNode]) {
        self.wires = wires
        isQuiet =
            schedule.failing == nil
            && schedule.habits.isDisjoint(with: [.lateFailures, .refusedSends])
            && wires.allSatisfy { $0.loss <= 50 && $0.corruption == 0 }
            && nodes.allSatisfy { $0.kernel.faults == 0 }
    }

    /// Something that keeps a master from knowing has happened.
    func disturbed(now: Instant) {
        disturbedAt = now
    }

    func check(_ nodes: [SimulatedNode], _ live: [Key: Tuple], now: Instant) throws {
        if wires.contains(where: { !$0.cuts.isEmpty }) { disturbedAt = now }
        guard isQuiet else { return }
        for node in nodes {
            guard let daemon = node.daemon, daemon.engine.role == .master,
                daemon.master.exchange.isWhole
            else {
                known[node.index] = nil
                continue
            }
            let claim = daemon.engine.claim
            guard known[node.index] != claim else { continue }
            known[node.index] = claim
            guard max(disturbedAt, node.kernel.table.fullAt) < daemon.engine.roleSince else {
                continue
            }
            for slave in nodes {
                guard let followed = slave.slave?.slave.master, followed <= claim else { continue }
                try compare(node, slave, live)
            }
        }
    }

    private func compare(
        _ master: SimulatedNode, _ slave: SimulatedNode, _ live: [Key: Tuple]
    ) throws {
        let table = master.kernel.table
        for (key, reply) in live
        where slave.kernel.table.entry(key)?.reply == reply && !slave.begunLate.contains(key) {
            guard !master.leavesOut(key, of: slave), table.entry(key) == nil,
                table.key(replying: Key(reply, zone: key.zone)) == nil
            else { continue }
            throw SimulatedCluster.Failure(
                9,
                """
                master \(master.index) calls itself whole, and lacks what slave \(slave.index) has: \
                \(EntryLine.text(Entry(key)))
                """)
        }
    }
}
