// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

extension SlaveProtocol {
    /// A node that replicates everything, with a small ring.
    ///
    /// - Parameters:
    ///   - table: nil for an empty one of this capacity.
    static func sample(
        nodeID: UInt8 = 2, table: ReplicaTable? = nil, capacity: Int = 64, ringSlots: Int = 16,
        slotByteCount: Int = 1_400
    ) throws -> SlaveProtocol {
        try SlaveProtocol(
            nodeID: nodeID, table: table ?? ReplicaTable(capacity: capacity, seed: 1),
            filter: .everything, ringSlots: ringSlots, slotByteCount: slotByteCount)
    }
}
