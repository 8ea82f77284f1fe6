// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// What a lost address has to do with a deletion: the kernel deletes what was masqueraded to it, and nothing
    /// else is kept back.
    @Suite struct LostAddressTests {
        /// So long that no test sees its end.
        private static let grace = ["--flush-grace", "3600"]
        private static let gone = "addr del 10.2.0.1/24 dev wan0"

        /// The address came back, and connections to it were opened again: what somebody deletes, or what runs
        /// out, has ended, and is told at once.
        @Test(arguments: [true, false])
        func whatEndsAtAnAddressThatCameBackIsToldAtOnce(byHand: Bool) throws {
            try scenario(
                translation: .masquerade,
                settings: ["net.netfilter.nf_conntrack_udp_timeout": byHand ? 600 : 5],
                replication: .on, starts: false
            ) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(Self.grace)
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let old = try cluster.connections(5, to: service)
                try second.waitForEqualTable(to: first, atLeast: 5)
                let kept = Set(try second.table().map(\.key))
                try first.host.ip(Self.gone)
                try expectHeld(5, first)
                try first.host.ip("addr add 10.2.0.1/24 dev wan0")

                let again = try cluster.connections(4, to: service)
                let asking = try Socket.datagrams(to: service, in: cluster.client)
                try asking.send([1])
                try eventually("the new ones at the slave") { try second.table().count == 10 }
                if byHand { try first.flush() }
                // The look at the table is what has the kernel notice that a time has run out.
                let ended = byHand ? 5 : 1
                try eventually("their end at the master", within: 20) {
                    try first.table().count == 5 - ended
                }
                try eventually("their end at the slave", detail: { cluster.logs }) {
                    try second.table().count == 10 - ended
                }
                #expect(kept.isSubset(of: try second.table().map(\.key)))
                try expectHeld(5, first)
                if !byHand { for connection in again { try connection.exchange() } }
                _ = old
            }
        }

        /// Of two networks on a device one address goes: the kernel deletes what was masqueraded to it, and the
        /// other's connections live on, through this node and the next.
        @Test func oneOfTwoAddressesGoes() throws {
            try scenario(translation: .masquerade, replication: .on, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                for node in cluster.firewalls {
                    try node.host.ip("addr add 10.9.0.1/24 dev wan0")
                }
                try cluster.server.ip("addr add 10.9.0.2/24 dev eth0")
                try cluster.startDaemons(Self.grace)
                let services = [Plan.service(ipv6: false), Endpoint("10.9.0.2", 7_000)]
                let servers = try services.map { try EchoServer(on: $0, in: cluster.server) }
                defer { for server in servers { server.stop() } }
                let own = try cluster.connections(5, to: services[0])
                let others = try cluster.connections(3, to: services[1])
                #expect(try translated(first) == ["10.2.0.1": 5, "10.9.0.1": 3])
                try second.waitForEqualTable(to: first, atLeast: 8)

                try first.host.ip(Self.gone)
                try expectHeld(5, first)
                #expect(try translated(first) == ["10.9.0.1": 3])
                for connection in others { try connection.exchange() }
                #expect(try translated(second) == ["10.2.0.1": 5, "10.9.0.1": 3])
                try cluster.unplug(first)
                try cluster.promote(second)
                for connection in own + others { try connection.exchange(within: 3) }
            }
        }

        /// A primary address that goes takes its secondaries along, or leaves its place to one of them: what was
        /// masqueraded to it is held, and the kernel leaves alone what a rule translates to a secondary.
        @Test(arguments: [0, 1])
        func aPrimaryGoes(promotingSecondaries: Int) throws {
            try scenario(
                translation: .masquerade,
                settings: ["net.ipv4.conf.wan0.promote_secondaries": promotingSecondaries],
                replication: .on, starts: false
            ) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                for node in cluster.firewalls {
                    try node.host.ip("addr add 10.2.0.5/24 dev wan0")
                    try node.host.nft(
                        "insert rule inet filter postrouting tcp dport 7001 snat ip to 10.2.0.5")
                }
                try cluster.startDaemons(Self.grace)
                let services = [7_000, 7_001].map { Endpoint(Plan.server(ipv6: false), $0) }
                let servers = try services.map { try EchoServer(on: $0, in: cluster.server) }
                defer { for server in servers { server.stop() } }
                let own = try cluster.connections(5, to: services[0])
                let others = try cluster.connections(3, to: services[1])
                try second.waitForEqualTable(to: first, atLeast: 8)

                try first.host.ip(Self.gone)
                try expectHeld(5, first)
                let left = try first.host.run(["ip", "-4", "-o", "addr", "show", "dev", "wan0"])
                #expect(left.contains("10.2.0.5") == (promotingSecondaries == 1))
                #expect(try translated(first) == ["10.2.0.5": 3])
                #expect(try translated(second) == ["10.2.0.1": 5, "10.2.0.5": 3])
                try cluster.unplug(first)
                try cluster.promote(second)
                for connection in own + others { try connection.exchange(within: 3) }
            }
        }

        /// Waits until a firewall has deleted some entries that it says it keeps back.
        private func expectHeld(_ count: Int, _ firewall: Firewall) throws {
            try eventually("\(count) are held", detail: { firewall.statusLine }) {
                try firewall.status()?.number("entries", of: "flush_held") == count
            }
        }

        /// How many TCP connections a firewall has translated to each address.
        private func translated(_ firewall: Firewall) throws -> [String: Int] {
            let entries = try firewall.table(ipv6: false).filter { $0.tcp != nil }
            return Dictionary(grouping: entries, by: \.reply.destination).mapValues(\.count)
        }
    }
}
