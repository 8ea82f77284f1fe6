// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport

/// Connections of every kind that the hosts of a cluster can have, one after the other.
struct LiveTraffic {
    private let cluster: Cluster

    init(_ cluster: Cluster) {
        self.cluster = cluster
    }

    /// Helpers, marks, labels, zones and a service behind the first firewall's address.
    func prepare() throws {
        try cluster.firewalls[0].host.nft(
            """
            table inet traffic {
                ct helper ftp { type "ftp" protocol tcp; }
                ct helper tftp { type "tftp" protocol udp; }
                chain zones {
                    type filter hook prerouting priority -300;
                    udp dport 5300 ct zone set 7
                    udp dport 5301 ct original zone set 8
                }
                chain prerouting {
                    type filter hook prerouting priority -150;
                    tcp dport { 7000, 2121 } ct helper set "ftp"
                    udp dport 69 ct helper set "tftp"
                    udp dport 5302 ct mark set 0x1234 ct label set 101
                }
                chain translate {
                    type nat hook prerouting priority -101;
                    iifname lan0 ip daddr 10.1.0.1 tcp dport 8080 dnat ip to 10.2.0.2:7000
                }
                chain keep {
                    type nat hook postrouting priority 99;
                    meta l4proto { 47, 132 } snat ip to 10.1.0.2
                }
            }
            """)
    }

    /// What there is, with its name.
    var steps: [(String, () throws -> Void)] {
        [
            ("TCP, opened and closed by the client", { try self.connection(ipv6: false) }),
            ("TCP over IPv6", { try self.connection(ipv6: true) }),
            ("TCP, reset", { try self.connection(ipv6: false, isReset: true) }),
            ("TCP, refused", refused),
            ("TCP, closed by one side long before the other", halfClosed),
            ("TCP to a translated address and port", translated),
            ("UDP, in a zone, in a zone of one direction, with mark and label", datagrams),
            ("ICMP", { try self.echo(ipv6: false) }),
            ("ICMPv6", { try self.echo(ipv6: true) }),
            ("FTP, active, behind translation", { try self.ftp(isPassive: false, ipv6: false) }),
            ("FTP, passive", { try self.ftp(isPassive: true, ipv6: false) }),
            ("FTP over IPv6, active", { try self.ftp(isPassive: false, ipv6: true) }),
            ("FTP over IPv6, passive", { try self.ftp(isPassive: true, ipv6: true) }),
            ("TFTP", tftp),
            ("SCTP, opened and closed", sctp),
            ("GRE", gre),
        ]
    }

    private func connection(ipv6: Bool, isReset: Bool = false) throws {
        let service = Endpoint(Plan.server(ipv6: ipv6), 7001)
        let server = try EchoServer(on: service, in: cluster.server)
        try converse(with: service, isReset: isReset)
        server.stop()
        try pause()
    }

    private func converse(with target: Endpoint, isReset: Bool = false) throws {
        let connection = try EchoConnection(from: cluster.client, to: target)
        try connection.exchange()
        if isReset { try connection.resetOnClose() }
    }

    /// Until the last packets of a connection are through.
    private func pause() throws {
        try cluster.client.run(["sleep", "0.2"])
    }

    private func refused() throws {
        do {
            _ = try Socket.connecting(
                to: Endpoint(Plan.server(ipv6: false), 7099), in: cluster.client)
        } catch is CallFailed {}
    }

    private func translated() throws {
        let service = Plan.service(ipv6: false)
        let server = try EchoServer(on: service, in: cluster.server)
        try converse(with: Endpoint(Plan.lanGateway(ipv6: false), 8080))
        server.stop()
        try pause()
    }

    private func datagrams() throws {
        for port in [UInt16(5299), 5300, 5301, 5302] {
            let service = Endpoint(Plan.server(ipv6: false), port)
            let answering = try Socket.datagrams(from: service, in: cluster.server)
            let asking = try Socket.datagrams(to: service, in: cluster.client)
            try asking.send([1])
            let peer = try datagram(from: answering).from
            try answering.send([2], to: peer)
            // Answers to a zone of one direction find no way back.
            if port != 5301, port != 5300 { _ = try datagram(from: asking) }
            try asking.send([3])
        }
    }

    private func echo(ipv6: Bool) throws {
        let stream = try DatagramStream.icmpEcho(
            from: cluster.client, to: cluster.server, address: Plan.server(ipv6: ipv6))
        try stream.expectReplies(2)
        stream.stop()
    }

    private func ftp(isPassive: Bool, ipv6: Bool) throws {
        let service = Endpoint(Plan.server(ipv6: ipv6), 2121)
        let dialog = try FTPDialog(
            from: cluster.client, to: cluster.server, ipv6: ipv6, at: service, target: service)
        try dialog.transfer(over: try dialog.announce(isPassive: isPassive, port: 30_001))
        // Announced, and nobody comes.
        _ = try dialog.announce(isPassive: isPassive, port: 30_002)
    }

    private func tftp() throws {
        let listening = try Socket.datagrams(
            from: Endpoint(Plan.server(ipv6: false), 69), in: cluster.server)
        let client = try Socket.datagrams(
            from: Endpoint(Plan.client(ipv6: false), 31_000), in: cluster.client)
        try client.send(
            [0, 1] + Array("file\0octet\0".utf8), to: Endpoint(Plan.server(ipv6: false), 69))
        let peer = try datagram(from: listening).from
        let transfer = try Socket.datagrams(
            from: Endpoint(Plan.server(ipv6: false), 31_999), in: cluster.server)
        try transfer.send([0, 3, 0, 1, 0x78], to: peer)
        _ = try datagram(from: client)
    }

    private func sctp() throws {
        let pair = try RawPair(cluster, protocolNumber: 132)
        for (fromClient, tag, type, value) in SCTPPacket.opening + SCTPPacket.closing {
            let packet = SCTPPacket.packet(fromClient: fromClient, tag: tag, type, value)
            let socket = fromClient ? pair.client : pair.server
            try socket.send(packet)
            try pause()
        }
    }

    private func gre() throws {
        let pair = try RawPair(cluster, protocolNumber: 47)
        for number in UInt8(1)...2 {
            try pair.client.send([0, 0, 8, 0, number])
            try pause()
            try pair.server.send([0, 0, 8, 0, number])
            try pause()
        }
    }

    /// The side that is answered is closed first by the other one, and closes a while later.
    private func halfClosed() throws {
        let service = Endpoint(Plan.server(ipv6: false), 7002)
        let listener = try Socket.listening(on: service, in: cluster.server)
        let client = try Socket.connecting(to: service, in: cluster.client)
        var accepted: Socket?
        try eventually("a connection", within: 2, every: 0) {
            accepted = try listener.accept()
            return accepted != nil
        }
        client.finish()
        try pause()
        accepted?.finish()
        try pause()
    }

    private func datagram(from socket: Socket) throws -> (bytes: [UInt8], from: Endpoint) {
        var found: (bytes: [UInt8], from: Endpoint)?
        try eventually("a datagram", within: 2, every: 0) {
            found = try socket.receive()
            return found != nil
        }
        guard let found else { throw NeverHappened("a datagram", within: 2) }
        return found
    }
}
