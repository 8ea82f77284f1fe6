// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// What takes an address from the master half a second before the takeover.
enum Flush: String, CaseIterable, CustomTestStringConvertible {
    case deviceDown = "link set wan0 down"
    case addressGone = "addr del 10.2.0.1/24 dev wan0"
    case ipv6AddressGone = "addr del fd00:2::1/64 dev wan0"
    case deviceDeleted = "link del wan0"
    case addressBack = "addr del 10.2.0.1/24 dev wan0\naddr add 10.2.0.1/24 dev wan0"
    case oneOfTwoGone = "addr add 10.9.0.1/24 dev wan0\naddr del 10.2.0.1/24 dev wan0"

    var testDescription: String { rawValue.split(separator: "\n").joined(separator: "; ") }
    var ipv6: Bool { self == .ipv6AddressGone }
}

extension ClusterTests {
    /// The kernel deletes what is masqueraded to an address that goes: the standby keeps it.
    @Suite struct FlushTests {
        @Test(arguments: Flush.allCases)
        func masqueradedConnectionsSurviveTheAddress(_ flush: Flush) throws {
            try scenario(translation: .masquerade, replication: .on) { cluster in
                let survivors = try survivors(cluster, flush)
                #expect(survivors == 10)
                try eventually("a line in the journal", detail: { cluster.firewalls[0].log }) {
                    cluster.firewalls[0].log.contains("flush held: 10 entries of wan0")
                }
            }
        }

        /// The control: told at once, they are lost.
        @Test func withoutAGraceTheyAreLost() throws {
            try scenario(translation: .masquerade, replication: .on, starts: false) { cluster in
                try cluster.startDaemons(["--flush-grace", "0"])
                #expect(try survivors(cluster, .addressGone, within: 0.3) == 0)
            }
        }

        private func survivors(
            _ cluster: Cluster, _ flush: Flush, within seconds: Double = 3
        ) throws -> Int {
            let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
            let service = Plan.service(ipv6: flush.ipv6)
            let server = try EchoServer(on: service, in: cluster.server)
            defer { server.stop() }
            let open = try cluster.connections(10, to: service)
            try second.waitForEqualTable(to: first, atLeast: 10)
            try first.host.ip(flush.rawValue)
            try eventually("a flush at the master") { try entries(first, flush.ipv6) == 0 }
            pause(0.5)
            if flush == .deviceDeleted {
                try first.host.ip("link set lan0 down")
            } else {
                try cluster.unplug(first)
            }
            try cluster.promote(second)
            return open.count { (try? $0.exchange(within: seconds)) != nil }
        }

        /// Only what the address that goes had is held, and all of it goes when the node stays master.
        @Test func whatIsHeldGoesAfterTheGrace() throws {
            try scenario(translation: .masquerade, replication: .on, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--flush-grace", "3"])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let ipv6 = Plan.service(ipv6: true)
                let other = try EchoServer(on: ipv6, in: cluster.server)
                defer { other.stop() }
                let open = try cluster.connections(5, to: service)
                let kept = try cluster.connections(3, to: ipv6)
                try second.waitForEqualTable(to: first, atLeast: 8)
                try first.host.ip("addr del 10.2.0.1/24 dev wan0")
                try eventually("what is held in the status") {
                    try first.status()?.number("entries", of: "flush_held") == 5
                }
                #expect(try entries(second, false) == 5)
                // A walk that a slave asks for meanwhile purges nothing.
                _ = try second.command(["resync"])
                try eventually("a walk") {
                    try second.status()?.number("initsyncs_received") ?? 0 >= 2
                }
                #expect(try entries(second, false) == 5)
                try eventually("the purge", within: 10) { try entries(second, false) == 0 }
                #expect(try entries(second, true) == 3)
                for connection in kept { try connection.exchange() }
                try cluster.waitInSync()
                try eventually("the end in the journal") {
                    first.log.contains("flush over: 5 entries were held; this node is still master")
                }
                _ = open
            }
        }

        /// One that starts again in the grace keeps what its kernel has of them, and can take over.
        @Test func aSlaveThatStartsAgainKeepsThem() throws {
            try scenario(translation: .masquerade, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let open = try cluster.connections(5, to: service)
                try second.waitForEqualTable(to: first, atLeast: 5)
                try first.host.ip("addr del 10.2.0.1/24 dev wan0")
                try eventually("a flush at the master") { try entries(first, false) == 0 }
                try second.stop()
                try second.start(role: .slave)
                try cluster.waitInSync()
                #expect(try entries(second, false) == 5)
                try cluster.unplug(first)
                try cluster.promote(second)
                for connection in open { try connection.exchange(within: 3) }
            }
        }

        /// `conntrack -F` is no flush of the kernel's: the slaves hear of it at once.
        @Test func aFlushByHandIsToldAtOnce() throws {
            try scenario(translation: .masquerade, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let open = try cluster.connections(5, to: service)
                try second.waitForEqualTable(to: first, atLeast: 5)
                // Deletions are looked at, and these are told all the same.
                try first.host.ip("addr add 10.2.0.99/32 dev wan0\naddr del 10.2.0.99/32 dev wan0")
                try first.flush()
                try eventually("an empty table", within: 2) { try entries(second, false) == 0 }
                _ = open
            }
        }

        /// A slave that was master has entries which the kernel flushes; it makes them anew at once.
        @Test func aSlaveThatLosesTheAddressMakesItsEntriesAnew() throws {
            try scenario(translation: .masqueradeFullyRandom, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let stream = try DatagramStream.udp(
                    from: cluster.client, to: cluster.server, at: Plan.service(ipv6: false))
                defer { stream.stop() }
                try stream.expectReplies(20)
                try second.waitForEqualTable(to: first)
                try cluster.demote(first)
                try cluster.promote(second)
                try stream.expectReplies(20)
                try cluster.waitInSync()
                try first.waitForEqualTable(to: second)
                try first.host.ip("link set wan0 down")
                try eventually("a repair") {
                    try first.status()?.number("repaired", of: "reconcile") ?? 0 > 0
                }
                try first.host.ip("link set wan0 up")
                try first.waitForEqualTable(to: second, within: 5)
                try cluster.demote(second)
                try cluster.promote(first)
                try stream.expectReplies(20)
                #expect(stream.identities.count == 1)
            }
        }
    }
}

extension Cluster {
    /// Connections of the client's that have carried data.
    func connections(_ count: Int, to service: Endpoint) throws -> [EchoConnection] {
        try (0..<count).map { _ in
            let connection = try EchoConnection(from: client, to: service)
            try connection.exchange()
            return connection
        }
    }
}

/// How many TCP connections a firewall has.
func entries(_ firewall: Firewall, _ ipv6: Bool) throws -> Int {
    try firewall.table(ipv6: ipv6).count { $0.tcp != nil }
}
