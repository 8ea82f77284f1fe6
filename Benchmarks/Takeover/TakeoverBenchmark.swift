// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// Takeovers between two nodes with the same addresses, one of them dark.
///
/// Each time the master's outside ports are pulled off the segments and, when nothing is forwarded
/// any more, the other node is told to be master. A probe of some 4,000 packets a second runs from
/// client to server; the time of the first one that arrives is the end of the takeover.
struct TakeoverBenchmark {
    static let small = 10
    static let large = 300_000
    private static let takeovers = 9

    private let backend: String
    private let cluster: Cluster
    private let probe: ForwardingProbe

    /// - Parameter backend: what keeps the slave dark.
    init(backend: String) throws {
        self.backend = backend
        cluster = try Cluster()
        probe = try ForwardingProbe(
            from: cluster.client, to: cluster.server, at: Plan.service(ipv6: false))
    }

    func runAndClean() throws {
        defer {
            probe.stop()
            cluster.close()
        }
        do {
            try cluster.startDaemons([
                "--l2drop", "1", "--l2drop-backend", backend, "--initsync-rate", "0",
            ])
            for firewall in cluster.firewalls { try cluster.plug(firewall) }
            print(
                """
                From the write to the control file until the first forwarded packet, l2drop on by
                \(backend).
                us, \(Self.takeovers) takeovers each; in brackets what the daemon itself says
                 entries   median    least     most
                """)
            let few = try measure(entries: 0..<Self.small)
            let many = try measure(entries: Self.small..<Self.large)
            print(String(format: "\nratio of the medians: %.2f\n", many / few))
        } catch {
            print(cluster.logs)
            throw error
        }
    }

    /// Adds entries, then moves the role to and fro; gives the median in microseconds.
    private func measure(entries: Range<Int>) throws -> Double {
        let master = try cluster.firewalls.first { try $0.status()?.role == .master }
        guard let master else { throw NeverHappened("a master", within: 0) }
        try MadeEntries.create(entries, in: master.host)
        var times: [Double] = []
        var said: [Int] = []
        var old = master
        for _ in 0..<Self.takeovers {
            let new = cluster.firewalls[2 - old.id]
            try waitForReplica(of: entries.upperBound, on: new)
            times.append(try takeOver(from: old, to: new))
            said.append(try new.status()?.promotionMicroseconds ?? 0)
            old = new
        }
        times.sort()
        said.sort()
        let middle = times[times.count / 2]
        print(
            String(
                format: "%8d %8.0f %8.0f %8.0f   (%d)", entries.upperBound, middle, times[0],
                times[times.count - 1], said[said.count / 2]))
        fflush(nil)
        return middle
    }

    private func waitForReplica(of count: Int, on firewall: Firewall) throws {
        try cluster.waitInSync(within: 120)
        try eventually("all entries on \(firewall.name)", within: 120, every: 0.05) {
            let held = try firewall.status()?.entriesHeld ?? 0
            let kernel = try firewall.host.run(["conntrack", "-C"])
            return held >= count && Int(kernel.trimmingCharacters(in: .newlines)) ?? 0 >= count
        }
        // The last takeover's work in the background has ended.
        pause(1)
    }

    private func takeOver(from old: Firewall, to new: Firewall) throws -> Double {
        try probe.waitForArrivals()
        try cluster.unplug(old)
        try probe.arm()
        let start = Stopwatch.seconds()
        try new.write("1\n")
        let end = try probe.firstArrival()
        try new.waitForRole(.master)
        try old.waitForRole(.slave)
        try cluster.plug(old)
        return (end - start) * 1_000_000
    }
}
