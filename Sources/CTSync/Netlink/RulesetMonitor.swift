// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Hears when somebody takes nftables rules away (NFNLGRP_NFTABLES): `nft flush ruleset`, as the
/// reload of a firewall does it, takes the drop along with everything else.
///
/// The nft variants of iptables and the others are heard too, the legacy ones are not.
final class RulesetMonitor {
    private static let netlinkNetfilter: CInt = 12  // NETLINK_NETFILTER
    private static let group: UInt32 = 1 << 6  // NFNLGRP_NFTABLES
    private static let subsystem: UInt16 = 10  // NFNL_SUBSYS_NFTABLES
    private static let removals: Set<UInt16> = [2, 5, 8]  // NFT_MSG_DELTABLE, DELCHAIN, DELRULE

    private let notifications: Descriptor
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// Listens in the network namespace of the calling thread.
    init() throws(SystemError) {
        notifications = try Descriptor("nftables event socket") {
            ctsync_netlink_open(Self.netlinkNetfilter, Self.group)
        }
    }

    /// What to poll for POLLIN; then call `drain`.
    var raw: CInt { notifications.raw }

    /// Takes the notifications that wait.
    ///
    /// - Returns: whether something was taken away, or some notifications were lost.
    func drain() throws(SystemError) -> Bool {
        var hasRemoval = false
        while true {
            do throws(SystemError) {
                let count = try retryingNonBlocking("recv") {
                    buffer.withUnsafeMutableBytes {
                        recv(notifications.raw, $0.baseAddress, $0.count, 0)
                    }
                }
                guard let count else { return hasRemoval }
                if Self.hasRemoval(buffer.span.extracting(first: count).bytes) { hasRemoval = true }
            } catch {
                guard error.errno == ENOBUFS else { throw error }
                hasRemoval = true
            }
        }
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
