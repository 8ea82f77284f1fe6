// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// An address of the sync link, with its family.
package struct HostAddress: Sendable, Hashable, CustomStringConvertible {
    /// IPv4 or IPv6.
    let family: Family
    /// The address; link-local ones are meant on syncdev.
    let address: Address

    /// An address from its parts.
    init(_ family: Family, _ address: Address) {
        self.family = family
        self.address = address
    }

    /// Reads what inet_pton(3) reads: no names, no port, no scope.
    init?(text: String) {
        guard !text.utf8.contains(0) else { return nil }
        var bytes: (UInt64, UInt64) = (0, 0)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(.ipv4, Address(ipv4: UInt32(truncatingIfNeeded: bytes.0).bigEndian))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(.ipv6, Address(high: bytes.0.bigEndian, low: bytes.1.bigEndian))
        } else {
            return nil
        }
    }

    /// Whether it is a multicast group: 224.0.0.0/4 or ff00::/8.
    var isMulticast: Bool {
        switch family {
        case .ipv4: address.low >> 28 == 0xE
        case .ipv6: address.high >> 56 == 0xFF
        }
    }

    /// Whether it names one host: no group, not the unspecified and not the broadcast address.
    var isUnicast: Bool {
        let broadcast = family == .ipv4 && address.low == 0xFFFF_FFFF
        return !isMulticast && !broadcast && address != .any
    }

    /// Whether it is an IPv6 address that means something on one device only: fe80::/10.
    var isLinkLocal: Bool {
        family == .ipv6 && address.high >> 54 == 0x3FA
    }

    /// As inet_ntop(3) writes it.
    package var description: String {
        var text = TextBuffer()
        text.append(address, family)
        return text.string
    }
}

extension TextBuffer {
    /// Adds an address as inet_ntop(3) writes it.
    mutating func append(_ address: Address, _ family: Family) {
        switch family {
        case .ipv4:
            for shift in [24, 16, 8, 0] as [UInt64] {
                append(decimal: address.low >> shift & 0xFF)
                if shift > 0 { append(byte: UInt8(ascii: ".")) }
            }
        case .ipv6:
            var bytes = (address.high.bigEndian, address.low.bigEndian)
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
                guard
                    inet_ntop(AF_INET6, &bytes, text.baseAddress, socklen_t(text.count)) != nil
                else { return }
                for character in text {
                    guard character != 0 else { break }
                    append(byte: UInt8(bitPattern: character))
                }
            }
        }
    }
}
