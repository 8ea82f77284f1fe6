// SPDX-License-Identifier: GPL-2.0-or-later

// ct_sync and conntrackd under the same loads on the same machine: `make bench-comparison`, and with
// real connections `make bench-connections`. With the word `operators` and a number of minutes, what
// those who look cost: `make operators-soak`. With `tables`, `takeovers` or `losses`, ct_sync alone:
// `make bench`; with `transfers`, connections that are there. With `injection`, what the kernel alone takes for the entries of an initial sync.

import CTSync
import ClusterSupport
import Foundation
import Glibc

let words = Array(CommandLine.arguments.dropFirst())
if words.first == "report" {
    do {
        try Report(Array(words.dropFirst())).write()
        exit(0)
    } catch {
        print(error)
        exit(2)
    }
}
guard geteuid() == 0 else {
    print("The benchmark makes network namespaces and needs root.")
    exit(2)
}

/// Processor time and bytes for a connection made, established and ended, at a rate. The maker's time
/// has the kernel's work in it: what the forwarding path of a firewall would pay.
func measureLoad(_ contest: Contest, perSecond: Int, first: Int) throws {
    let before = try contest.pids.map(Measures.nanoseconds)
    let bytes = try Measures.bytesSent(contest.master)
    let made = try contest.master.host.inside {
        try Load.run(first: first, perSecond: perSecond, seconds: 5)
    }
    pause(1)
    let after = try contest.pids.map(Measures.nanoseconds)
    let sent = try Measures.bytesSent(contest.master) - bytes
    let times = zip(before, after).map { Double($1 - $0) / Double(made.count) / 1_000 }
    print(
        String(
            format:
                "  at %6d connections/s   master %5.1f us   standby %5.1f us   maker %5.1f us   "
                + "%4d bytes",
            perSecond, times[0], times[1], Double(made.nanoseconds) / Double(made.count) / 1_000,
            sent / made.count))
}

/// Prints percentiles.
func show(_ name: String, _ microseconds: [Double]) {
    guard !microseconds.isEmpty else { return print("  latency \(name): nothing arrived") }
    let percentile = { (part: Double) in microseconds[Int(Double(microseconds.count - 1) * part)] }
    print(
        String(
            format: "  latency %@   p50 %6.0f us   p99 %6.0f us   (%d entries)", name,
            percentile(0.5), percentile(0.99), microseconds.count))
}

/// All loads for one of them.
func compare(_ contestant: Contestant) throws {
    print(contestant.rawValue)
    let contest = try Contest(contestant)
    defer { contest.close() }
    try measureLoad(contest, perSecond: 5_000, first: 0)
    try measureLoad(contest, perSecond: 20_000, first: 1_000_000)
    if contestant.isDirect {
        let latency = try Latency(at: contest.standby)
        defer { latency.stop() }
        show("idle      ", try latency.measure(from: contest.master, samples: 400, offset: 0))
        let master = contest.master
        let load = Background(named: "load") {
            _ = try? master.host.inside {
                try Load.run(first: 2_000_000, perSecond: 10_000, seconds: 4)
            }
        }
        pause(0.5)
        show("at 10,000/s", try latency.measure(from: master, samples: 400, offset: 1_000))
        load.join()
    }
    try contest.master.host.inside {
        try Load.fill(3_000_000..<3_300_000, pauseSeconds: 0.02)
    }
    pause(5)
    let kilobytes = try contest.pids.map { try Measures.kilobytes($0) }
    print(
        String(
            format: "  300,000 entries            master %3d MB     standby %3d MB",
            kilobytes[0] / 1_000, kilobytes[1] / 1_000))
}

do {
    let rest = Array(words.dropFirst())
    switch words.first {
    case "tables":
        var tables = try LargeTables(rest)
        try tables.run()
    case "takeovers": try Takeovers(rest).run()
    case "transfers": try Transfers(rest).run()
    case "losses": try CommonLosses(rest).run()
    case "injection": try BareInjection(rest).run()
    default: try runContestants()
    }
} catch {
    print("The benchmark itself failed: \(error)")
    exit(2)
}

/// What has to do with conntrackd too.
func runContestants() throws {
    let limit = try ConntrackLimit(atLeast: 700_000)
    defer { limit.restore() }
    if words.first == "operators" {
        let minutes = words.dropFirst().first.flatMap { Double($0) } ?? 5
        let isGood = try Operators.run(minutes: minutes)
        limit.restore()
        exit(isGood ? 0 : 1)
    }
    if words.first == "connections" {
        try ConnectionRounds(Array(words.dropFirst())).run()
    } else {
        for contestant in Contestant.allCases {
            try compare(contestant)
            fflush(nil)
        }
    }
}
