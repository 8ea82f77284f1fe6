// SPDX-License-Identifier: GPL-2.0-or-later

/// Which role a node has, and which claims it has heard; decides, and does nothing itself.
struct RoleMachine: Sendable {
    /// What has to be done for the role to be what it is now.
    enum Change: Equatable, Sendable {
        /// Nothing.
        case none
        /// Become master with this claim.
        case promote(MasterClaim)
        /// Become slave, following only what is above this claim.
        case demote(MasterClaim)
    }

    /// The role.
    private(set) var role: Role
    /// The claim this node makes or made last; `none` before its first.
    private(set) var claim = MasterClaim.none
    let nodeID: UInt8
    /// The highest claim that was heard; of another node, or of this one before a restart.
    private(set) var highest = MasterClaim.none

    /// A slave that has heard nothing.
    init(nodeID: UInt8) {
        role = .slave
        self.nodeID = nodeID
    }

    /// Takes note of a claim heard as slave.
    mutating func heard(_ claim: MasterClaim) {
        highest = max(highest, claim)
    }

    /// Obeys the cluster manager.
    ///
    /// - Parameter wallMicroseconds: microseconds since 1970, for the new epoch.
    mutating func order(_ wanted: Role, wallMicroseconds: UInt64) -> Change {
        guard wanted != role else { return .none }
        role = wanted
        guard wanted == .master else { return .demote(claim) }
        claim = MasterClaim.next(
            after: max(highest, claim), wallMicroseconds: wallMicroseconds, nodeID: nodeID)
        return .promote(claim)
    }

    /// Gives way to a higher claim heard as master.
    mutating func superseded(by other: MasterClaim) -> Change {
        highest = max(highest, other)
        guard role == .master, other > claim else { return .none }
        role = .slave
        return .demote(claim)
    }
}
