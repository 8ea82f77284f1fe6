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
}
