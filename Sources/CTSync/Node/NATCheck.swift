// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Logging

/// Sees to it that a standby with translated entries has rules that translate.
///
/// The kernel takes an address translation with an entry whatever the rules are, and then applies it
/// only where a nat chain has put its hooks there: without, a takeover lets the packets pass
/// untranslated.
struct NATCheck {
    private static let interval = 2 * Duration.second

    /// Translated entries made in this node's kernel that it would not translate.
    private(set) var lacking: UInt64 = 0
    private var lastCount: UInt64 = 0
    private var lookedAt: Instant?
    private var nftables: Nftables?

    /// Looks at the rules where translated entries have been made since the last look, or where the
    /// rules lacked a nat chain then.
    ///
    /// - Parameter count: translated entries made since the start.
    mutating func look(_ count: UInt64, _ log: Logger, now: Instant) {
        guard count > 0, count != lastCount || lacking > 0 else { return }
        if let lookedAt, now < lookedAt + Self.interval { return }
        lookedAt = now
        lastCount = count
        let had = lacking
        do throws(NftablesError) {
            lacking = try hasNATChain() ? 0 : count
        } catch {
            log.warning("the rules cannot be searched for a nat chain: \(error)")
        }
        if had == 0, lacking > 0 {
            log.warning(
                """
                \(lacking) translated entries, but this node has no nat chain: after a takeover \
                their packets would pass untranslated; load the master's nat rules here
                """)
        } else if had > 0, lacking == 0 {
            log.notice("this node has a nat chain now")
        }
    }

    private mutating func hasNATChain() throws(NftablesError) -> Bool {
        // iptables-legacy.
        for names in ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"] {
            let text = (try? String(contentsOfFile: names, encoding: .utf8)) ?? ""
            if text.split(separator: "\n").contains("nat") { return true }
        }
        if nftables == nil { nftables = try Nftables() }
        return try nftables?.run("list chains").contains("type nat hook") ?? false
    }
}
