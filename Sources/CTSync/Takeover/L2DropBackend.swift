// SPDX-License-Identifier: GPL-2.0-or-later

/// A way of dropping every frame of the dark devices; one owner, one thread.
///
/// Its rules are told from other people's by their names, so that a daemon started again, or
/// `ct_sync l2drop off` without one, finds those of a daemon that was killed.
protocol L2DropBackend {
    /// What the setting calls it.
    var choice: L2DropChoice { get }

    /// Whether all rules for a plan are there, whoever made them.
    func isWhole(_ plan: DarkPlan) throws(L2DropError) -> Bool

    /// Whether the rules for one plan are the rules for another.
    func hasSameRules(_ plan: DarkPlan, _ other: DarkPlan) -> Bool

    /// Puts the drop on, or replaces what is on; at no point in between is a dark device open.
    func raise(_ plan: DarkPlan) throws(L2DropError)

    /// Lets frames flow at once; its rules may stay, without effect, until `lift`.
    ///
    /// - Parameter isFreeing: whether the kernel may not have freed yet what was removed before, and would
    ///   hold up who closes a socket of nftables.
    func open(isFreeing: Bool) throws(L2DropError)

    /// Gives the rules that `open` has left their effect again.
    ///
    /// - Returns: whether there were any that can have it.
    func wake() -> Bool

    /// Takes all of this instance's rules away; none there is no error.
    func lift() throws(L2DropError)

    /// Lets others take them away, as `L2Drop.off` does.
    func release()
}

extension L2DropBackend {
    /// Rules that must be made anew.
    func wake() -> Bool { false }

    /// Rules that belong to nobody.
    func release() {}
}
