// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// One of the ways through the firewalls.
struct Way: CustomTestStringConvertible {
    let ipv6: Bool
    let translation: AddressTranslation
    var testDescription: String { "IPv\(ipv6 ? 6 : 4), translation \(translation)" }

    var service: Endpoint { Plan.service(ipv6: ipv6) }
    var target: Endpoint { Plan.target(ipv6: ipv6, translation) }

    static let all = [false, true].flatMap { ipv6 in
        [AddressTranslation.none, .masquerade, .destination].map {
            Way(ipv6: ipv6, translation: $0)
        }
    }
}

extension ClusterTests {
    /// Traffic that must outlive the firewall it went through.
    @Suite struct TakeoverTests {
        @Test(arguments: Way.all, Replication.allCases)
        func establishedTCP(_ way: Way, _ replication: Replication) throws {
            try scenario(translation: way.translation, replication: replication) { cluster in
                let server = try EchoServer(on: way.service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: way.target)
                for _ in 0..<3 { try connection.exchange() }
                try cluster.takeOver(replication)
                try onlyByReplication {
                    for _ in 0..<3 { try connection.exchange(within: replication.patience) }
                    try eventually("windows that are watched", within: 20) {
                        try isWatchingWindows(cluster.firewalls[1], ipv6: way.ipv6)
                    }
                    try connection.exchange()
                }
            }
        }

        @Test(arguments: Way.all, Replication.allCases)
        func transferInFlight(_ way: Way, _ replication: Replication) throws {
            try scenario(translation: way.translation, replication: replication) { cluster in
                let transfer = try BulkTransfer(
                    from: cluster.client, to: cluster.server, at: way.service, target: way.target)
                try eventually("4 MB before the takeover") { transfer.count > 4_000_000 }
                // In flight: no waiting for equal tables.
                try cluster.crash(cluster.firewalls[0])
                let before = transfer.count
                try cluster.promote(cluster.firewalls[1])
                try onlyByReplication {
                    try eventually("4 MB after the takeover", within: replication.patience) {
                        transfer.count > before + 4_000_000
                    }
                }
                try eventually("windows that are watched", within: 20) {
                    try isWatchingWindows(cluster.firewalls[1], ipv6: way.ipv6)
                }
                try transfer.finish()
            }
        }

