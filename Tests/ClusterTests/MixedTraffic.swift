// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// What became of one kind of traffic.
struct Survivors {
    let kind: String
    let alive: Int
    let of: Int
    /// The longest, in seconds, of what has one.
    var pause: Double? = nil
    var detail = ""
}

/// Traffic of many kinds through the firewalls, all of it at once.
final class MixedTraffic {
    private static let idleCount = 10
    private let cluster: Cluster
    private let servers: [EchoServer]
    private let idle: [EchoConnection]
    private let probed: [EchoConnection]
    private let proxied: [EchoConnection]
    private let transfers: [(name: String, transfer: BulkTransfer)]
    private let streams: [(name: String, stream: DatagramStream)]
    private var short: ShortConnections?
    private var ftp: [FTPTraffic] = []
    private var raw: [(name: String, traffic: RawTraffic)] = []

    /// The port that is behind SYNPROXY, if that is wanted.
    static let proxiedPort: UInt16 = 7003
    /// The service of the short connections alone: a node without the table draws ports for their address
    /// translation which it cannot know to be taken, and what stays would be lost with such a port.
    private static func shortService(ipv6: Bool) -> Endpoint {
        Endpoint(Plan.server(ipv6: ipv6), 7005)
    }

    /// - Parameters:
    ///   - isWhole: all kinds, or those that a few seconds are enough for.
    ///   - hasFTP: not in zones: the kernel does not say in which an expectation is.
    init(_ cluster: Cluster, ipv6: Bool, isWhole: Bool, hasFTP: Bool = true) throws {
        self.cluster = cluster
        let (client, server) = (cluster.client, cluster.server)
        let service = Plan.service(ipv6: ipv6)
        let proxy = Endpoint(service.address, Self.proxiedPort)
        let short = Self.shortService(ipv6: ipv6)
        servers = try (isWhole ? [service, proxy, short] : [service]).map {
            try EchoServer(on: $0, in: server)
        }
        let open = { (count: Int, target: Endpoint) throws in
            try (0..<count).map { _ in
                let connection = try EchoConnection(from: client, to: target)
                try connection.exchange()
                return connection
            }
        }
        idle = try open(Self.idleCount, service)
        probed = try open(isWhole ? 5 : 0, service)
        for connection in probed { try connection.keepAlive() }
        proxied = try open(isWhole ? 5 : 0, proxy)
        let bulk = { (port: UInt16, isDownload: Bool) throws in
            try BulkTransfer(
                from: client, to: server, at: Endpoint(service.address, service.port + port),
                isDownload: isDownload)
        }
        transfers =
            [("TCP up", try bulk(1, false))] + (isWhole ? [("TCP down", try bulk(2, true))] : [])
        let aged = Endpoint(service.address, service.port + 4)
        streams =
            [
                ("UDP", try DatagramStream.udp(from: client, to: server, at: service)),
                (
                    "ICMP",
                    try DatagramStream.icmpEcho(
                        from: client, to: server, address: Plan.server(ipv6: ipv6))
                ),
            ]
            + (isWhole
                ? [
                    (
                        "aged UDP",
                        try DatagramStream.udp(
                            from: client, to: server, at: aged, intervalMilliseconds: 100)
                    )
                ] : [])
        for (_, stream) in streams { try stream.expectReplies(20) }
        for (name, transfer) in transfers {
            try eventually("a transfer, \(name)") { transfer.count > 1_000_000 }
        }
        if isWhole { try startTheRest(ipv6: ipv6, hasFTP: hasFTP) }
    }

    private func startTheRest(ipv6: Bool, hasFTP: Bool) throws {
        ftp = try (hasFTP ? [true, false] : []).map {
            try FTPTraffic(cluster, isPassive: $0, ipv6: ipv6)
        }
        raw = try [("SCTP", true), ("GRE", false)].map { name, isSCTP in
            (name, try RawTraffic(cluster, isSCTP: isSCTP, ipv6: ipv6))
        }
        short = try ShortConnections(
            from: cluster.client, to: Self.shortService(ipv6: ipv6), perSecond: 500, within: 15)
        // The aged stream becomes older than its timeout.
        pause(Double(TakeoverPair.datagramTimeout) + 1)
    }

    /// Measures pauses from here.
    func reset() {
        for (_, stream) in streams { stream.gaps.reset() }
        for (_, transfer) in transfers { transfer.gaps.reset() }
        short?.gaps.reset()
    }

