// SPDX-License-Identifier: GPL-2.0-or-later

/// Which role a node has, which claim it makes, and which claims it has heard; nothing else changes
/// them.
struct RoleMachine: Sendable {
    /// The role.
    private(set) var role = Role.slave
    /// The claim this node makes or made last; `none` before its first.
    private(set) var claim = MasterClaim.none
    /// The highest claim that was heard; of another node, or of this one before a restart.
    private(set) var highest = MasterClaim.none
    let nodeID: UInt8

    /// A slave that has heard nothing.
    init(nodeID: UInt8) {
        self.nodeID = nodeID
    }

    /// Checks that a master makes a claim of its own, and none below one that it has heard. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        if claim != .none, claim.nodeID != nodeID { report("\(nodeID) makes the claim \(claim)") }
        guard role == .master else { return }
        if claim == .none { report("a master without a claim") }
        if highest > claim { report("a master of \(claim) that has heard \(highest)") }
    }

    /// Records a claim.
    mutating func heard(_ claim: MasterClaim) {
        highest = max(highest, claim)
    }

    /// The claim that it makes when it becomes master now.
    ///
    /// - Parameter wallMicroseconds: microseconds since 1970.
    func nextClaim(wallMicroseconds: UInt64) -> MasterClaim {
        MasterClaim.next(
            after: max(highest, claim), wallMicroseconds: wallMicroseconds, nodeID: nodeID)
    }

    /// Takes the role that everything has been done for.
    ///
    /// - Parameter claim: what the master claims.
    mutating func commit(_ role: Role, _ claim: MasterClaim? = nil) {
        self.role = role
        if let claim { self.claim = claim }
    }
}
