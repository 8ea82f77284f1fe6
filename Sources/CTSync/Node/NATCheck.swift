// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Sees to it that a standby with translated entries has rules that translate.
///
/// The kernel takes an address translation with an entry whatever the rules are, and then applies it
/// only where a nat chain has put its hooks there: without, a takeover lets the packets pass
/// untranslated.
struct NATCheck {
    /// How often it looks: while a nat chain is lacking, and otherwise.
    private static let intervals = (lacking: 2 * Duration.second, other: 30 * Duration.second)

    /// Translated entries in this node's kernel that it would not translate.
    private(set) var lacking = 0
    private var due: Instant = 0
    private var nftables: Nftables?

    /// Looks at the rules, if it is time.
    ///
    /// - Parameter count: counts the translated entries; called where there is no nat chain.
    mutating func look(now: Instant, _ log: Logger, count: () -> Int) {
        guard now >= due else { return }
        let had = lacking
        do throws(NftablesError) {
            lacking = try hasNATChain() ? 0 : count()
        } catch {
            log.warning("the rules cannot be searched for a nat chain: \(error)")
        }
        due = now + (lacking > 0 ? Self.intervals.lacking : Self.intervals.other)
        if had == 0, lacking > 0 {
            log.warning(
                """
                \(lacking) translated entries, but this node has no nat chain: after a takeover \
                their packets would pass untranslated; load the master's nat rules here
                """)
        } else if had > 0, lacking == 0 {
            log.notice("this node has a nat chain now, or no translated entries any more")
        }
    }

    /// For a node that holds no replicas.
    mutating func reset() {
        lacking = 0
        due = 0
    }

    private mutating func hasNATChain() throws(NftablesError) -> Bool {
        // iptables-legacy.
        for names in ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"] {
            if TextFile.lines(names).contains("nat") { return true }
        }
        if nftables == nil { nftables = try Nftables() }
        return try nftables?.run("list chains").contains("type nat hook") ?? false
    }
}