    /// Survivors of each kind, of how many.
    func survivors() -> [Survivors] {
        var rows = [Survivors(kind: "idle TCP", alive: alive(idle), of: idle.count)]
        for (name, transfer) in transfers {
            let before = transfer.count
            let flows =
                (try? eventually("more", within: 20) { transfer.count > before + 1_000_000 }) != nil
            rows.append(
                Survivors(kind: name, alive: flows ? 1 : 0, of: 1, pause: transfer.gaps.longest))
        }
        for (name, stream) in streams {
            let answers = (try? stream.expectReplies(5, within: 5)) != nil
            let isSame = stream.identities.count == 1
            rows.append(
                Survivors(
                    kind: name, alive: answers && isSame ? 1 : 0, of: 1,
                    pause: stream.gaps.longest))
        }
        for dialog in ftp {
            let (alive, of) = dialog.survivors()
            rows.append(Survivors(kind: dialog.name, alive: alive, of: of))
        }
        for (name, traffic) in raw {
            rows.append(Survivors(kind: name, alive: traffic.goesOn() ? 1 : 0, of: 1))
        }
        if !proxied.isEmpty {
            rows.append(Survivors(kind: "SYNPROXY", alive: alive(proxied), of: proxied.count))
        }
        if let short {
            let pause = short.gaps.longest
            let count = short.finish()
            rows.append(
                Survivors(
                    kind: "short TCP", alive: count.opened - count.lost, of: count.opened,
                    pause: pause, detail: count.reasons.joined(separator: "; ")))
        }
        // Last, so that a probe is what the new master has seen first of them.
        if !probed.isEmpty {
            rows.append(Survivors(kind: "probed TCP", alive: alive(probed), of: probed.count))
        }
        return rows
    }

    /// How many of them answer within a few seconds for all.
    private func alive(_ connections: [EchoConnection]) -> Int {
        let deadline = Stopwatch.seconds() + 8
        return connections.count {
            (try? $0.exchange(within: max(0.5, deadline - Stopwatch.seconds()))) != nil
        }
    }

    func stop() {
        for (_, stream) in streams { stream.stop() }
        _ = short?.finish()
        for server in servers { server.stop() }
    }
}

/// A control channel of FTP, a data channel that is open and one that is announced.
final class FTPTraffic {
    let name: String
    private let isPassive: Bool
    private let dialog: FTPDialog
    private let ends: FTPDialog.Ends
    private let announced: FTPDialog.Channel

    init(_ cluster: Cluster, isPassive: Bool, ipv6: Bool) throws {
        name = isPassive ? "FTP passive" : "FTP active"
        self.isPassive = isPassive
        let service = Endpoint(Plan.server(ipv6: ipv6), isPassive ? 7010 : 7011)
        dialog = try FTPDialog(
            from: cluster.client, to: cluster.server, ipv6: ipv6, at: service, target: service)
        let port: UInt16 = isPassive ? 30_001 : 30_011
        ends = try dialog.open(try dialog.announce(isPassive: isPassive, port: port))
        try dialog.exchange(ends)
        announced = try dialog.announce(isPassive: isPassive, port: port + 1)
    }

    /// The open channel, the announced one, and one that is announced now.
    func survivors() -> (alive: Int, of: Int) {
        let steps: [() throws -> Void] = [
            { try self.dialog.exchange(self.ends) },
            { try self.dialog.transfer(over: self.announced) },
            {
                let port: UInt16 = self.isPassive ? 30_003 : 30_013
                try self.dialog.transfer(
                    over: self.dialog.announce(isPassive: self.isPassive, port: port))
            },
        ]
        return (steps.count { (try? $0()) != nil }, steps.count)
    }
}

/// An association of SCTP, or a tunnel of GRE, packet by packet.
final class RawTraffic {
    private let pair: RawPair
    private let isSCTP: Bool
    private var number: UInt8 = 0

    init(_ cluster: Cluster, isSCTP: Bool, ipv6: Bool) throws {
        self.isSCTP = isSCTP
        pair = try RawPair(cluster, protocolNumber: isSCTP ? 132 : 47, ipv6: ipv6)
        if isSCTP { try pair.pass(SCTPPacket.opening) }
        // Two each way: only then a tunnel of GRE has more than half a minute.
        for fromClient in [true, false, true, false] {
            try pair.pass(packet(fromClient), fromClient: fromClient)
        }
    }

    private func packet(_ fromClient: Bool) -> [UInt8] {
        number += 1
        return isSCTP
            ? SCTPPacket.data(UInt32(number), fromClient: fromClient) : [0, 0, 8, 0, number]
    }

    /// Whether packets pass both ways; a lost one is sent again, as SCTP does.
    func goesOn() -> Bool {
        [false, true].allSatisfy { fromClient in
            (0..<4).contains { _ in
                (try? pair.pass(packet(fromClient), fromClient: fromClient, within: 1)) != nil
            }
        }
    }
}
