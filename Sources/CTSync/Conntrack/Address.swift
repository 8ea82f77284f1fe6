// SPDX-License-Identifier: GPL-2.0-or-later

/// The layer-3 protocol of a tuple.
package enum Family: UInt8, Sendable, Hashable, BitwiseCopyable {
    /// AF_INET
    case ipv4 = 2
    /// AF_INET6
    case ipv6 = 10
}

/// An IPv4 or IPv6 address as a number; which of the two, the tuple's family says.
///
/// An IPv4 address stands in the low 32 bits, the rest is zero.
package struct Address: Hashable, Sendable, BitwiseCopyable {
    /// The first eight bytes of an IPv6 address as a big-endian number.
    package var high: UInt64
    /// The last eight bytes of an IPv6 address, or the IPv4 address.
    package var low: UInt64

    /// An address from its two halves.
    @inline(__always)
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address from its number: 192.0.2.1 is 0xC000_0201.
    @inline(__always)
    package init(ipv4: UInt32) {
        self.init(high: 0, low: UInt64(ipv4))
    }

    /// The address 0.0.0.0 or ::.
    package static let any = Address(high: 0, low: 0)

    /// Whether the first `length` bits agree with those of the network, both of this family.
    @inline(__always)
    func isWithin(_ network: Address, prefixLength length: Int, _ family: Family) -> Bool {
        let bits = family == .ipv4 ? length + 96 : length
        let highMask: UInt64 = bits >= 64 ? .max : bits == 0 ? 0 : ~(.max >> UInt64(bits))
        let lowMask: UInt64 = bits >= 128 ? .max : bits <= 64 ? 0 : ~(.max >> UInt64(bits - 64))
        return (high ^ network.high) & highMask == 0 && (low ^ network.low) & lowMask == 0
    }
}
