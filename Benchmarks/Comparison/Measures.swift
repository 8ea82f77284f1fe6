// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc

/// What the kernel counts of a process and of a device.
enum Measures {
    /// Nanoseconds of processor time of all of a process's threads; /proc/PID/task/TID/schedstat.
    static func nanoseconds(_ pid: pid_t) throws -> UInt64 {
        let tasks = "/proc/\(pid)/task"
        return try FileManager.default.contentsOfDirectory(atPath: tasks).reduce(0) { sum, task in
            let text = try String(contentsOfFile: "\(tasks)/\(task)/schedstat", encoding: .utf8)
            return sum + (text.split(separator: " ").first.flatMap { UInt64($0) } ?? 0)
        }
    }

    /// Nanoseconds of processor time of the calling thread.
    static func threadNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Resident memory in kilobytes; by another key of /proc/PID/status, of another kind.
    static func kilobytes(_ pid: pid_t, _ key: String = "VmRSS:") throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(key) }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            ?? 0
    }

    /// Bytes that a node has sent on its sync link.
    static func bytesSent(_ node: Firewall) throws -> Int {
        let text = try node.host.run(["cat", "/proc/net/dev"])
        let line = text.split(separator: "\n").first { $0.contains("sync0:") }
        let words = line?.split(whereSeparator: { $0.isWhitespace || $0 == ":" }) ?? []
        return words.count > 9 ? Int(words[9]) ?? 0 : 0
    }
}
