// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Keeps the sync link to itself, with an nftables table: its own packets out of connection
/// tracking, and everything out of it that comes from or goes to elsewhere.
///
/// Dropped is what is forwarded to or from the device on the port, what comes in for the port by
/// another device, and what a router has forwarded (RFC 5082); each rule counts. The device of
/// another ct_sync with the same port is left alone.
///
/// The table has the device's number and the port in its name, so a daemon that starts again after
/// being killed replaces the one it finds, in one transaction. It stays until `remove`. Thread: one.
final class LinkRules {
    private let nftables: Nftables
    private let port: UInt16
    private let monitor: RulesetMonitor
    /// The device's number.
    private(set) var index: UInt32
    /// What was loaded last, and how the kernel lists it.
    private var loaded: (ruleset: String, listing: String) = ("", "")

    /// The table's name: ct_sync_<ifindex>_<port>, of the family inet.
    var table: String { Self.table(index, port) }

    private static func table(_ index: UInt32, _ port: UInt16) -> String {
        "ct_sync_\(index)_\(port)"
    }

    /// Adds the table.
    ///
    /// - Parameters:
    ///   - index: the number of the sync device.
    ///   - port: the UDP port that sync packets go to.
    /// - Throws: `NftablesError` with the kernel's or the library's words.
    init(index: UInt32, port: UInt16) throws(NftablesError) {
        self.index = index
        self.port = port
        nftables = try Nftables(isStateless: true)
        do throws(SystemError) {
            monitor = try RulesetMonitor()
        } catch {
            throw NftablesError(commands: "", message: "\(error)")
        }
        try load(removing: [])
    }

    /// What to poll for POLLIN; then call `restore`.
    var events: CInt { monitor.raw }

    /// Whether rules were removed since the last call.
    func hasNews() throws(SystemError) -> Bool {
        try monitor.drain()
    }

    /// Loads the table if it is not as it must be: after a `flush ruleset`, for another device, or
    /// for other daemons beside this one.
    ///
    /// - Returns: whether it was not.
    /// - Throws: `NftablesError` with the kernel's or the library's words.
    @discardableResult
    func restore(index: UInt32) throws(NftablesError) -> Bool {
        let isMoved = index != self.index
        let old = table
        self.index = index
        if !isMoved, loaded.ruleset == ruleset(beside: try tables()),
            listing() == loaded.listing
        {
            return false
        }
        try load(removing: isMoved ? [old] : [])
        return true
    }

    /// Removes the table, if it is still there.
    ///
    /// - Throws: `NftablesError` with the kernel's or the library's words.
    func remove() throws(NftablesError) {
        _ = try nftables.run("add table inet \(table)\ndelete table inet \(table)")
    }

    /// The rules beside those tables of this port. One whose device is gone is a leftover, the others are
    /// those of other daemons.
    private func ruleset(beside tables: [UInt32]) -> String {
        Self.ruleset(index, port, beside: tables.filter { $0 != index && Self.exists($0) })
    }

    private func load(removing old: [String]) throws(NftablesError) {
        let there = try tables()
        // Nothing is removed that is not there: while a removal is not freed, a takeover may have to wait.
        let replaced = there.filter { $0 == index || !Self.exists($0) }
        var commands = ""
        for table in Set(old + replaced.map { Self.table($0, port) }).sorted() {
            commands += "add table inet \(table)\ndelete table inet \(table)\n"
        }
        let ruleset = ruleset(beside: there)
        _ = try nftables.run(commands + ruleset)
        loaded = (ruleset, listing() ?? "")
    }

    /// The numbers in the names of all tables for this port.
    private func tables() throws(NftablesError) -> [UInt32] {
        try nftables.run("list tables inet").split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ").last?.split(separator: "_") ?? []
            guard parts.count == 4, parts[0] == "ct", parts[1] == "sync",
                parts[3] == String(port)
            else { return nil }
            return UInt32(parts[2])
        }
    }

    /// The table as the kernel has it; nil if it has none.
    private func listing() -> String? {
        do throws(NftablesError) {
            return try nftables.run("list table inet \(table)")
        } catch {
            return nil
        }
    }

    private static func exists(_ index: UInt32) -> Bool {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        return if_indextoname(index, &name) != nil
    }

    /// The device is meant by its number, as it may be renamed. In a VRF the packets of its devices
    /// come in by the VRF's own.
    static func ruleset(_ index: UInt32, _ port: UInt16, beside others: [UInt32]) -> String {
        let table = table(index, port)
        let devices = ([index] + others.sorted()).map { "\($0)" }.joined(separator: ", ")
        return """
            table inet \(table) {
                chain prerouting {
                    type filter hook prerouting priority -300; policy accept;
                    iif \(index) udp dport \(port) notrack
                }
                chain output {
                    type filter hook output priority -300; policy accept;
                    oif \(index) udp dport \(port) notrack
                }
                chain input {
                    type filter hook input priority -300; policy accept;
                    iif \(index) udp dport \(port) ip ttl != 255 counter drop
                    iif \(index) udp dport \(port) ip6 hoplimit != 255 counter drop
                    meta iifkind vrf accept
                    iif != { \(devices) } udp dport \(port) counter drop
                }
                chain forward {
                    type filter hook forward priority -300; policy accept;
                    iif \(index) udp dport \(port) counter drop
                    oif \(index) udp dport \(port) counter drop
                }
            }
            """
    }
}
