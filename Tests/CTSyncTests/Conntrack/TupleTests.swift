// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct TupleTests {
    @Test func inverseOfTheInverseIsTheTuple() {
        let tuple = Tuple(
            family: .ipv4, protocolNumber: ProtocolNumber.icmp, source: Address(ipv4: 1),
            destination: Address(ipv4: 2), sourcePort: 77, destinationPort: 0x0800)
        #expect(tuple.inverse.destinationPort == 0)
        #expect(tuple.inverse.inverse == tuple)
    }

    /// Of every sample, of its inverse, and of each with one part that differs.
    @Test func beingTheInverseIsBeingEqualToIt() {
        let entries = SampleEntries.plain + SampleEntries.translated
        let changes: [(inout Tuple) -> Void] = [
            { _ in }, { $0.source.low ^= 1 }, { $0.source.high ^= 1 }, { $0.destination.low ^= 1 },
            { $0.destination.high ^= 1 }, { $0.sourcePort ^= 1 }, { $0.destinationPort ^= 0x100 },
            { $0.protocolNumber ^= 1 }, { $0.family = $0.family == .ipv4 ? .ipv6 : .ipv4 },
        ]
        for tuple in entries.map(\.key.tuple) {
            for change in changes {
                for var other in [tuple, tuple.inverse] + entries.prefix(3).map(\.reply) {
                    change(&other)
                    #expect(other.isInverse(of: tuple) == (other == tuple.inverse))
                }
            }
        }
    }
}
