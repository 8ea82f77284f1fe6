// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc
import Testing

@testable import CTSync

extension ClusterTests {
    /// Ports that are used again right after a takeover.
    @Suite struct ReuseTests {
        /// The states in which a connection ends.
        static let closing = [
            TCPState.finWait, TCPState.closeWait, TCPState.lastAck, TCPState.timeWait,
            TCPState.close,
        ]

        /// Both ends have forgotten a connection that the firewalls still hold in one of its last
        /// states, and the client's port is used again.
        @Test(
            arguments: closing, [AddressTranslation.none, .masquerade, .masqueradeFullyRandom])
        func aPortIsUsedAgain(_ state: UInt8, _ translation: AddressTranslation) throws {
            try scenario(translation: translation, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let server = try Self.forgetConnection(cluster, state)
                defer { server.stop() }
                try cluster.crash(first)
                try cluster.promote(second)
                let began = Stopwatch.seconds()
                let again = try Self.useAgain(cluster)
                #expect(Stopwatch.seconds() - began < 5)
                for _ in 0..<3 { try again.exchange(within: 5) }
            }
        }

        /// The old master tells the end of the old connection when the new one is open through the new
        /// master: with its entry it would lose its translation.
        @Test(arguments: closing)
        func aPortIsUsedAgainBeforeItsEndIsTold(_ state: UInt8) throws {
            try scenario(translation: .masqueradeFullyRandom, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let server = try Self.forgetConnection(cluster, state)
                defer { server.stop() }
                let daemon = try #require(first.daemon)
                let told = try first.status()?.number("sequence")
                daemon.signal(SIGSTOP)
                defer { daemon.signal(SIGCONT) }
                // It will not hear that it is no longer the master.
                try first.host.nft(
                    """
                    table netdev deaf {
                        chain heard { type filter hook ingress device sync0 priority 0; policy drop; }
                    }
                    """)
                try first.host.run(["conntrack", "-D", "-p", "tcp", "--orig-port-src", "40000"])
                try cluster.unplug(first)
                try cluster.promote(second)
                let again = try Self.useAgain(cluster)
                daemon.signal(SIGCONT)
                try eventually("the old one's end is told") {
                    try first.status()?.number("sequence") ?? 0 > told ?? 0
                }
                for _ in 0..<3 { try again.exchange(within: 5) }
                try first.host.nft("delete table netdev deaf")
                try first.waitForRole(.slave)
                try cluster.waitInSync()
                for _ in 0..<3 { try again.exchange(within: 5) }
                try first.waitForEqualTable(to: second)
            }
        }

        private static let local = Endpoint(Plan.client(ipv6: false), 40_000)

        /// A connection that both ends have forgotten, and that both firewalls hold in a state.
        ///
        /// - Returns: the server, for the next one.
        private static func forgetConnection(
            _ cluster: Cluster, _ state: UInt8
        ) throws -> EchoServer {
            let service = Plan.service(ipv6: false)
            var server: EchoServer? = try EchoServer(on: service, in: cluster.server)
            defer { server?.stop() }
            var old: EchoConnection? = try EchoConnection(
                from: cluster.client, at: local, to: service)
            try old?.exchange()
            try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0])
            // Neither says a word when it goes.
            let mute = """
                table ip mute {
                    chain output { type filter hook output priority 0; meta l4proto tcp drop; }
                }
                """
            for host in [cluster.client, cluster.server] { try host.nft(mute) }
            try old?.resetOnClose()
            old = nil
            server?.stop()
            server = nil
            for host in [cluster.client, cluster.server] {
                try host.run(["ss", "-K", "sport", "=", "40000"])
                try host.run(["ss", "-K", "dport", "=", "40000"])
                try host.nft("delete table ip mute")
            }
            let next = try EchoServer(on: service, in: cluster.server)
            try set(state, in: cluster.firewalls[0])
            try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0])
            return next
        }

        /// Opens a connection between the same ports.
        private static func useAgain(_ cluster: Cluster) throws -> EchoConnection {
            let connection = try EchoConnection(
                from: cluster.client, at: local, to: Plan.service(ipv6: false))
            try connection.exchange(within: 5)
            return connection
        }

        /// Puts the connections of a firewall into a state.
        private static func set(_ state: UInt8, in firewall: Firewall) throws {
            try firewall.host.inside {
                let dump = try TableDump()
                let batch = try RequestBatch()
                try dump.start(family: .ipv4)
                var isMore = true
                while isMore {
                    isMore = try dump.step { entry in
                        guard entry.key.tuple.sourcePort == 40_000 else { return }
                        var changed = copy entry
                        changed.protocolInfo.state = state
                        _ = batch.update(changed, timeoutSeconds: 100, tag: 1)
                    } expectation: { _ in
                    }
                }
                try batch.send { _, errno in Issue.record("errno \(errno)") }
            }
            try eventually("the state") { try firewall.table().contains { $0.tcp?.state == state } }
        }
    }
}
