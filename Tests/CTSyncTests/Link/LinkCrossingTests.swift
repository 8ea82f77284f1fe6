// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct LinkCrossingTests {
    private static func network(_ text: String, _ length: Int) throws -> ReplicationFilter.Network {
        let host = try #require(HostAddress(text: text))
        return ReplicationFilter.Network(
            address: host.address, prefixLength: length, family: host.family)
    }

    private static func isCrossing(
        _ crossing: LinkCrossing, _ text: String, by link: UInt8
    ) throws -> Bool {
        let host = try #require(HostAddress(text: text))
        return crossing.isCrossing(
            PeerAddress(address: host.address, family: host.family, port: 3781, link: link))
    }

    /// Two devices, each with an IPv4 network of its own and the link-local one of all.
    private static func crossing() throws -> LinkCrossing {
        var crossing = LinkCrossing(linkCount: 2)
        crossing.has(
            [try network("172.31.255.1", 24), try network("fe80::1:1", 64)], link: 0)
        crossing.has(
            [try network("172.31.254.1", 24), try network("fe80::1:2", 64)], link: 1)
        return crossing
    }

    @Test(
        arguments: [
            // The sender, the link that its packet came by, whether it is of the other one.
            ("172.31.255.2", 0, false), ("172.31.255.2", 1, true), ("172.31.254.2", 0, true),
            ("172.31.254.2", 1, false),
            // This node itself, by its own link and by the other one.
            ("172.31.255.1", 0, false), ("172.31.255.1", 1, true), ("fe80::1:1", 0, false),
            ("fe80::1:1", 1, true), ("fe80::1:2", 0, true),
            // Another node's link-local address, and one of no network.
            ("fe80::2:1", 1, false), ("192.0.2.1", 0, false),
        ] as [(String, UInt8, Bool)])
    func packetsOfAnotherLink(_ sender: String, _ link: UInt8, _ isCrossing: Bool) throws {
        #expect(try Self.isCrossing(Self.crossing(), sender, by: link) == isCrossing)
    }

    /// With one network for both devices nothing tells them apart; with one device there is no other.
    @Test func whatBothHaveIsOfBoth() throws {
        var crossing = LinkCrossing(linkCount: 2)
        crossing.has([try Self.network("172.31.255.1", 24)], link: 0)
        crossing.has([try Self.network("172.31.255.101", 24)], link: 1)
        #expect(try !Self.isCrossing(crossing, "172.31.255.2", by: 1))
        #expect(try Self.isCrossing(crossing, "172.31.255.1", by: 1))
        var single = LinkCrossing(linkCount: 1)
        single.has([try Self.network("172.31.255.1", 24)], link: 0)
        #expect(try !Self.isCrossing(single, "172.31.254.1", by: 0))
    }
}
