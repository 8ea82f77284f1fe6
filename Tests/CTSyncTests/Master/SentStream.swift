// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

extension MasterProtocol {
    /// A master of epoch 100 that has sent so many packets.
    static func havingSent(
        _ count: Int, nodeID: UInt8, linkCount: Int = 1, isMulticast: Bool = false
    ) throws -> MasterProtocol {
        let ring = try SendRing(slotCount: 16, slotByteCount: 400, wake: nil)
        ring.reset(epoch: 100, nodeID: nodeID)
        let master = MasterProtocol(
            ring: ring, linkCount: linkCount, isMulticast: isMulticast)
        master.start(MasterClaim(epoch: 100, nodeID: nodeID))
        for _ in 0..<count {
            _ = ring.append(Bracket(number: 1), .UPDATE)
            ring.flush()
        }
        ring.markSent(
            ring.withUnsent(maximum: 16, clockMicroseconds: 0, sealer: nil) { _, _ in })
        return master
    }
}
