// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Two simulated nodes, and of each what `ct_sync status` would say: the daemon's own report of what the
/// engines know, with a device that is looked at as the daemon does.
final class ReportedPair {
    let cluster: SimulatedCluster
    let wire: SimulatedWire
    /// What each node knows of its device.
    var links: [NodeReport.Link]
    /// What each node listens to.
    var expected: [Sighting.Expectation]
    /// The frame in which a node's packet arrives at the other's device; empty for none.
    var frame: (_ source: Int, _ packet: [UInt8]) -> [UInt8] = {
        SightingTests.frame(payload: $1)
    }
    private let start: Instant
    private(set) var statuses = [SlaveStatus(), SlaveStatus()]
    private var judges = [SightingJudge(), SightingJudge()]
    /// What has arrived since a node's last look; nil while it does not look.
    private var frames: [[[UInt8]]?] = [nil, nil]
    private var lookAt: [Instant] = [0, 0]

    init(slotByteCount: Int? = nil) throws {
        var schedule = Schedule(seed: 1)
        (schedule.nodeCount, schedule.linkCount, schedule.steps) = (2, 1, [])
        schedule.failing = nil
        schedule.habits = []
        cluster = try SimulatedCluster(
            schedule, ringSlots: 4_096, slotByteCount: slotByteCount)
        wire = cluster.wires[0]
        (wire.loss, wire.doubling, wire.delay, wire.corruption) = (0, 0, 500, 0)
        for node in cluster.nodes {
            node.kernel.faults = 0
            node.kernel.eventCapacity = 10_000
        }
        start = cluster.now
        links = [NodeReport.Link(), NodeReport.Link()]
        for index in links.indices {
            links[index].device = "sync0"
            (links[index].isPresent, links[index].hasCarrier) = (true, true)
        }
        let group = HostAddress(.ipv4, Address(ipv4: 0xE000_00FE))
        let usual = Sighting.Expectation(port: 3_781, hosts: [group], isMulticast: true)
        expected = [usual, usual]
        wire.tap = { [unowned self] source, target, packet in
            let frame = frame(source, packet)
            if !frame.isEmpty { frames[target]?.append(frame) }
        }
    }

    func daemon(_ index: Int) -> SimulatedDaemon? { cluster.nodes[index].daemon }

    /// Nothing arrives any more, or nothing from one node at the other.
    func cut() {
        wire.cut(0, true)
    }

    func cut(from source: Int, to target: Int) {
        wire.cuts.insert(SimulatedWire.Way(source: source, target: target))
    }

    /// Nothing arrives any more, not even at a device, and the slave's is not what it was.
    func unplug(_ change: (inout NodeReport.Link) -> Void) {
        cut()
        change(&links[1])
        frame = { _, _ in [] }
    }

    /// How a node is now.
    func report(_ index: Int) -> NodeReport {
        var report = NodeReport()
        let (node, now) = (cluster.nodes[index], cluster.now)
        guard let daemon = node.daemon else { return report }
        let (status, exchange) = (statuses[index], daemon.master.exchange)
        report.nodeID = node.id
        report.wallMicroseconds = node.clock.wallMicroseconds
        report.uptime = now - start
        report.role = daemon.engine.role
        report.roleAge = now - daemon.engine.roleSince
        report.link = links[index]
        report.link.port = expected[index].port
        report.link.packetsIn = status.counters.packets + exchange.counters.packets
        if report.role == .slave {
            report.take(status, now: now)
        } else {
            report.take(
                exchange, lastSent: daemon.master.ring.lastSent,
                aloneSince: daemon.engine.roleSince, now: now)
        }
        report.takeDrops(status, exchange, SealReport(), now: now)
        report.sighting = judges[index].sighting(now)
        return report
    }

    /// Lets time pass, with an operation now and then.
    func run(_ time: UInt64) throws {
        let end = cluster.now + time
        while cluster.now < end {
            if cluster.now / Duration.millisecond % 100 == 0 {
                cluster.traffic.disturb(cluster.nodes[0].kernel.table)
            }
            try cluster.step(SimulatedCluster.tick)
            for index in 0..<2 {
                if let slave = daemon(index)?.slave {
                    statuses[index].copy(slave, now: cluster.now)
                }
                if cluster.now >= lookAt[index] { look(index) }
            }
        }
    }

    /// Waits until both are well.
    func waitUntilWell() throws {
        for _ in 0..<200 where (0..<2).contains(where: { report($0).problem != nil }) {
            try run(100 * Duration.millisecond)
        }
        for index in 0..<2 { try #require(report(index).problem == nil) }
    }

    /// As `Observer` and `DeviceWatch` do.
    private func look(_ index: Int) {
        let (report, now) = (report(index), cluster.now)
        lookAt[index] = now + Observer.interval(report)
        guard judges[index].begin(report, now: now) else {
            frames[index] = nil
            return
        }
        let seen = (frames[index] ?? []).compactMap {
            Sighting($0.span.bytes, expected: expected[index])
        }
        frames[index] = []
        if let last = seen.last(where: judges[index].counts) {
            judges[index].take(last, now: now)
        }
    }
}
