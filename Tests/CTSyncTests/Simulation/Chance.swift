// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Randomness that a seed decides (SplitMix64): the same seed gives the same run, on any machine.
final class Chance: RandomNumberGenerator {
    /// `CTSYNC_SEED`, to see a failure again, or a new one.
    static var anySeed: UInt64 {
        getenv("CTSYNC_SEED").flatMap { UInt64(String(cString: $0)) }
            ?? UInt64.random(in: 1...(.max))
    }

    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    /// A number from 0 on, below this one.
    func below(_ limit: Int) -> Int {
        Int(next() >> 1) % limit
    }

    /// Whether something happens that does so this many times in a thousand.
    func happens(_ perMille: Int) -> Bool {
        below(1000) < perMille
    }

    /// One of these.
    func one<Element>(of elements: [Element]) -> Element {
        elements[below(elements.count)]
    }
}
