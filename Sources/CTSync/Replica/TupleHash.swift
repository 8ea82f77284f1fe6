// SPDX-License-Identifier: GPL-2.0-or-later

/// A hash of keys whose seed the sender of packets does not know, so that nobody can choose
/// connections that collide.
struct TupleHash {
    private let seed: (UInt64, UInt64)

    init(seed: UInt64) {
        self.seed = (seed | 1, seed.byteSwapped ^ 0x9E37_79B9_7F4A_7C15)
    }

    @inline(__always)
    func callAsFunction(_ key: Key) -> UInt32 { Self.narrowed(wide(key)) }

    /// What is made of a hash in 64 bits.
    @inline(__always)
    static func narrowed(_ wide: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: wide ^ wide >> 32) }

    /// The same in 64 bits.
    @inline(__always)
    func wide(_ key: Key) -> UInt64 {
        let tuple = key.tuple
        var state = seed.0
        state = mix(state ^ tuple.source.high, seed.1 ^ tuple.source.low)
        state = mix(state ^ tuple.destination.high, seed.1 ^ tuple.destination.low)
        let ports = UInt64(tuple.sourcePort) << 48 | UInt64(tuple.destinationPort) << 32
        let kind = UInt64(tuple.protocolNumber) << 24 | UInt64(tuple.family.rawValue) << 16
        let zone = UInt64(key.zone) << 8 | UInt64(key.zoneDirection.rawValue)
        return mix(state ^ ports ^ kind, seed.1 ^ zone)
    }

    /// A hash of an expectation's key and mask, in 64 bits.
    func wide(_ key: Key, mask: Tuple) -> UInt64 {
        mix(wide(key) ^ seed.1, wide(Key(mask)) ^ seed.0)
    }

    @inline(__always)
    private func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
