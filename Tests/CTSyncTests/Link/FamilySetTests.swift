// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct FamilySetTests {
    private static let both: FamilySet = [.ipv4, .ipv6]
    private static let none: FamilySet = []

    @Test(
        arguments: [
            // Nobody was heard: everything that can be.
            (both, both, none, both), (both, .ipv6, none, .ipv6), (.ipv4, both, none, .ipv4),
            // Peers were heard: there, if that can still be.
            (both, both, .ipv4, .ipv4), (both, both, .ipv6, .ipv6), (both, both, both, both),
            (both, .ipv6, .ipv4, .ipv6), (.ipv6, both, .ipv4, .ipv6),
            // No address: it may work all the same.
            (both, none, none, both), (both, none, .ipv4, both), (.ipv4, .ipv6, none, .ipv4),
        ] as [(FamilySet, FamilySet, FamilySet, FamilySet)])
    func familiesInUse(
        _ configured: FamilySet, _ usable: FamilySet, _ heard: FamilySet, _ expected: FamilySet
    ) {
        #expect(
            FamilySet.inUse(configured: configured, usable: usable, heard: heard) == expected)
    }

    @Test func aNodeIsAnsweredByIPv4WhileThatIsHeard() {
        let four = PeerAddress(address: Address(ipv4: 1), family: .ipv4, port: 1)
        let moved = PeerAddress(address: Address(ipv4: 2), family: .ipv4, port: 1)
        let six = PeerAddress(address: Address(high: 1, low: 1), family: .ipv6, port: 1)
        var preferred = PreferredAddress()
        #expect(preferred.address == nil)
        preferred.heard(six, now: 10)
        #expect(preferred.address == six)
        preferred.heard(four, now: 11)
        #expect(preferred.address == four)
        preferred.heard(six, now: 12)
        #expect(preferred.address == four)
        preferred.heard(moved, now: 13)
        #expect(preferred.address == moved)
        preferred.heard(six, now: 12 + PreferredAddress.silence)
        #expect(preferred.address == moved)
        preferred.heard(six, now: 13 + PreferredAddress.silence)
        #expect(preferred.address == six)
    }
}
