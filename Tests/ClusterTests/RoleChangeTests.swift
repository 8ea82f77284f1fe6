// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Synchronization
import Testing

extension ClusterTests {
    /// `make role-changes CHANGES=500`: role changes at random moments on three nodes, while
    /// connections begin, packets of the sync link are lost, and the clocks are an hour apart.
    @Suite struct RoleChangeTests {
        private static let count =
            ProcessInfo.processInfo.environment["CTSYNC_ROLE_CHANGES"].flatMap { Int($0) } ?? 0
        private static let liveCount = 20
        /// Connections a second.
        private static let rate = 5_000
        /// Seconds that a node's clock is off, by its place.
        private static let offsets = [0, 3_600, -3_600]

        @Test(.enabled(if: ProcessInfo.processInfo.environment["CTSYNC_ROLE_CHANGES"] != nil))
        func noChangeLosesAnything() throws {
            let cluster = try Cluster(
                firewalls: 3, settings: ["net.netfilter.nf_conntrack_udp_timeout": 5])
            defer { cluster.close() }
            do {
                try run(cluster)
            } catch {
                print(cluster.logs)
                throw error
            }
        }

        private func run(_ cluster: Cluster) throws {
            let clock = try Self.buildClock(in: cluster.directory)
            for (firewall, offset) in zip(cluster.firewalls, Self.offsets) {
                try firewall.start(
                    role: firewall.id == 1 ? .master : .slave,
                    through: ["env", "LD_PRELOAD=\(clock)", "CTSYNC_CLOCK_OFFSET=\(offset)"])
            }
            try cluster.waitInSync()
            for firewall in cluster.firewalls { try firewall.loseArriving(percent: 5) }
            let service = Plan.service(ipv6: false)
            let server = try EchoServer(on: service, in: cluster.server)
            defer { server.stop() }
            let live = try (0..<Self.liveCount).map { _ in
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                return connection
            }
            let flood = try Flood(cluster, perSecond: Self.rate)
            defer { flood.stop() }
            var master = 0
            for number in 1...Self.count {
                master = try change(number, from: master, cluster)
                guard number % 5 == 0 else { continue }
                for (index, connection) in live.enumerated() {
                    do {
                        try connection.exchange(within: 20)
                    } catch {
                        throw NeverHappened(
                            "connection \(index) after change \(number): \(error)", within: 20)
                    }
                }
            }
            flood.stop()
            let reached = "\(flood.count) connections begun, \(flood.reached) a second"
            try cluster.waitInSync(within: 60)
            for firewall in cluster.firewalls where firewall.id != master + 1 {
                try firewall.waitForEqualTable(
                    to: cluster.firewalls[master], atLeast: Self.liveCount, within: 60)
            }
            for connection in live { try connection.exchange(within: 20) }
            print("\(Self.count) role changes, \(reached)")
        }

        /// Makes another node master, in one of two ways, and looks at what is reported.
        private func change(
            _ number: Int, from master: Int, _ cluster: Cluster
        ) throws -> Int {
            usleep(UInt32.random(in: 0...300_000))
            let next = (master + Int.random(in: 1...2)) % 3
            let (old, new) = (cluster.firewalls[master], cluster.firewalls[next])
            if Bool.random() {
                try cluster.demote(old)
            } else {
                try cluster.unplug(old)
            }
            let promotion = try new.command(["promote"])
            guard promotion.status == 0 else {
                throw NeverHappened("change \(number): promotion: \(promotion)", within: 0)
            }
            // An exit status of 0 means done, in the control file and in the status alike.
            let said = (try new.read(), try new.status()?.role)
            guard said == ("master", .master) else {
                throw NeverHappened("change \(number): promoted, but says \(said)", within: 0)
            }
            try cluster.plug(new)
            for other in cluster.firewalls where other.id != new.id {
                try other.waitForRole(.slave)
            }
            guard try new.status()?.role == .master else {
                throw NeverHappened("change \(number): the last master stays", within: 0)
            }
            return next
        }

        /// A library for LD_PRELOAD that puts the wall clock off.
        private static func buildClock(in directory: String) throws -> String {
            let (source, library) = ("\(directory)/clock.c", "\(directory)/clock.so")
            let text = """
                #include <stdlib.h>
                #include <sys/syscall.h>
                #include <time.h>
                #include <unistd.h>
                int clock_gettime(clockid_t clock, struct timespec *time) {
                    const char *offset = getenv("CTSYNC_CLOCK_OFFSET");
                    int result = syscall(SYS_clock_gettime, clock, time);
                    if (clock == CLOCK_REALTIME && offset != NULL) time->tv_sec += atol(offset);
                    return result;
                }
                """
            try text.write(toFile: source, atomically: false, encoding: .utf8)
            try Command.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source])
            return library
        }
    }

    /// Connections that begin through the firewalls, each with one datagram.
    private final class Flood: Sendable {
        private let begun = Atomic<Int>(0)
        private let isOver = Atomic<Bool>(false)
        private let thread = Mutex<Background?>(nil)
        private let start = ContinuousClock.now

        var count: Int { begun.load(ordering: .relaxed) }
        /// How many a second began so far.
        var reached: Int { Int(Double(count) / ((ContinuousClock.now - start) / .seconds(1))) }

        init(_ cluster: Cluster, perSecond: Int) throws {
            // Nobody answers, not even with an error.
            try cluster.server.nft(
                """
                table inet quiet {
                    chain in { type filter hook input priority 0; udp dport 10000-59999 drop; }
                }
                """)
            let socket = try Socket.datagrams(in: cluster.client)
            let started = Background(named: "cts_flood") { [self] in
                while !isOver.load(ordering: .relaxed) {
                    usleep(10_000)
                    let due = (ContinuousClock.now - start) / .seconds(1) * Double(perSecond)
                    while count < Int(due) {
                        let number = begun.wrappingAdd(1, ordering: .relaxed).newValue
                        let port = UInt16(10_000 + number % 50_000)
                        let target = Endpoint(Plan.server(ipv6: false), port)
                        _ = try? socket.send([1], to: target)
                    }
                }
            }
            thread.withLock { $0 = started }
        }

        func stop() {
            isOver.store(true, ordering: .relaxed)
            thread.withLock { $0.take() }?.join()
        }
    }
}
