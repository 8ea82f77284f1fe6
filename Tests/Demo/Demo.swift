// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// One takeover: streams through fw1, fw1 dies, fw2 becomes master.
struct Demo {
    private static let idleConnections = 100

    private let replicates: Bool
    private let cluster: Cluster
    private let timeline: Timeline
    private let service = Plan.service(ipv6: false)
    private var first: Firewall { cluster.firewalls[0] }
    private var second: Firewall { cluster.firewalls[1] }

    init(replicates: Bool) throws {
        self.replicates = replicates
        timeline = Timeline()
        cluster = try Cluster(translation: .masqueradeFullyRandom)
    }

    /// True if all that should survive did; leaves nothing behind.
    func runAndClean() throws -> Bool {
        defer { cluster.close() }
        return try run()
    }

    private func run() throws -> Bool {
        print(
            """
            client 10.1.0.2 ----+---- fw1 ----+---- 10.2.0.2 server
                                |      | sync |
                                +---- fw2 ----+
            Both firewalls: masquerade fully-random, tcp_loose=0, invalid packets dropped,
            new TCP connections only by SYN. Replication is \(replicates ? "on" : "OFF").

            """)
        timeline.add("client, server and two firewalls are up")
        try startDaemons()

        let server = try EchoServer(on: service, in: cluster.server)
        defer { server.stop() }
        let idle = try (0..<Self.idleConnections).map { _ in
            let connection = try EchoConnection(from: cluster.client, to: service)
            try connection.exchange()
            return connection
        }
        timeline.add("\(idle.count) TCP connections through fw1, now idle")
        let bulk = Endpoint(service.address, service.port + 1)
        let transfer = try BulkTransfer(from: cluster.client, to: cluster.server, at: bulk)
        let stream = try DatagramStream.udp(
            from: cluster.client, to: cluster.server, at: service)
        defer { stream.stop() }
        timeline.add("a TCP transfer and a UDP stream begin, through fw1")
        try eventually("both flow") { transfer.count > 20_000_000 && stream.gaps.count > 100 }
        let before = try first.table()
        timeline.add(
            "\(transfer.count / 1_000_000) MB and \(stream.gaps.count) replies later: "
                + "\(before.count) connections in fw1's table, \(try second.table().count) in fw2's"
        )

        let fate = try takeOver(transfer, stream)
        let carried = Set(try second.table().map(\.key)).intersection(before.map(\.key)).count
        return try judge(transfer, stream, idle, carried: (carried, before.count), fate)
    }

    private func startDaemons() throws {
        guard replicates else { return timeline.add("no ct_sync runs") }
        try cluster.startDaemons()
        timeline.add("ct_sync runs: fw1 is master, fw2 is slave and in sync")
    }

    /// What the clients notice.
    private struct Fate {
        let tcpFlows: Bool
        let udpFlows: Bool
        let tcpPause: Double
        let udpPause: Double
    }

    private func takeOver(_ transfer: BulkTransfer, _ stream: DatagramStream) throws -> Fate {
        transfer.gaps.reset()
        stream.gaps.reset()
        try cluster.crash(first)
        timeline.add("fw1 dies: its daemon killed with -9, its links down")
        let (bytes, replies) = (transfer.count, stream.gaps.count)
        if replicates {
            let start = Stopwatch.seconds()
            try second.write("master\n")
            timeline.add("`master` written to fw2's control file")
            try second.waitForRole(.master)
            let milliseconds = Int((Stopwatch.seconds() - start) * 1000)
            timeline.add("fw2 is master, seen by its status \(milliseconds) ms after that")
        }
        try cluster.plug(second)
        timeline.add("traffic reaches fw2")
        var (tcp, udp) = (false, false)
        let deadline = Stopwatch.seconds() + 5
        while !(tcp && udp) && Stopwatch.seconds() < deadline {
            if !udp && stream.gaps.count > replies + 10 && stream.identities.count == 1 {
                udp = true
                timeline.add("the UDP stream goes on, from the port the server knows")
            }
            if !tcp && transfer.count > bytes + 1_000_000 {
                tcp = true
                timeline.add("the TCP transfer goes on")
            }
            pause(0.001)
        }
        let fate = Fate(
            tcpFlows: tcp, udpFlows: udp, tcpPause: transfer.gaps.longest,
            udpPause: stream.gaps.longest)
        // Longer than the takeover: what flows now keeps flowing.
        pause(0.5)
        return fate
    }

    private func judge(
        _ transfer: BulkTransfer, _ stream: DatagramStream, _ idle: [EchoConnection],
        carried: (Int, of: Int), _ fate: Fate
    ) throws -> Bool {
        let patience = replicates ? 10.0 : 1.0
        let arrived = fate.tcpFlows ? try? transfer.finish(within: patience) : nil
        // Without replication none answers: a few of them tell.
        let asked = replicates ? idle[...] : idle.prefix(3)
        let answer = asked.filter { (try? $0.exchange(within: patience)) != nil }.count
        timeline.add("all streams looked at")
        let ports = stream.identities.map { "\($0)" }.joined(separator: ", then ")
        let onePort = fate.udpFlows && stream.identities.count == 1
        let tcp =
            arrived.map { "survived: \($0 / 1_000_000) MB, every byte as sent" }
            ?? "DEAD: nothing since the takeover"
        let survives = arrived != nil && onePort && answer == idle.count
        print(
            """

            TCP transfer      \(tcp)
                              longest pause \(milliseconds(fate.tcpPause))
            UDP stream        \(onePort ? "survived" : "DEAD"): the server saw port \(ports)
                              longest pause \(milliseconds(fate.udpPause))
            idle connections  \(answer) of \(asked.count) asked answer
            entries           \(carried.0) of \(carried.of) carried over to fw2

            \(survives
                ? "Verdict: every connection survived the death of its firewall."
                : "Verdict: connections died with their firewall.")
            """)
        if replicates && !survives { print(cluster.logs) }
        return survives
    }

    private func milliseconds(_ seconds: Double) -> String { "\(Int(seconds * 1000)) ms" }
}

/// Lines with the milliseconds since the start.
final class Timeline {
    private let start = Stopwatch.seconds()

    func add(_ text: String) {
        let milliseconds = Int((Stopwatch.seconds() - start) * 1000)
        print(String(format: "%6d ms  ", milliseconds) + text)
        fflush(nil)
    }
}
