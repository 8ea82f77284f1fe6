// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc
import Testing

@testable import CTSync

extension ClusterTests {
    /// Ports that are used again, and answers that come, right after a takeover.
    @Suite struct ReuseTests {
        /// Both ends have forgotten a connection that the firewalls still hold in one of its last
        /// states, and the client's port is used again.
        @Test(
            arguments: [
                TCPState.finWait, TCPState.closeWait, TCPState.lastAck, TCPState.timeWait,
                TCPState.close,
            ],
            [AddressTranslation.none, .masquerade, .masqueradeFullyRandom])
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
        @Test func aPortIsUsedAgainBeforeItsEndIsTold() throws {
            try scenario(translation: .masqueradeFullyRandom, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let server = try Self.forgetConnection(cluster, TCPState.timeWait)
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

        /// When the answer comes, and whether a firewall rejects what it does not know: then a reset would
        /// end what a drop only delays.
        static let halfOpen = [0.0, 0.01, 0.05].flatMap { [($0, false), ($0, true)] }

        /// The old master saw the SYN, and the answer comes to the new one.
        @Test(arguments: halfOpen, Replication.allCases)
        func aConnectionThatIsHalfOpen(
            _ moment: (seconds: Double, isRejecting: Bool), _ replication: Replication
        ) throws {
            try scenario(translation: .masquerade, replication: replication) { cluster in
                if moment.isRejecting {
                    for node in cluster.firewalls {
                        try node.host.nft(
                            "insert rule inet filter invalid ct state invalid reject with tcp reset"
                        )
                    }
                }
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                // The first SYN only passes, and no answer until the takeover.
                try cluster.client.nft(
                    """
                    table ip once {
                        chain output {
                            type filter hook output priority 0;
                            tcp flags & (syn | ack) == syn meta mark set 1
                            meta mark 1 limit rate 1/hour burst 1 packets accept
                            meta mark 1 drop
                        }
                    }
                    """)
                try cluster.server.nft(
                    """
                    table ip late {
                        chain output {
                            type filter hook output priority 0;
                            tcp flags & (syn | ack) == syn | ack drop
                        }
                    }
                    """)
                let open = try Socket.beginning(to: service, in: cluster.client)
                try eventually("a SYN at the first") {
                    try cluster.firewalls[0].table().contains { $0.tcp?.state == 1 }
                }
                pause(moment.seconds)
                try cluster.crash(cluster.firewalls[0])
                try cluster.promote(cluster.firewalls[1])
                try cluster.server.nft("delete table ip late")
                try onlyByReplication {
                    try eventually("an open connection", within: replication.patience) {
                        try open.isEstablished()
                    }
                }
            }
        }

        /// So do the first answers of UDP and the echoes of ICMP.
        @Test(arguments: Replication.allCases)
        func aFirstAnswer(_ replication: Replication) throws {
            try scenario(translation: .masqueradeFullyRandom, replication: replication) { cluster in
                let service = Plan.service(ipv6: false)
                let server = try Socket.datagrams(from: service, in: cluster.server)
                let client = try Socket.datagrams(
                    from: Endpoint(Plan.client(ipv6: false), 41_000), to: service,
                    in: cluster.client)
                try client.send([1])
                var from: Endpoint?
                try eventually("the question") {
                    from = try server.receive()?.from
                    return from != nil
                }
                if replication == .on {
                    try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0])
                }
                try cluster.crash(cluster.firewalls[0])
                try cluster.promote(cluster.firewalls[1])
                try onlyByReplication {
                    try eventually("the answer", within: replication.patience) {
                        try server.send([2], to: from)
                        return try client.receive() != nil
                    }
                }
            }
        }
    }
}
