// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A master's event intake and walk over a simulated kernel.
final class ListeningMaster {
    let kernel = SimulatedKernel(Chance(seed: 1))
    let ring: SendRing
    let exchange: MasterProtocol
    let flush: FlushHold
    let intake: EventIntake
    let walk: InitsyncWalk
    var term: EventIntake.Term
    var now = 10 * Duration.second

    init(graceSeconds: UInt32 = 0, rules: [String] = []) throws {
        ring = try SendRing(slotCount: 64, slotByteCount: 1_400, wake: nil)
        ring.reset(epoch: 100, nodeID: 1)
        exchange = MasterProtocol(ring: ring)
        exchange.start(MasterClaim(epoch: 100, nodeID: 1))
        flush = FlushHold(graceSeconds: graceSeconds)
        let chosen = ReplicationFilter(
            ownAddresses: [], syncNetworks: [],
            rules: try rules.map { try ReplicationRule(text: $0) })
        let (filter, tagged) = (FilterBox(chosen), TagWatch())
        intake = EventIntake(
            ring: ring, master: exchange, filter: filter, flush: flush, tagged: tagged)
        walk = InitsyncWalk(
            ring: ring, master: exchange, filter: filter, flush: flush, tagged: tagged,
            packetsPerSecond: 0)
        kernel.eventsSetting = 1
        kernel.advance(to: now)
        term = try intake.open(kernel)
    }

    /// How many messages follow from what happened, and whether a walk is wanted.
    func drain() -> (messages: UInt64, isWalkWanted: Bool) {
        let before = ring.messageCount
        let isWalkWanted = intake.drain(term, now: now)
        return (ring.messageCount - before, isWalkWanted)
    }
}
