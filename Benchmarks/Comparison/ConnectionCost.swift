// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// What one round with one contender has cost, in microseconds, bytes and numbers a connection.
struct ConnectionCost: Codable {
    /// The generator, with the forwarding and all events made in its calls, and the master's daemon or
    /// the bare listener.
    var processes = 0.0
    var master = 0.0
    var standby = 0.0
    /// How often a thread of the master's daemon, and of the standby's, was woken.
    var masterWakes = 0.0
    var standbyWakes = 0.0
    var bytes = 0.0
    var packets = 0.0
    /// Events that a bare listener took.
    var events = 0.0
    /// Connections that failed, of all.
    var failures = 0.0
    /// Connections a second; at rate 0 the most that there can be.
    var perSecond: Double?
    /// From an event at the master to the same at the standby, in microseconds: idle, and under this
    /// load; nil if that was not measured, or if the standby's kernel has the entries only later.
    var idle: Percentiles?
    var loaded: Percentiles?

    /// Measures one contender at a rate.
    ///
    /// - Parameter seconds: that are measured, after four that are not.
    static func measure(
        _ contender: Contender, _ transport: Traffic.Transport, perSecond: Int, seconds: Double,
        withLatency: Bool
    ) throws -> ConnectionCost {
        let contest = try contender.start()
        defer { contest.close() }
        let traffic = try Traffic(contest.cluster, transport)
        var bare: BareListener?
        if case .bare(let pause) = contender {
            bare = try BareListener(in: contest.master.host, pauseMicroseconds: pause)
        }
        defer { bare?.stop() }
        let relay = contender == .relay ? try BareRelay(contest) : nil
        defer { relay?.stop() }
        // Neighbours are found, and the first connections have begun to end.
        _ = try traffic.run(from: contest.cluster.client, perSecond: perSecond, seconds: 4)
        let before = try Reading(contest, bare)
        let outcome = try traffic.run(
            from: contest.cluster.client, perSecond: perSecond, seconds: seconds)
        let after = try Reading(contest, bare)
        var cost = ConnectionCost(from: before, to: after, outcome)
        if withLatency, contender.isDirect {
            (cost.loaded, cost.idle) = try latency(contest, traffic, perSecond: perSecond)
        }
        return cost
    }

    /// Under the load, and then without it.
    private static func latency(
        _ contest: Contest, _ traffic: Traffic, perSecond: Int
    ) throws -> (Percentiles?, Percentiles?) {
        let latency = try Latency(at: contest.standby)
        defer { latency.stop() }
        let client = contest.cluster.client
        let load = Background(named: "load") {
            _ = try? traffic.run(from: client, perSecond: perSecond, seconds: 6)
        }
        pause(0.5)
        let loaded = try latency.measure(from: contest.master, samples: 800, offset: 0)
        load.join()
        pause(0.5)
        let idle = try latency.measure(from: contest.master, samples: 400, offset: 10_000)
        return (Percentiles(loaded), Percentiles(idle))
    }

    private init(from before: Reading, to after: Reading, _ outcome: Traffic.Outcome) {
        let count = Double(outcome.connections)
        func each(_ value: (Reading) -> UInt64) -> Double {
            Double(value(after) - value(before)) / count
        }
        master = each { $0.master } / 1_000
        standby = each { $0.standby } / 1_000
        processes = each { $0.own } / 1_000 + (after.hasDaemons ? master : 0)
        masterWakes = each { $0.masterSleeps }
        standbyWakes = each { $0.standbySleeps }
        bytes = each { UInt64($0.sent.bytes) }
        packets = each { UInt64($0.sent.packets) }
        events = each { $0.events }
        failures = Double(outcome.failures) / count
        perSecond = count / outcome.seconds
    }

    /// What the counters said at one time.
    private struct Reading {
        let hasDaemons: Bool
        let own: UInt64
        var master: UInt64 = 0
        var standby: UInt64 = 0
        var masterSleeps: UInt64 = 0
        var standbySleeps: UInt64 = 0
        var events: UInt64 = 0
        let sent: (bytes: Int, packets: Int)

        init(_ contest: Contest, _ bare: BareListener?) throws {
            let pids = contest.pids
            hasDaemons = pids.count == 2
            sent = try Measures.sent(contest.master)
            if hasDaemons {
                masterSleeps = try Measures.sleeps(pids[0])
                standbySleeps = try Measures.sleeps(pids[1])
                master = try Measures.nanoseconds(pids[0])
                standby = try Measures.nanoseconds(pids[1])
            } else if let bare {
                master = bare.nanoseconds
                events = bare.events
            }
            own = Measures.ownNanoseconds()
        }
    }
}

/// Of sorted values.
struct Percentiles: Codable {
    let p50: Double
    let p99: Double
    let p999: Double
    let count: Int
    /// The values at `shares`, for a plot; nil in results that lack them.
    let points: [Double]?

    static let shares = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999]

    init?(_ sorted: [Double]) {
        guard !sorted.isEmpty else { return nil }
        let value = { (part: Double) in sorted[Int(Double(sorted.count - 1) * part)] }
        (p50, p99, p999) = (value(0.5), value(0.99), value(0.999))
        points = Self.shares.map(value)
        count = sorted.count
    }
}
