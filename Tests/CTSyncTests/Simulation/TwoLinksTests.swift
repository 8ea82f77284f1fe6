// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Two links between two nodes, one of which fails in every way: the stream goes on over the other.
@Suite struct TwoLinksTests {
    private static let lag = 300 * Duration.millisecond

    /// A master and a slave, with traffic; the clock is the hand's.
    private final class Pair {
        let cluster: SimulatedCluster
        let slave: SlaveProtocol
        let exchange: MasterProtocol
        let ring: SendRing
        private var sent: [(at: Instant, sequence: UInt64)] = []
        /// The longest that a packet was sent before it was applied.
        private(set) var worst: UInt64 = 0

        /// - Parameter isInSync: false for a slave that has heard nothing yet, both links cut.
        init(isInSync: Bool = true) throws {
            var schedule = Schedule(seed: 1)
            (schedule.nodeCount, schedule.linkCount, schedule.steps) = (2, 2, [])
            schedule.failing = nil
            schedule.habits = []
            cluster = try SimulatedCluster(schedule, ringSlots: 4_096)
            for wire in cluster.wires {
                (wire.loss, wire.doubling, wire.delay, wire.corruption) = (0, 0, 500, 0)
            }
            for node in cluster.nodes {
                node.kernel.faults = 0
                node.kernel.eventCapacity = 10_000
            }
            let daemons = try cluster.nodes.map { try #require($0.daemon) }
            slave = daemons[1].slave.slave
            exchange = daemons[0].master.exchange
            ring = daemons[0].master.ring
            if !isInSync { for wire in cluster.wires { wire.cut(0, true) } }
            try cluster.order(0, .master)
            guard isInSync else { return }
            for _ in 0..<6_000 where slave.outOfSync(now: cluster.now) != nil {
                try cluster.step(SimulatedCluster.tick)
            }
            try #require(slave.outOfSync(now: cluster.now) == nil)
        }

        /// What is lost for good, and what calls for the whole table.
        var counts: [UInt64] {
            [slave.counters.lost, slave.counters.initsyncRequests, slave.counters.initsyncs]
        }

        /// Lets so many milliseconds of traffic pass.
        func run(_ milliseconds: Int) throws {
            for tick in 0..<milliseconds {
                if tick % 3 == 0 {
                    cluster.traffic.disturb(cluster.nodes[0].kernel.table)
                }
                try cluster.step(SimulatedCluster.tick)
                if ring.lastSent != sent.last?.sequence {
                    sent.append((cluster.now, ring.lastSent))
                }
                let applied = slave.applied
                while let first = sent.first, first.sequence <= applied {
                    worst = max(worst, cluster.now - first.at)
                    sent.removeFirst()
                }
                if let first = sent.first { worst = max(worst, cluster.now - first.at) }
            }
        }

        /// What a node's kernel has of connections that are no node's own.
        func entries(_ node: Int) -> Set<Key> {
            let own = cluster.nodes.map(\.own)
            let keys = cluster.nodes[node].kernel.table.slots.keys
            return Set(keys.filter { !own.contains($0.tuple.source) })
        }

        func cut(_ link: Int, from source: Int, to target: Int) {
            cluster.wires[link].cuts.insert(SimulatedWire.Way(source: source, target: target))
        }

        func heal() {
            for wire in cluster.wires { (wire.cuts, wire.loss) = ([], 0) }
        }
    }

    private enum Fault: CaseIterable {
        case cable
        case toTheSlave
        case toTheMaster
        case oneWayEach
        case loss

        /// Brings it about, mostly on the first link.
        func happen(to pair: Pair) {
            switch self {
            case .cable: pair.cluster.wires[0].cut(0, true)
            case .toTheSlave: pair.cut(0, from: 0, to: 1)
            case .toTheMaster: pair.cut(0, from: 1, to: 0)
            case .oneWayEach:
                pair.cut(0, from: 0, to: 1)
                pair.cut(1, from: 1, to: 0)
            case .loss: pair.cluster.wires[0].loss = 300
            }
        }

