// SPDX-License-Identifier: GPL-2.0-or-later

/// A node's claim to be master: of two, the higher epoch wins, then the higher node id.
struct MasterClaim: Comparable, Sendable, BitwiseCopyable {
    /// Grows with each promotion.
    var epoch: UInt64
    /// Breaks a tie.
    var nodeID: UInt8

    /// A claim.
    init(epoch: UInt64, nodeID: UInt8) {
        self.epoch = epoch
        self.nodeID = nodeID
    }

    /// Lower than every claim that is made.
    static let none = MasterClaim(epoch: 0, nodeID: 0)

    /// How far an epoch may be ahead of the clock, in microseconds: a thousand years. Clocks differ,
    /// but an epoch that no clock reaches could not be followed by a higher one.
    static let horizon: UInt64 = 1_000 * 365 * 86_400 * 1_000_000

    /// Whether a node may have made it.
    func isPlausible(wallMicroseconds: UInt64) -> Bool {
        epoch <= Self.horizon || epoch - Self.horizon <= wallMicroseconds
    }

    /// By epoch, then by node id.
    static func < (left: MasterClaim, right: MasterClaim) -> Bool {
        (left.epoch, left.nodeID) < (right.epoch, right.nodeID)
    }

    /// The claim of a node that is promoted now.
    ///
    /// The clock is read in microseconds: a master that is killed and started again within a second
    /// remembers nothing, and must not make the same claim twice.
    ///
    /// - Parameters:
    ///   - seen: the highest claim that it has heard or made.
    ///   - wallMicroseconds: microseconds since 1970 by its clock.
    static func next(
        after seen: MasterClaim, wallMicroseconds: UInt64, nodeID: UInt8
    ) -> MasterClaim {
        let following = seen.epoch == .max ? seen.epoch : seen.epoch + 1
        return MasterClaim(epoch: max(following, wallMicroseconds), nodeID: nodeID)
    }
}

/// A packet of a master's stream, and all before it.
struct StreamPlace: Comparable, Sendable, BitwiseCopyable {
    var claim: MasterClaim
    var sequence: UInt64

    static func < (one: StreamPlace, other: StreamPlace) -> Bool {
        (one.claim, one.sequence) < (other.claim, other.sequence)
    }
}
