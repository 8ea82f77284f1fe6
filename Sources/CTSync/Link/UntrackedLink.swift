// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Keeps the sync link's own packets out of connection tracking, with an nftables table of its own.
///
/// The table has the device's number and the port in its name, so a daemon that starts again after
/// being killed replaces the one it finds, in one transaction. It stays until `remove`.
final class UntrackedLink {
    private let nftables: Nftables
    private let ruleset: String
    /// The table's name: ct_sync_<ifindex>_<port>, of the family inet.
    let table: String

    /// Adds the table.
    ///
    /// - Parameters:
    ///   - device: the sync device; it must be there.
    ///   - port: the UDP port that sync packets go to.
    /// - Throws: `NftablesError` with the kernel's or the library's words.
    init(device: String, port: UInt16) throws(NftablesError) {
        let index = if_nametoindex(device)
        guard index != 0 else {
            throw NftablesError(
                commands: "notrack on \(device)", message: "no device has the name \(device)")
        }
        guard !device.utf8.contains(where: { $0 <= 0x20 || $0 == 0x22 || $0 == 0x5C }) else {
            throw NftablesError(
                commands: "notrack on \(device)", message: "nftables cannot quote this name")
        }
        nftables = try Nftables()
        table = "ct_sync_\(index)_\(port)"
        ruleset = """
            add table inet \(table)
            delete table inet \(table)
            table inet \(table) {
                chain prerouting {
                    type filter hook prerouting priority -300; policy accept;
                    iifname "\(device)" udp dport \(port) notrack
                }
                chain output {
                    type filter hook output priority -300; policy accept;
                    oifname "\(device)" udp dport \(port) notrack
                }
            }
            """
        _ = try nftables.run(ruleset)
    }

    /// Puts the table back where somebody has removed it, with a `flush ruleset` perhaps.
    ///
    /// - Returns: whether it was gone.
    /// - Throws: `NftablesError` with the kernel's or the library's words.
    func restore() throws(NftablesError) -> Bool {
        let tables = try nftables.run("list tables")
        guard !tables.split(separator: "\n").contains("table inet \(table)") else { return false }
        _ = try nftables.run(ruleset)
        return true
    }

    /// Removes the table, if it is still there.
    ///
    /// - Throws: `NftablesError` with the kernel's or the library's words.
    func remove() throws(NftablesError) {
        _ = try nftables.run("add table inet \(table)\ndelete table inet \(table)")
    }
}
