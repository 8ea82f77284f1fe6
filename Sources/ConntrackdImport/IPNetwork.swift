// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// An address or a network of conntrackd.conf.
struct IPNetwork: Equatable {
    enum Family: Equatable {
        case ipv4
        case ipv6
    }

    let family: Family
    /// 4 or 16 bytes, the most significant first.
    let bytes: [UInt8]
    /// Bits, from 0 to all of them.
    let prefixLength: Int

    /// Reads an address, or one with a prefix length after a slash; nil for anything else.
    init?(_ text: String, _ family: Family) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first, !address.utf8.contains(0) else { return nil }
        let count = family == .ipv4 ? 4 : 16
        var bytes = [UInt8](repeating: 0, count: count)
        guard inet_pton(family == .ipv4 ? AF_INET : AF_INET6, String(address), &bytes) == 1 else {
            return nil
        }
        var prefixLength = count * 8
        if parts.count == 2 {
            guard let length = Int(parts[1]),
                parts[1].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                (0...prefixLength).contains(length)
            else { return nil }
            prefixLength = length
        }
        self.family = family
        self.bytes = bytes
        self.prefixLength = prefixLength
    }

    /// Whether it is one address.
    var isAddress: Bool { prefixLength == bytes.count * 8 }

    /// Whether it is a multicast group.
    var isMulticast: Bool {
        isAddress && (family == .ipv4 ? bytes[0] >> 4 == 0xE : bytes[0] == 0xFF)
    }

    /// Whether it is the address of one host.
    var isHost: Bool {
        isAddress && !isMulticast && bytes.contains { $0 != 0 } && bytes.contains { $0 != 0xFF }
    }

    /// Whether it lies in what is never replicated: loopback and link-local addresses.
    var isNeverReplicated: Bool {
        switch family {
        case .ipv4:
            prefixLength >= 8 && bytes[0] == 127
                || prefixLength >= 16 && bytes[0] == 169 && bytes[1] == 254
        case .ipv6:
            isAddress && bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
                || prefixLength >= 10 && bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
        }
    }

    /// The part that tells hosts on one link apart, as a number; 0 for none.
    var lastByte: UInt8 { bytes.last ?? 0 }
}
