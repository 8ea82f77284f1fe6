// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave is known to hold of the cluster's table, from one stream to the next.
///
/// A stream is a *base* once an initsync of it was complete and nothing was lost since: then the slave
/// holds all that its master said up to the last packet applied. Without a base it holds what it had
/// when it last had one, and perhaps a part of what came since. Where a function takes `here`, that is
/// the epoch that is followed and the last packet of it that is applied.
struct HoldingBook: Equatable {
    /// Whether an initsync of this epoch is complete and nothing was lost since.
    private(set) var hasBase = false
    /// The last word that it has of anything, before the stream that it follows.
    private(set) var latest = Basis.none
    /// Whether it holds what nobody else may have: what it saw itself, as a master that was not whole,
    /// or a part of a stream whose master is gone ...
    private(set) var hasMore = false
    /// ... and a part of the stream that it follows.
    private var hasPart = false
    /// Its kernel's entries are those that an earlier process left, and no master has confirmed them.
    private(set) var hasUnproved = false
    /// Whether the stream of its last base was cut short by the claim that is followed, and its master may
    /// lack what that said.
    private(set) var isBranch = false
    /// How much it held when it last had a base.
    private var lastBasis = Basis.none

    /// Of a node that holds nothing.
    init() {}

    /// Of one that begins with this, and no stream.
    init(_ holding: Holding) {
        lastBasis = holding.basis
        latest = holding.latest
        hasMore = holding.hasMore
        hasUnproved = holding.hasUnproved
        isBranch = holding.isBranch
    }

    /// Checks that what excludes a base is not beside one. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        guard hasBase else { return }
        if hasPart { report("a base that is a part") }
        if isBranch { report("a base that is a branch") }
        if hasUnproved { report("a base that nobody has confirmed") }
    }

    /// How much it holds without a hole.
    func basis(_ here: Basis) -> Basis {
        hasBase ? here : lastBasis
    }

    /// What it holds.
    ///
    /// - Parameter isFollowing: whether it has a master, and does not take over from another node.
    func holding(_ here: Basis, isFollowing: Bool) -> Holding {
        Holding(
            basis: basis(here), latest: max(latest, isFollowing ? here : .none),
            hasMore: hasMore || hasPart, isBranch: isBranch, hasUnproved: hasUnproved)
    }

    /// What of that is news to the master that is followed.
    func newsToMaster(_ here: Basis) -> Holding {
        Holding(
            basis: basis(here), latest: latest, hasMore: hasMore, isBranch: isBranch,
            hasUnproved: hasUnproved)
    }

    /// The stream ends, or begins again: what came of it stays.
    mutating func leaveStream(_ here: Basis, isFollowing: Bool) {
        self = HoldingBook(holding(here, isFollowing: isFollowing))
    }

    /// The stream is cut short by a higher claim.
    ///
    /// - Parameter isRecent: whether what the node holds was current a moment ago; what is older is more
    ///   likely to have ended since than to be nowhere else.
    mutating func cutShort(_ here: Basis, isFollowing: Bool, isRecent: Bool) {
        let hadBase = hasBase
        leaveStream(here, isFollowing: isFollowing)
        isBranch = isRecent && (isBranch || hadBase)
    }

    /// The master that is followed has all that was said up to this.
    mutating func masterHolds(_ basis: Basis) {
        if basis.epoch == lastBasis.epoch, basis >= lastBasis { isBranch = false }
    }

    /// A message of the stream is applied.
    mutating func tookMessage() {
        if !hasBase { hasPart = true }
    }

    /// Something of the stream is lost.
    mutating func loseBase(_ here: Basis) {
        lastBasis = basis(here)
        hasBase = false
    }

    /// An initsync is complete, by a master that speaks for all of the table.
    mutating func tookInitsync() {
        hasBase = true
        (hasPart, hasUnproved, isBranch) = (false, false, false)
    }

    /// This kernel has something that nobody else may have, as late as this word.
    mutating func hasOwn(upTo word: Basis) {
        latest = max(latest, word)
        hasMore = true
    }

    /// The master has all of what only this node had. Until an initsync is complete that is as a part of the
    /// stream: nothing says yet that a later master has it.
    mutating func wasTaken() {
        (hasMore, hasUnproved, isBranch) = (false, false, false)
        hasPart = !hasBase
    }

    /// The kernel has no entries that an earlier process left.
    mutating func foundNothing() {
        hasUnproved = false
    }
}
