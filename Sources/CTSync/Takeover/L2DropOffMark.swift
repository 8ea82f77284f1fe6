// SPDX-License-Identifier: GPL-2.0-or-later

/// An empty nftables table that says: `ct_sync l2drop off` was given since the last order to be dark.
///
/// By it a daemon tells that from a `nft flush ruleset`, after which it puts the drop back. Every
/// daemon of the network namespace sees it, whatever its control file; each that does remembers it,
/// so that it may be flushed then. The next order to be dark removes it, and the end of a promotion.
enum L2DropOffMark {
    /// Not `L2Drop.prefix`: it is no drop.
    static let name = "ct_sync_l2off"

    /// Sets it, and has the daemons look (a removal is what `RulesetMonitor` hears), even if it
    /// is set already.
    ///
    /// - Throws: `L2DropError` if the kernel has none of the families.
    static func set(_ nftables: Nftables) throws(L2DropError) {
        var refusal = ""
        for family in NetdevRuleset.families {
            let table = "table \(family) \(name)"
            do throws(NftablesError) {
                _ = try nftables.run("add \(table)\ndelete \(table)\nadd \(table)\n")
                return
            } catch {
                refusal = error.message
            }
        }
        throw L2DropError("l2drop: nftables refuses: \(refusal)")
    }

    /// Whether it is set; not where nftables cannot say, since then it could not be set either.
    static func isSet(_ nftables: Nftables) -> Bool {
        do throws(L2DropError) {
            return try !families(nftables).isEmpty
        } catch {
            return false
        }
    }

    /// Removes it.
    static func clear(_ nftables: Nftables) throws(L2DropError) {
        for family in try families(nftables) {
            do throws(NftablesError) {
                _ = try nftables.run("delete table \(family) \(name)")
            } catch {
                throw L2DropError("l2drop: nftables refuses: \(error.message)")
            }
        }
    }

    private static func families(_ nftables: Nftables) throws(L2DropError) -> [String] {
        try NetdevL2Drop.tables(nftables, named: { $0 == name }).map(\.family)
    }
}
