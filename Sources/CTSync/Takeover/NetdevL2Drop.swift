// SPDX-License-Identifier: GPL-2.0-or-later

internal import Glibc

/// The drop by nftables ingress and egress chains, put on and off in one transaction in process.
///
/// `NetdevRuleset` says which tables there are. Where the kernel can (`OwnedTables`), they are this
/// object's while it lives, so that no other program's flush touches them. What a killed daemon
/// leaves stays, and anybody may remove it.
package struct NetdevL2Drop: L2DropBackend {
    private let nftables: Nftables
    private let ruleset: NetdevRuleset
    let owned: OwnedTables

    let choice = L2DropChoice.netdev

    /// Asks the kernel what it has.
    ///
    /// - Parameters:
    ///   - table: the name of its tables.
    ///   - numbers: of what this kernel may lack.
    /// - Throws: `L2DropError` if there is no netdev family with ingress and egress hooks.
    init(
        table: String, numbers: OwnedTables.Numbers = OwnedTables.Numbers()
    ) throws(L2DropError) {
        var ruleset = NetdevRuleset(table: table)
        do throws(NftablesError) {
            nftables = try Nftables()
            try nftables.check(Self.probe)
        } catch {
            throw L2DropError(
                "l2drop-backend netdev needs nftables with netdev egress hooks (Linux 5.16 or "
                    + "later, CAP_NET_ADMIN), which this kernel refuses: \(error.message)")
        }
        ruleset.families.removeAll { [nftables] family in
            guard family != "netdev" else { return false }
            do throws(NftablesError) {
                try nftables.check("add table \(family) ct_sync_probe")
                return false
            } catch {
                return true
            }
        }
        self.ruleset = ruleset
        do throws(SystemError) {
            owned = try OwnedTables(table, families: ruleset.families, numbers: numbers)
        } catch {
            throw L2DropError("l2drop: \(error)")
        }
    }

    /// A table that is only examined, never made.
    private static let probe = """
        table netdev ct_sync_probe {
            chain ingress { type filter hook ingress device "lo" priority -500; policy drop; }
            chain egress { type filter hook egress device "lo" priority -500; policy drop; }
        }
        """

    /// Whether there are as many chains and rules as there were: those of a flushed table are gone,
    /// and only its name is left.
    func isWhole(_ plan: DarkPlan) throws(L2DropError) -> Bool {
        guard try isThere() else { return false }
        var listing = ""
        for family in ruleset.families {
            guard let text = list(family) else { return false }
            listing += text
        }
        return NetdevRuleset.Shape(listing) == NetdevRuleset.Shape(ruleset.replacement(plan))
    }

    func hasSameRules(_ plan: DarkPlan, _ other: DarkPlan) -> Bool { plan == other }

    private func list(_ family: String) -> String? {
        Self.list(family, ruleset.table, nftables)
    }

    /// A table as nftables lists it; nil if it is not there.
    private static func list(_ family: String, _ name: String, _ nftables: Nftables) -> String? {
        do throws(NftablesError) {
            return try nftables.run("list table \(family) \(name)")
        } catch {
            return nil
        }
    }

    func raise(_ plan: DarkPlan) throws(L2DropError) {
        var reason = ""
        for attempt in 0..<Self.attempts {
            if attempt > 0 { usleep(Self.attemptMicroseconds) }
            do throws(SystemError) {
                try owned.make()
            } catch {
                if OwnedTables.isTooOld(error) { return try run(ruleset.replacement(plan)) }
                // A child that has not begun yet has our descriptors, the last owner's among them.
                reason = "\(error)"
                continue
            }
            let old = ruleset.families.flatMap { family in
                NetdevRuleset.chains(of: list(family) ?? "").map { (family, $0) }
            }
            do throws(L2DropError) {
                try run(ruleset.refilling(plan, without: old))
            } catch {
                guard try !isThere() else { throw error }
                reason = "somebody removes them"
                continue
            }
            do throws(SystemError) {
                try owned.take()
            } catch {
                reason = "\(error)"
                continue
            }
            // What was flushed before they were taken was made anew, empty; from now on nobody can.
            if try isWhole(plan) { return }
            reason = "somebody empties them"
        }
        throw L2DropError("l2drop: its tables cannot be had: \(reason)")
    }

    /// Whether all tables are there, whatever is in them.
    private func isThere() throws(L2DropError) -> Bool {
        let found = try Self.tables(nftables, named: { $0 == ruleset.table }).map(\.family)
        return ruleset.families.allSatisfy(found.contains)
    }

    /// How often the drop is made, if others flush it in the milliseconds that it is nobody's.
    private static let attempts = 20
    private static let attemptMicroseconds: UInt32 = 5_000

    func release() { owned.release() }

    func open(isFreeing: Bool) throws(L2DropError) {
        do throws(SystemError) {
            if !isFreeing, try owned.rest() { return }
        } catch {
            // Somebody has removed one: remove the rest.
        }
        try lift()
    }

    func wake() -> Bool {
        do throws(SystemError) {
            return try owned.wake()
        } catch {
            return false
        }
    }

    func lift() throws(L2DropError) {
        do throws(SystemError) {
            try owned.destroy()
        } catch {
            guard OwnedTables.isTooOld(error) else {
                throw L2DropError("l2drop: its tables cannot be removed: \(error)")
            }
            try run(ruleset.removal)
        }
    }

    private func run(_ commands: String) throws(L2DropError) {
        do throws(NftablesError) {
            _ = try nftables.run(commands)
        } catch {
            throw L2DropError("l2drop: nftables refuses: \(error.message)")
        }
    }

    /// Whether a table is there and does nothing: its flags are listed in the line after its name.
    static func isResting(_ family: String, _ name: String, _ nftables: Nftables) -> Bool {
        let lines = list(family, name, nftables)?.split(separator: "\n") ?? []
        guard lines.count > 1 else { return false }
        let words = lines[1].split { " \t,;".contains($0) }
        return words.first == "flags" && words.contains("dormant")
    }

    /// Every table whose name begins as ours do, or of another name that is asked for.
    static func tables(
        _ nftables: Nftables, named isWanted: (String) -> Bool = { $0.hasPrefix(L2Drop.prefix) }
    ) throws(L2DropError) -> [(family: String, name: String)] {
        let listing: String
        do throws(NftablesError) {
            listing = try nftables.run("list tables")
        } catch {
            throw L2DropError("l2drop: cannot list the nftables tables: \(error.message)")
        }
        return listing.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, words[0] == "table", NetdevRuleset.families.contains(words[1]),
                isWanted(words[2])
            else { return nil }
            return (words[1], words[2])
        }
    }
}
