// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Peers that can be no other node on the sync link.
@Suite struct PeerPlacesTests {
    private static func hosts(_ texts: [String]) -> [HostAddress] {
        texts.compactMap { HostAddress(text: $0) }
    }

    private static let networks = [("172.31.255.1", 24), ("fe80::1", 64)].compactMap {
        (text, length) in
        HostAddress(text: text).map {
            ReplicationFilter.Network(
                address: $0.address, prefixLength: length, family: $0.family)
        }
    }

    /// /proc/net/route and /proc/net/ipv6_route of a namespace with these routes: default by eth0;
    /// 10.9.0.0/16 by wg0; 10.8.0.0/16 unreachable by wg0; fd00:9::/32 by wg0.
    private static let ipv4 = """
        Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
        eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
        wg0\t0000090A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
        wg0\t0000080A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0
        """.split(separator: "\n")
    private static let ipv6 = """
        fd000009000000000000000000000000 20 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000400 00000001 00000000 00000001      wg0
        """.split(separator: "\n")

    private static func places(_ peers: [String], by device: String) -> PeerPlaces {
        let routes = Route.all(ipv4: ipv4, ipv6: ipv6)
        return PeerPlaces(
            hosts(peers), networks: networks,
            own: hosts(["10.0.0.1", "172.31.255.1"]).map(\.address),
            hasRoute: { routes.lead(to: $0, by: device) })
    }

    @Test func theNodesOwnAddressesAreNobodyElses() {
        let places = Self.places(["172.31.255.1", "172.31.255.2", "10.0.0.1"], by: "eth2")
        #expect(places.own == Self.hosts(["172.31.255.1", "10.0.0.1"]))
        #expect(places.elsewhere == [])
    }

    @Test func whatNoNetworkAndNoRouteLeadsTo() {
        let peers = ["172.31.255.2", "fe80::2", "10.9.1.1", "10.8.1.1", "fd00:9::1", "fd00:8::1"]
        #expect(Self.places(peers, by: "eth2").elsewhere == Self.hosts(Array(peers[2...])))
        #expect(
            Self.places(peers, by: "wg0").elsewhere == Self.hosts(["10.8.1.1", "fd00:8::1"]))
        #expect(Self.places(peers, by: "eth0").elsewhere == Self.hosts(Array(peers[4...])))
    }
}
