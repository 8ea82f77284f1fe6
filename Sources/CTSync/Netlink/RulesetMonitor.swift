// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Hears when somebody takes nftables rules away (NFNLGRP_NFTABLES): `nft flush ruleset`, as the
/// reload of a firewall does it, takes the drop along with everything else.
///
/// The nft variants of iptables and the others are heard too, the legacy ones are not.
final class RulesetMonitor {
    private static let group: UInt32 = 1 << 6  // NFNLGRP_NFTABLES
    private static let subsystem: UInt16 = 10  // NFNL_SUBSYS_NFTABLES
    private static let removals: Set<UInt16> = [2, 5, 8]  // NFT_MSG_DELTABLE, DELCHAIN, DELRULE

    private let notifications: NetlinkReader

    /// Listens in the network namespace of the calling thread.
    init() throws(SystemError) {
        notifications = try NetlinkReader(
            "nftables event socket", protocol: NetlinkReader.netfilter, groups: Self.group)
    }

    /// What to poll for POLLIN; then call `drain`.
    var raw: CInt { notifications.raw }

    /// Takes the notifications that wait.
    ///
    /// - Returns: whether something was taken away, or some notifications were lost.
    func drain() throws(SystemError) -> Bool {
        var hasRemoval = false
        try notifications.drain {
            if Self.hasRemoval($0) { hasRemoval = true }
        } lost: {
            hasRemoval = true
        }
        return hasRemoval
    }

    /// Whether a table, chain or rule is deleted in one of the messages.
    static func hasRemoval(_ bytes: RawSpan) -> Bool {
        var offset = 0
        while offset < bytes.byteCount, let next = bytes.nextMessage(after: offset) {
            let type = bytes.hostUInt16(at: offset + 4)
            if type >> 8 == subsystem, removals.contains(type & 0xFF) { return true }
            offset = next
        }
        return false
    }
}