        /// The acknowledgements of three segments die with the old master, and the first packet that
        /// the new one sees repeats the first segment: in its window tracking, what the server then
        /// acknowledges has never been sent.
        @Test(arguments: Replication.allCases)
        func acknowledgementsDieWithTheOldMaster(_ replication: Replication) throws {
            try scenario(translation: .masquerade, replication: replication) { cluster in
                let service = Plan.service(ipv6: false)
                let listener = try Socket.listening(on: service, in: cluster.server)
                let sender = try Socket.connecting(to: service, in: cluster.client)
                guard let receiver = try listener.accept() else {
                    throw NeverHappened("a connection at \(service)", within: 2)
                }
                try send(1, from: sender, to: receiver)
                if replication == .on {
                    try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0])
                }
                // Repeated segments stay what they were, and nothing is acknowledged any more.
                try cluster.client.set(["net.ipv4.tcp_retrans_collapse": 0])
                try cluster.client.nft(
                    """
                    table ip deaf {
                        chain input { type filter hook input priority 0; tcp sport 7000 drop; }
                    }
                    """)
                try send(3, from: sender, to: receiver)
                try eventually("repetitions") { try sender.repetitions() >= 2 }
                try cluster.crash(cluster.firewalls[0])
                try cluster.client.nft("delete table ip deaf")
                try cluster.promote(cluster.firewalls[1])
                try onlyByReplication {
                    try send(1, from: sender, to: receiver, within: 2 * replication.patience)
                    try eventually("an acknowledgement", within: replication.patience) {
                        try sender.repetitions() == 0
                    }
                }
                // It was let pass from the first packet, for as long as it took.
                #expect(
                    try cluster.firewalls[1].field("counters.injected.windows_relaxed") == "0")
                try send(3, from: sender, to: receiver)
                try eventually("windows that are watched again", within: 20) {
                    try isWatchingWindows(cluster.firewalls[1], ipv6: false)
                }
                try send(3, from: sender, to: receiver)
            }
        }

        /// Sends some segments of 64 bytes and waits until they have arrived.
        private func send(
            _ count: Int, from sender: Socket, to receiver: Socket, within seconds: Double = 5
        ) throws {
            for _ in 0..<count { try sender.send([UInt8](repeating: 7, count: 64)) }
            var missing = 64 * count
            try eventually("\(missing) bytes", within: seconds, every: 0) {
                var buffer = [UInt8](repeating: 0, count: 4096)
                missing -= try buffer.withUnsafeMutableBytes { try receiver.receive(into: $0) } ?? 0
                return missing <= 0
            }
        }

        @Test(arguments: [false, true], Replication.allCases)
        func udpKeepsItsPort(ipv6: Bool, _ replication: Replication) throws {
            try scenario(translation: .masqueradeFullyRandom, replication: replication) {
                cluster in
                let stream = try DatagramStream.udp(
                    from: cluster.client, to: cluster.server, at: Plan.service(ipv6: ipv6))
                defer { stream.stop() }
                try keepsIdentity(stream, cluster, replication)
            }
        }

        @Test(arguments: [false, true], Replication.allCases)
        func icmpEchoKeepsItsIdentifier(ipv6: Bool, _ replication: Replication) throws {
            try scenario(translation: .masqueradeFullyRandom, replication: replication) {
                cluster in
                let stream = try DatagramStream.icmpEcho(
                    from: cluster.client, to: cluster.server,
                    address: Plan.server(ipv6: ipv6))
                defer { stream.stop() }
                try keepsIdentity(stream, cluster, replication)
            }
        }

        private func keepsIdentity(
            _ stream: DatagramStream, _ cluster: Cluster, _ replication: Replication
        ) throws {
            try stream.expectReplies(20)
            try cluster.takeOver(replication)
            try onlyByReplication {
                try stream.expectReplies(20, within: replication.patience)
                try stream.expectOneIdentity()
            }
        }

        /// Traffic refreshes a timeout without an event: the standby must not let it age.
        @Test(arguments: Replication.allCases)
        func keptAliveForSeveralTimeouts(_ replication: Replication) throws {
            let settings: KeyValuePairs = [
                "net.netfilter.nf_conntrack_udp_timeout": 2,
                "net.netfilter.nf_conntrack_udp_timeout_stream": 2,
                "net.netfilter.nf_conntrack_tcp_timeout_established": 2,
            ]
            try scenario(
                translation: .masqueradeFullyRandom, settings: settings,
                replication: replication
            ) { cluster in
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                let stream = try DatagramStream.udp(
                    from: cluster.client, to: cluster.server, at: service,
                    intervalMilliseconds: 100)
                defer { stream.stop() }
                for _ in 0..<16 {
                    try connection.exchange()
                    pause(0.5)
                }
                try cluster.takeOver(replication)
                try onlyByReplication {
                    try connection.exchange(within: replication.patience)
                    try stream.expectReplies(5, within: replication.patience)
                    try stream.expectOneIdentity()
                }
            }
        }

        /// A replica is held while its node is a standby, and ends after the promotion as it would
        /// have ended at the old master.
        @Test(arguments: Replication.allCases)
        func idleConnectionTimesOutAfterPromotion(_ replication: Replication) throws {
            let settings: KeyValuePairs = [
                "net.netfilter.nf_conntrack_tcp_timeout_established": 8
            ]
            try scenario(settings: settings, replication: replication) { cluster in
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                let standby = cluster.firewalls[1]
                try cluster.takeOver(replication)
                try onlyByReplication {
                    guard let held = try standby.table().first else {
                        throw NeverHappened("an entry at the new master", within: 0)
                    }
                    try eventually("its own time for \(held)", within: 5) {
                        (try standby.table().first?.timeoutSeconds ?? 0) <= 8
                    }
                    try eventually("the end of \(held)", within: 12) { try standby.table().isEmpty }
                }
            }
        }

        /// A node that stops after a term as master leaves no entry that stays for a day, whether its timers
        /// had not begun yet, or it was a slave again.
        @Test(arguments: [NodeRole.master, .slave])
        func anOrderlyStopAfterATermStartsTheTimers(_ role: NodeRole) throws {
            let settings: KeyValuePairs = [
                "net.netfilter.nf_conntrack_tcp_timeout_established": 300
            ]
            try scenario(settings: settings, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                try second.waitForEqualTable(to: first)
                #expect(try second.table().allSatisfy { $0.timeoutSeconds > 300 })
                for node in role == .master ? [second] : [second, first] {
                    try node.write("1\n")
                    try node.waitForRole(.master)
                }
                try second.waitForRole(role)
                if role == .slave { try cluster.waitInSync() }
                try second.stop()
                let left = try second.table()
                #expect(!left.isEmpty)
                let times = left.map(\.timeoutSeconds)
                #expect(times.allSatisfy { $0 <= 300 }, "\(times)\n\(second.log)")
            }
        }

        /// Over and back and over again, with connections made on each side.
        @Test(arguments: Replication.allCases)
        func thereAndBack(_ replication: Replication) throws {
            try scenario(translation: .masquerade, replication: replication) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                var open = [try EchoConnection(from: cluster.client, to: service)]
                try exchange(over: open)

                try cluster.takeOver(replication)
                // Without replication this one is dead already; the next must not be.
                if replication == .off { open = [] }
                open.append(try EchoConnection(from: cluster.client, to: service))
                try exchange(over: open)

                try first.flush()
                try first.linksUp()
                if replication == .on {
                    try first.start(role: .slave)
                    try cluster.waitInSync()
                    try first.waitForEqualTable(to: second)
                }
                try cluster.demote(second)
                try cluster.promote(first)
                try onlyByReplication {
                    try exchange(over: open, within: replication.patience)
                }
                open.append(try EchoConnection(from: cluster.client, to: service))
                try exchange(over: open)

                if replication == .on {
                    try cluster.waitInSync()
                    try second.waitForEqualTable(to: first, atLeast: 3)
                }
                try cluster.demote(first)
                try cluster.promote(second)
                try onlyByReplication {
                    try exchange(over: open, within: replication.patience)
                }
            }
        }

        private func exchange(over open: [EchoConnection], within seconds: Double = 10) throws {
            for connection in open { try connection.exchange(within: seconds) }
        }
    }
}

extension DatagramStream {
    /// The server knows it by what it was known by at first.
    func expectOneIdentity() throws {
        guard identities.count == 1 else {
            throw NeverHappened("one identity at the server", within: 0, last: "\(identities)")
        }
    }
}

extension Cluster {
    /// The first firewall dies, the second becomes master; with replication, once it holds all.
    func takeOver(_ replication: Replication) throws {
        if replication == .on { try firewalls[1].waitForEqualTable(to: firewalls[0]) }
        try crash(firewalls[0])
        try promote(firewalls[1])
    }
}

/// Window tracking is on: the scale factors are known and no direction is liberal.
func isWatchingWindows(_ firewall: Firewall, ipv6: Bool) throws -> Bool {
    let tracked = try firewall.table(ipv6: ipv6).compactMap(\.tcp)
    return !tracked.isEmpty && tracked.allSatisfy { !$0.isLiberal && $0.hasScale }
}
