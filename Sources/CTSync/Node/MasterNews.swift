// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master has heard of others since it was asked last: the link's thread adds to it, and the role
/// engine is told (`NodeEngine.hear`).
struct MasterNews {
    /// A claim by which it is superseded.
    private(set) var higher: MasterClaim?
    /// A claim that a slave knows of, and that nobody makes any more.
    private(set) var outbid: MasterClaim?
    /// Another node was master, with a lower claim.
    private(set) var hasBeaten = false

    /// Adds what a packet has told.
    mutating func add(_ consequence: MasterProtocol.Consequence) {
        switch consequence {
        case .none, .sendAgain, .initsync: break
        case .superseded(let claim): higher = max(higher ?? claim, claim)
        case .outbid(let claim): outbid = max(outbid ?? claim, claim)
        case .beaten: hasBeaten = true
        }
    }
}
