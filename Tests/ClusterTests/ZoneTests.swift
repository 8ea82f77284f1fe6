// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// What tells two tenants with the same addresses apart.
enum Separation: String, CaseIterable, CustomTestStringConvertible {
    /// A zone each, and an uplink each.
    case zones
    /// A zone of the original direction each; translated, they share an uplink in zone 0.
    case originalZones
    var testDescription: String { rawValue }
}

extension ClusterTests {
    /// Tenants with overlapping addresses behind one pair of firewalls.
    @Suite struct ZoneTests {
        /// Both tenants' connections have the same addresses and ports; only the zone differs.
        @Test(arguments: Separation.allCases, Replication.allCases)
        func tenantsKeepTheirConnections(
            _ separation: Separation, _ replication: Replication
        ) throws {
            try scenario(translation: .masquerade, replication: replication) { cluster in
                let tenant = try Tenant(in: cluster, hasUplink: separation == .zones)
                defer { tenant.close() }
                for firewall in cluster.firewalls { try firewall.host.nft(rules(separation)) }
                let service = Plan.service(ipv6: false)
                let local = Endpoint(Plan.client(ipv6: false), 40_000)
                var servers = [try EchoServer(on: service, in: cluster.server)]
                if separation == .zones {
                    servers.append(try EchoServer(on: service, in: tenant.server))
                }
                defer { for server in servers { server.stop() } }
                let connections = try [cluster.client, tenant.client].map {
                    try EchoConnection(from: $0, at: local, to: service)
                }
                for connection in connections { try connection.exchange() }
                #expect(try cluster.firewalls[0].table().count == 2)

                if replication == .on {
                    try cluster.firewalls[1].waitForEqualTable(
                        to: cluster.firewalls[0], atLeast: 2)
                }
                try cluster.crash(cluster.firewalls[0])
                try tenant.unplug(cluster.firewalls[0])
                try cluster.promote(cluster.firewalls[1])
                try tenant.plug(cluster.firewalls[1])
                try onlyByReplication {
                    for connection in connections {
                        try connection.exchange(within: replication.patience)
                    }
                }
                let table = try cluster.firewalls[1].table()
                #expect(table.count == 2)
                #expect(Set(table.map(\.key)).count == 2)
            }
        }

        private func rules(_ separation: Separation) -> String {
            switch separation {
            case .zones:
                """
                table inet tenants {
                    chain zones {
                        type filter hook prerouting priority raw;
                        iifname { lan0, wan0 } ct zone set 1
                        iifname { lan1, wan1 } ct zone set 2
                    }
                    chain translation {
                        type nat hook postrouting priority 99;
                        oifname wan1 masquerade
                    }
                }
                \(admission)
                """
            case .originalZones:
                """
                table inet tenants {
                    chain zones {
                        type filter hook prerouting priority raw;
                        iifname lan0 ct original zone set 1
                        iifname lan1 ct original zone set 2
                    }
                    chain marks {
                        type filter hook prerouting priority -140;
                        iifname lan1 ct mark set 2
                        meta mark set ct mark
                    }
                }
                \(admission)
                """
            }
        }

        private let admission = "add rule inet filter forward iifname lan1 ct state new accept"
    }
}
