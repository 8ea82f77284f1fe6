// SPDX-License-Identifier: GPL-2.0-or-later

/// The setting `l2drop-backend`.
package enum L2DropChoice: String, Sendable, CaseIterable {
    /// `netdev` where the kernel has egress hooks, else `tables`.
    case auto
    /// nftables ingress and egress chains.
    case netdev
    /// arptables, ebtables, iptables and ip6tables.
    case tables
}
