// SPDX-License-Identifier: GPL-2.0-or-later

/// A route of this network namespace: /proc/net/route has the main table of IPv4, /proc/net/ipv6_route all
/// tables of IPv6.
struct Route {
    /// Its device; "lo" for what is local or rejected.
    let device: String
    let destination: ReplicationFilter.Network
    /// RTF_* of linux/route.h and linux/ipv6_route.h.
    private let flags: UInt32

    /// RTF_LOCAL
    var isLocal: Bool { flags & 0x8000_0000 != 0 }
    /// RTF_REJECT
    var isRejecting: Bool { flags & 0x0200 != 0 }
    var isDefault: Bool { destination.prefixLength == 0 }

    /// All of this namespace; none of a file that has more bytes than `limit`.
    static func all(limit: Int) -> [Route] {
        all(
            ipv4: TextFile.lines("/proc/net/route", limit: limit),
            ipv6: TextFile.lines("/proc/net/ipv6_route", limit: limit))
    }

    /// Those in the lines of the two files; what is none is left out.
    static func all(ipv4: [Substring], ipv6: [Substring]) -> [Route] {
        ipv4.dropFirst().compactMap { Route(ipv4: $0) } + ipv6.compactMap { Route(ipv6: $0) }
    }

    private init?(ipv4 line: Substring) {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count >= 8, let flags = UInt32(words[3], radix: 16),
            let address = UInt32(words[1], radix: 16), let mask = UInt32(words[7], radix: 16)
        else { return nil }
        device = String(words[0])
        // In the order of the network, as a number of this machine's.
        destination = ReplicationFilter.Network(
            address: Address(ipv4: UInt32(bigEndian: address)),
            prefixLength: mask.nonzeroBitCount, family: .ipv4)
        self.flags = flags
    }

    private init?(ipv6 line: Substring) {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count == 10, words[0].utf8.count == 32,
            let flags = UInt32(words[8], radix: 16), let prefix = Int(words[1], radix: 16),
            let high = UInt64(words[0].prefix(16), radix: 16),
            let low = UInt64(words[0].suffix(16), radix: 16)
        else { return nil }
        device = String(words[9])
        destination = ReplicationFilter.Network(
            address: Address(high: high, low: low), prefixLength: prefix, family: .ipv6)
        self.flags = flags
    }
}

extension [Route] {
    /// Whether one by a device leads to a host; a default route leads to all.
    func lead(to host: HostAddress, by device: String) -> Bool {
        contains {
            $0.device == device && !$0.isRejecting
                && $0.destination.contains(host.address, host.family)
        }
    }
}
