// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

@testable import CTSync

/// Looks for a planted fault: `mutants FAULT SCHEDULES PROMISE...`, the fault's number first.
///
/// Runs the schedules of the seeds from 1 on until one breaks one of the promises that the sound engines
/// keep with the same seed, and prints its seed and the promise: `found 12 promise 3: ...`. With fault 0
/// it prints every schedule in which the sound engines break one. `CTSYNC_SEED` and `CTSYNC_TRACE` show
/// what it does in one schedule, as they do in the tests.
///
/// A fault changes what happens after it, and so the schedule. A promise that the sound engines break now
/// and then counts only if it is broken oftener than they would.
final class Look: Sendable {
    /// How often the sound engines break a promise (docs/hacking.md), in a schedule.
    private static let known: [Int: Double] = [9: 0.0045]
    /// How unlikely it is to be that the sound engines break it so often.
    private static let chance = 0.01
    /// Schedules run at a time.
    private static let batch: UInt64 = 8

    private let next: Mutex<UInt64>
    private let failures = Mutex<[(seed: UInt64, failure: SimulatedCluster.Failure)]>([])
    private let last: UInt64

    private init(_ seeds: ClosedRange<UInt64>) {
        next = Mutex(seeds.lowerBound)
        last = seeds.upperBound
    }

    private func work() {
        while true {
            let seed = next.withLock { next in
                defer { next += 1 }
                return next
            }
            guard seed <= last else { return }
            guard let failure = SimulationRun.failure(of: Schedule(seed: seed)).0 else { continue }
            failures.withLock { $0.append((seed, failure)) }
        }
    }

    /// What fails of some seeds, in their order.
    private static func failures(
        of seeds: ClosedRange<UInt64>
    ) throws(SystemError) -> [(seed: UInt64, failure: SimulatedCluster.Failure)] {
        let look = Look(seeds)
        let other = try WorkerThread(named: "look") { look.work() }
        look.work()
        other.join()
        return look.failures.withLock { $0 }.sorted { $0.seed < $1.seed }
    }

    /// Whether so many of so many schedules break a promise by the fault: Poisson's distribution.
    private static func isFault(_ promise: Int, _ count: Int, of schedules: UInt64) -> Bool {
        guard let rate = known[promise] else { return true }
        let mean = rate * Double(schedules)
        var (term, fewer) = (exp(-mean), 0.0)
        for number in 0..<count {
            fewer += term
            term *= mean / Double(number + 1)
        }
        return 1 - fewer < chance
    }

    static func run(_ fault: Int, _ count: UInt64, _ promises: [Int]) throws(SystemError) {
        var first: UInt64 = 1
        var broken: [Int: Int] = [:]
        while first <= count {
            Mutant.planted = fault
            let found = try failures(of: first...min(first + batch - 1, count))
            Mutant.planted = 0
            for (seed, failure) in found where fault == 0 || promises.contains(failure.promise) {
                let isSound = fault == 0 || SimulationRun.failure(of: Schedule(seed: seed)).0 == nil
                guard isSound else { continue }
                let times = broken[failure.promise, default: 0] + 1
                broken[failure.promise] = times
                let isFound = fault == 0 || isFault(failure.promise, times, of: seed)
                print("\(isFound ? "found" : "seen") \(seed) \(failure)")
                // Known at once, through a pipe too.
                fflush(nil)
                if fault != 0, isFound { return }
            }
            first += batch
        }
    }
}

/// One schedule, shortened.
func show(_ seed: UInt64, _ fault: Int) throws(SystemError) {
    Mutant.planted = fault
    let run = SimulationRun(seeds: seed...seed, until: nil, failureLimit: 1)
    try run.go(threads: 1)
    for failure in run.failures { print(failure) }
}

let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
if let seed = getenv("CTSYNC_SEED").flatMap({ UInt64(String(cString: $0)) }) {
    try show(seed, numbers[0])
} else {
    try Look.run(numbers[0], UInt64(numbers[1]), Array(numbers[2...]))
}
