// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct MasterClaimTests {
    @Test(
        arguments: [
            // Left, right, whether left is lower.
            ((1, 9), (2, 1), true), ((2, 1), (1, 9), false), ((2, 1), (2, 2), true),
            ((2, 2), (2, 2), false), ((0, 0), (0, 1), true),
        ] as [((UInt64, UInt8), (UInt64, UInt8), Bool)])
    func theHigherEpochThenTheHigherIdWins(
        _ left: (UInt64, UInt8), _ right: (UInt64, UInt8), _ isLower: Bool
    ) {
        let claims = [left, right].map { MasterClaim(epoch: $0.0, nodeID: $0.1) }
        #expect((claims[0] < claims[1]) == isLower)
    }

    @Test(
        arguments: [
            // Seen, wall clock, next.
            (0, 1_000, 1_000), (999, 1_000, 1_000), (1_000, 1_000, 1_001), (5_000, 1_000, 5_001),
            (.max, 1_000, .max), (.max - 1, 0, .max),
        ] as [(UInt64, UInt64, UInt64)])
    func growsWithEachPromotion(_ seen: UInt64, _ wall: UInt64, _ epoch: UInt64) {
        let next = MasterClaim.next(
            after: MasterClaim(epoch: seen, nodeID: 9), wallMicroseconds: wall, nodeID: 3)
        #expect(next == MasterClaim(epoch: epoch, nodeID: 3))
    }
}
