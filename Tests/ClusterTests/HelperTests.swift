// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// A data channel's way through the firewalls.
struct Channel: CustomTestStringConvertible {
    let isPassive: Bool
    let ipv6: Bool
    let translation: AddressTranslation

    var testDescription: String {
        "\(isPassive ? "passive" : "active"), IPv\(ipv6 ? 6 : 4), translation \(translation)"
    }

    static let all = [true, false].flatMap { isPassive in
        [false, true].flatMap { ipv6 in
            [AddressTranslation.none, .masquerade, .destination].map {
                Channel(isPassive: isPassive, ipv6: ipv6, translation: $0)
            }
        }
    }
}

extension ClusterTests {
    /// Helpers: what one node's helper has read the announcement of, another one lets through.
    @Suite struct HelperTests {
        @Test(arguments: Channel.all, Replication.allCases)
        func theAnnouncedDataChannelOpens(
            _ channel: Channel, _ replication: Replication
        ) throws {
            try scenario(translation: channel.translation, replication: replication) { cluster in
                try prepare(cluster)
                let dialog = try FTPDialog(
                    from: cluster.client, to: cluster.server, ipv6: channel.ipv6,
                    at: Plan.service(ipv6: channel.ipv6),
                    target: Plan.target(ipv6: channel.ipv6, channel.translation))
                let first = try dialog.announce(isPassive: channel.isPassive, port: 30_001)
                let expectations = try self.expectations(cluster.firewalls[0])
                #expect(expectations.count == 1)
                if replication == .on {
                    try eventually("the expectation at the standby") {
                        try self.expectations(cluster.firewalls[1]) == expectations
                    }
                }
                try cluster.takeOver(replication)
                try onlyByReplication {
                    try dialog.transfer(over: first)
                    // The control channel lives on, and its helper reads on.
                    let second = try dialog.announce(isPassive: channel.isPassive, port: 30_002)
                    try dialog.transfer(over: second)
                }
                #expect(try self.expectations(cluster.firewalls[1]).isEmpty)
            }
        }