        /// Where the stream is after some time.
        var stream: LinkSet { LinkSet(link: self == .toTheMaster ? 0 : 1) }
    }

    /// No packet is lost for good, nobody needs the table, and nothing is late by more than 300 ms,
    /// neither when a link fails nor when the stream comes back to it.
    @Test(arguments: Fault.allCases)
    private func theStreamGoesOn(_ fault: Fault) throws {
        let pair = try Pair()
        try pair.run(1_500)
        #expect(pair.exchange.links == LinkSet(link: 0))
        let before = pair.counts
        for _ in 0..<(fault == .cable ? 2 : 1) {
            fault.happen(to: pair)
            try pair.run(400)
            if fault == .cable { #expect(pair.exchange.links == fault.stream) }
            try pair.run(2_100)
            #expect(pair.exchange.links == fault.stream)
            pair.heal()
            try pair.run(2_500)
            #expect(pair.exchange.links == LinkSet(link: 0))
        }
        #expect(pair.counts == before)
        #expect(pair.worst <= Self.lag, "\(pair.worst / Duration.millisecond) ms")
        #expect(pair.slave.outOfSync(now: pair.cluster.now) == nil)
    }

    /// The stream's link is cut, and at once the master is made slave: what it has said since comes over
    /// the other one, while nobody can ask for it any more.
    @Test(arguments: [Fault.cable, .toTheSlave])
    private func theLastWordsComeOverTheOtherLink(_ fault: Fault) throws {
        let pair = try Pair()
        try pair.run(1_500)
        #expect(pair.exchange.links == LinkSet(link: 0))
        fault.happen(to: pair)
        let before = pair.ring.lastSent
        try pair.run(40)
        #expect(pair.ring.lastSent > before)
        #expect(pair.slave.applied < pair.ring.lastSent)
        try pair.cluster.order(0, .slave)
        for _ in 0..<10 { try pair.cluster.step(SimulatedCluster.tick) }
        #expect(pair.slave.applied == pair.ring.lastSent)
    }

    /// A master that lacks the table is handed it by two links: when one of them fails at that moment,
    /// whichever way, it goes on over the other.
    @Test(arguments: Fault.allCases, [0, 3])
    private func aHandoverOutlivesALink(_ fault: Fault, _ milliseconds: Int) throws {
        let pair = try Pair(isInSync: false)
        try pair.run(300)
        let held = pair.entries(0)
        try #require(held.count > 20)
        pair.heal()
        try pair.cluster.order(1, .master)
        let taker = try #require(pair.cluster.nodes[1].daemon)
        for _ in 0..<1_000 where pair.slave.donor == nil {
            try pair.cluster.step(SimulatedCluster.tick)
        }
        try #require(pair.slave.donor != nil)
        for _ in 0..<milliseconds { try pair.cluster.step(SimulatedCluster.tick) }
        fault.happen(to: pair)
        for _ in 0..<2_000 where !taker.master.exchange.isWhole {
            try pair.cluster.step(SimulatedCluster.tick)
        }
        #expect(taker.master.exchange.isWhole)
        #expect(pair.entries(1).isSuperset(of: held))
    }

    /// With both cut the slave is as without a master, and all is well when one is back.
    @Test func bothLinksFail() throws {
        let pair = try Pair()
        try pair.run(500)
        for wire in pair.cluster.wires { wire.cut(0, true) }
        try pair.run(2_000)
        #expect(pair.slave.outOfSync(now: pair.cluster.now) == .silent)
        pair.cluster.wires[1].cuts = []
        try pair.run(2_500)
        #expect(pair.exchange.links == LinkSet(link: 1))
        #expect(pair.slave.outOfSync(now: pair.cluster.now) == nil)
        #expect(pair.counts[0] == 0)
    }
}
