// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

/// How a takeover comes about.
enum TakeoverWay: String, CaseIterable {
    case crash
    case planned
    case justStarted = "promoted as it starts"
    case deviceDown = "outside link down"
    case addressGone = "outside address removed"
    case tenChanges = "ten changes in ten seconds"

    /// Those of every test run; all with CTSYNC_MATRIX.
    static var wanted: [TakeoverWay] {
        let isWhole = ProcessInfo.processInfo.environment["CTSYNC_MATRIX"] != nil
        return isWhole ? allCases : [.planned, .deviceDown, .addressGone]
    }
}

/// What the firewalls do with addresses, and of which family the traffic is.
enum TakeoverSetUp: String, CaseIterable {
    case masquerade
    case plain = "no translation"
    case ipv6 = "IPv6, masquerade"

    var translation: AddressTranslation { self == .plain ? .none : .masquerade }

    static var wanted: [TakeoverSetUp] {
        let isWhole = ProcessInfo.processInfo.environment["CTSYNC_MATRIX"] != nil
        return isWhole ? allCases : [.masquerade]
    }
}

/// Traffic of several kinds through the firewalls, all of it at once.
final class MixedTraffic {
    private static let idleCount = 10
    private let servers: [EchoServer]
    private let idle: [EchoConnection]
    private let transfers: [BulkTransfer]
    private let streams: [(name: String, stream: DatagramStream)]

    init(_ cluster: Cluster, ipv6: Bool) throws {
        let (client, server) = (cluster.client, cluster.server)
        let service = Plan.service(ipv6: ipv6)
        servers = [try EchoServer(on: service, in: server)]
        idle = try (0..<Self.idleCount).map { _ in
            let connection = try EchoConnection(from: client, to: service)
            try connection.exchange()
            return connection
        }
        transfers = [
            try BulkTransfer(
                from: client, to: server, at: Endpoint(service.address, service.port + 1))
        ]
        streams = [
            ("UDP", try DatagramStream.udp(from: client, to: server, at: service)),
            (
                "ICMP",
                try DatagramStream.icmpEcho(
                    from: client, to: server, address: Plan.server(ipv6: ipv6))
            ),
        ]
        for (_, stream) in streams { try stream.expectReplies(20) }
        let transfer = transfers[0]
        try eventually("a transfer") { transfer.count > 1_000_000 }
    }

    /// Measures pauses from here.
    func reset() {
        for (_, stream) in streams { stream.gaps.reset() }
        for transfer in transfers { transfer.gaps.reset() }
    }

    /// Survivors of each kind, of how many, and the longest pause in seconds.
    func survivors() -> [(kind: String, alive: Int, of: Int, pause: Double?)] {
        var rows: [(kind: String, alive: Int, of: Int, pause: Double?)] = []
        let alive = idle.count { (try? $0.exchange(within: 4)) != nil }
        rows.append(("idle TCP", alive, idle.count, nil))
        for transfer in transfers {
            let before = transfer.count
            let flows =
                (try? eventually("more", within: 20) { transfer.count > before + 1_000_000 }) != nil
            rows.append(("bulk TCP", flows ? 1 : 0, 1, transfer.gaps.longest))
        }
        for (name, stream) in streams {
            let answers = (try? stream.expectReplies(20, within: 5)) != nil
            let isSame = stream.identities.count == 1
            rows.append((name, answers && isSame ? 1 : 0, 1, stream.gaps.longest))
        }
        return rows
    }

    func stop() {
        for (_, stream) in streams { stream.stop() }
        for server in servers { server.stop() }
    }
}

extension ClusterTests {
    /// Ways of a takeover by traffic by set-up: what survives, and the longest pause. A cut of it runs
    /// with all tests; `make takeovers` runs and prints all.
    @Suite struct TakeoverMatrix {
        @Test(arguments: TakeoverWay.wanted, TakeoverSetUp.wanted)
        func everythingSurvives(_ way: TakeoverWay, _ setUp: TakeoverSetUp) throws {
            let cluster = try Cluster(translation: setUp.translation)
            defer { cluster.close() }
            do {
                try cluster.startDaemons()
                let traffic = try MixedTraffic(cluster, ipv6: setUp == .ipv6)
                defer { traffic.stop() }
                try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0], atLeast: 10)
                traffic.reset()
                try take(way, setUp, cluster)
                let rows = traffic.survivors()
                let line = rows.map { row in
                    let pause = row.pause.map { String(format: " %.2f s", $0) } ?? ""
                    return "\(row.kind) \(row.alive)/\(row.of)\(pause)"
                }
                print("| \(way.rawValue) | \(setUp.rawValue) | \(line.joined(separator: " | ")) |")
                for row in rows {
                    #expect(row.alive == row.of, "\(row.kind)\n\(cluster.logs)")
                }
            } catch {
                Issue.record("\(error)\n\(cluster.logs)")
            }
        }

        private func take(
            _ way: TakeoverWay, _ setUp: TakeoverSetUp, _ cluster: Cluster
        ) throws {
            let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
            switch way {
            case .crash:
                try cluster.crash(first)
                try cluster.promote(second)
            case .planned:
                try cluster.demote(first)
                try cluster.promote(second)
            case .justStarted:
                second.kill()
                try second.flush()
                try second.start(role: .slave)
                try cluster.promote(second)
                try cluster.unplug(first)
            case .deviceDown, .addressGone:
                let (address, bits) = setUp == .ipv6 ? ("fd00:2::1", 64) : ("10.2.0.1", 24)
                try first.host.ip(
                    way == .deviceDown
                        ? "link set wan0 down" : "addr del \(address)/\(bits) dev wan0")
                pause(0.5)
                try cluster.demote(first)
                try cluster.promote(second)
            case .tenChanges:
                for number in 0..<10 {
                    let (old, new) = number % 2 == 0 ? (first, second) : (second, first)
                    try cluster.promote(new)
                    try cluster.unplug(old)
                    pause(0.8)
                }
            }
        }
    }
}