        /// The channel opened before the takeover goes on, related to its control connection.
        @Test(arguments: [true, false], Replication.allCases)
        func anOpenDataChannelGoesOn(isPassive: Bool, _ replication: Replication) throws {
            try scenario(translation: .masquerade, replication: replication) { cluster in
                try prepare(cluster)
                let service = Plan.service(ipv6: false)
                let dialog = try FTPDialog(
                    from: cluster.client, to: cluster.server, ipv6: false, at: service,
                    target: service)
                let channel = try dialog.announce(isPassive: isPassive, port: 30_001)
                let ends = try dialog.open(channel)
                try dialog.exchange(ends)
                if replication == .on {
                    try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0], atLeast: 2)
                    // Each says of its data channel that it was expected.
                    for firewall in cluster.firewalls {
                        let lines = try firewall.host.run(
                            ["conntrack", "-L", "--status", "EXPECTED"])
                        #expect(lines.contains("30001"))
                    }
                }
                try cluster.takeOver(replication)
                try onlyByReplication { try dialog.exchange(ends) }
            }
        }

        /// The answer to a request comes from another port, after the takeover.
        @Test(arguments: [AddressTranslation.none, .masquerade], Replication.allCases)
        func theAnswerOfTFTPArrives(
            _ translation: AddressTranslation, _ replication: Replication
        ) throws {
            try scenario(translation: translation, replication: replication) { cluster in
                try prepare(cluster)
                let server = Endpoint(Plan.server(ipv6: false), 69)
                let listening = try Socket.datagrams(from: server, in: cluster.server)
                let client = try Socket.datagrams(
                    from: Endpoint(Plan.client(ipv6: false), 31_000), in: cluster.client)
                let request: [UInt8] = [0, 1] + Array("file\0octet\0".utf8)
                try client.send(request, to: server)
                let asked = try received(listening)
                #expect(asked.bytes == request)
                let expectations = try self.expectations(cluster.firewalls[0])
                #expect(expectations.count == 1)
                if replication == .on {
                    try eventually("the expectation at the standby") {
                        try self.expectations(cluster.firewalls[1]) == expectations
                    }
                }
                try cluster.takeOver(replication)
                let transfer = try Socket.datagrams(
                    from: Endpoint(Plan.server(ipv6: false), 31_999), in: cluster.server)
                try onlyByReplication {
                    try transfer.send([0, 3, 0, 1, 0x78], to: asked.from)
                    let answer = try received(client)
                    #expect(answer.bytes == [0, 3, 0, 1, 0x78])
                    #expect(answer.from.port == 31_999)
                    try client.send([0, 4, 0, 1], to: answer.from)
                    #expect(try received(transfer).bytes == [0, 4, 0, 1])
                }
            }
        }

        /// An announcement becomes longer by translation, and all that follows in its stream is
        /// shifted: the new master shifts it too, whatever the zone.
        @Test(arguments: [0, 3])
        func aShiftedStreamGoesOn(zone: Int) throws {
            try scenario(replication: .on) { cluster in
                try prepare(cluster)
                for firewall in cluster.firewalls {
                    try firewall.host.ip("addr add 10.2.0.111/24 dev wan0")
                    try firewall.host.nft(
                        """
                        table ip shift {
                            chain zone {
                                type filter hook prerouting priority raw;
                                \(zone > 0 ? "ct zone set \(zone)" : "")
                            }
                            chain translation {
                                type nat hook postrouting priority 99;
                                oifname wan0 snat to 10.2.0.111
                            }
                        }
                        """)
                }
                let service = Plan.service(ipv6: false)
                let dialog = try FTPDialog(
                    from: cluster.client, to: cluster.server, ipv6: false, at: service,
                    target: service)
                let first = try dialog.announce(isPassive: false, port: 30_001)
                let (master, standby) = (cluster.firewalls[0], cluster.firewalls[1])
                try eventually("the shift at the standby", detail: { cluster.logs }) {
                    let shifted = try standby.table().filter { $0.sequenceAdjustment.contains(2) }
                    return try shifted.count == 1 && master.table().contains(shifted[0])
                }
                try cluster.takeOver(.on)
                // In a zone the data channel is no related one: its expectation has none.
                if zone == 0 { try dialog.transfer(over: first) }
                _ = try dialog.announce(isPassive: false, port: 30_002)
            }
        }

        /// An expectation that nothing comes of ends at the standby as at the master.
        @Test func anExpectationEndsWithItsConnection() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                try prepare(cluster)
                let service = Plan.service(ipv6: false)
                let dialog = try FTPDialog(
                    from: cluster.client, to: cluster.server, ipv6: false, at: service,
                    target: service)
                _ = try dialog.announce(isPassive: true, port: 30_001)
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try eventually("the expectation at the standby") {
                    try expectations(second).count == 1
                }
                for firewall in cluster.firewalls {
                    let shown = try firewall.command(["dump", "--expect"])
                    #expect(shown.status == 0)
                    #expect(shown.output.contains("helper="), "\(shown.output)\(shown.errors)")
                }
                // A standby that comes late gets it with its initsync.
                second.kill()
                try second.flush()
                try second.start(role: .slave)
                try cluster.waitInSync()
                #expect(try expectations(second) == expectations(first))
                try first.host.run(["conntrack", "-D", "-p", "tcp", "--dport", "7000"])
                try eventually("its end at the standby") { try expectations(second).isEmpty }
                try cluster.waitInSync()
            }
        }

        private func received(_ socket: Socket) throws -> (bytes: [UInt8], from: Endpoint) {
            var found: (bytes: [UInt8], from: Endpoint)?
            try eventually("a datagram", within: 2) {
                found = try socket.receive()
                return found != nil
            }
            guard let found else { throw NeverHappened("a datagram", within: 2) }
            return found
        }

        /// The expectations without what differs between two nodes: time and id.
        private func expectations(_ firewall: Firewall) throws -> [String] {
            let lines = try ["ipv4", "ipv6"].map { family in
                try firewall.host.run(["conntrack", "-L", "expect", "-f", family])
            }
            return lines.joined(separator: "\n").split(separator: "\n").map { line in
                line.split(separator: " ").dropFirst().joined(separator: " ")
            }.sorted()
        }

        /// The helpers; new data channels pass as related ones only.
        private func prepare(_ cluster: Cluster) throws {
            for firewall in cluster.firewalls {
                try firewall.host.nft(
                    """
                    table inet helpers {
                        ct helper ftp { type "ftp" protocol tcp; }
                        ct helper tftp { type "tftp" protocol udp; }
                        chain prerouting {
                            type filter hook prerouting priority -150;
                            tcp dport { 7000, 8080 } ct helper set "ftp"
                            udp dport 69 ct helper set "tftp"
                        }
                        chain forward {
                            type filter hook forward priority -10;
                            tcp dport 30000-30999 ct state new drop
                        }
                    }
                    """)
            }
        }
    }
}
