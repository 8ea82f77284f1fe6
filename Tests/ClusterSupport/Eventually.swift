// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A condition that did not come true in its time.
package struct NeverHappened: Error, CustomStringConvertible {
    package let description: String

    package init(_ what: String, within seconds: Double, last detail: String = "") {
        description =
            "not within \(seconds) s: \(what)" + (detail.isEmpty ? "" : "\n\(detail)")
    }
}

/// Waits until a condition holds, looking again every few milliseconds.
///
/// - Parameters:
///   - what: the condition, for the message of a failure.
///   - seconds: the deadline.
///   - every: seconds between two looks.
///   - detail: what to show when it never held.
/// A condition that throws does not hold yet: a server that is starting refuses, or answers what
/// nobody can read. The last error is part of the message of a failure.
///
/// - Throws: `NeverHappened`.
package func eventually(
    _ what: String, within seconds: Double = 10, every: Double = 0.01,
    detail: () -> String = { "" }, _ condition: () throws -> Bool
) throws {
    let deadline = Stopwatch.seconds() + seconds
    while true {
        var failure = ""
        do {
            if try condition() { return }
        } catch {
            failure = "\(error)"
        }
        if Stopwatch.seconds() >= deadline {
            let last = [detail(), failure].filter { !$0.isEmpty }.joined(separator: "\n")
            throw NeverHappened(what, within: seconds, last: last)
        }
        pause(every)
    }
}

/// Lets time pass for traffic to flow in; never a substitute for `eventually`.
package func pause(_ seconds: Double) {
    usleep(UInt32(max(seconds, 0) * 1_000_000))
}

/// The monotonic clock in seconds.
package enum Stopwatch {
    package static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
