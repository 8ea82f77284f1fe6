// SPDX-License-Identifier: GPL-2.0-or-later

/// How many packets the kernel has forwarded, as it counts them for the process's network namespace.
enum ForwardedPackets {
    private static let (ipv4, ipv6) = ("/proc/net/snmp", "/proc/net/snmp6")

    /// Of both families, since the namespace is there; nil if the kernel does not say so.
    static var count: UInt64? {
        count(snmp: TextFile.lines(ipv4), snmp6: TextFile.lines(ipv6))
    }

    /// Reads ForwDatagrams of the lines of snmp, names above numbers, and Ip6OutForwDatagrams of those of
    /// snmp6, which are not there without IPv6.
    static func count(snmp: [Substring], snmp6: [Substring]) -> UInt64? {
        let rows = snmp.filter { $0.hasPrefix("Ip: ") }.map { $0.split(separator: " ") }
        guard rows.count == 2, let column = rows[0].firstIndex(of: "ForwDatagrams"),
            column < rows[1].count, let first = UInt64(rows[1][column])
        else { return nil }
        let row = snmp6.first { $0.hasPrefix("Ip6OutForwDatagrams") }
        return first + (row?.split(whereSeparator: \.isWhitespace).last.flatMap { UInt64($0) } ?? 0)
    }
}
