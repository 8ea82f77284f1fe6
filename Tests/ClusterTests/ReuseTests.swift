// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
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
                let service = Plan.service(ipv6: false)
                let local = Endpoint(Plan.client(ipv6: false), 40_000)
                var server: EchoServer? = try EchoServer(on: service, in: cluster.server)
                defer { server?.stop() }
                var old: EchoConnection? = try EchoConnection(
                    from: cluster.client, at: local, to: service)
                try old?.exchange()
                try second.waitForEqualTable(to: first)
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
                server = try EchoServer(on: service, in: cluster.server)
                try Self.set(state, in: first)
                try second.waitForEqualTable(to: first)

                try cluster.crash(first)
                try cluster.promote(second)
                let began = Stopwatch.seconds()
                let again = try EchoConnection(from: cluster.client, at: local, to: service)
                try again.exchange(within: 5)
                #expect(Stopwatch.seconds() - began < 5)
                for _ in 0..<3 { try again.exchange(within: 5) }
            }
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
