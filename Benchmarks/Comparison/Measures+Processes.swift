// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc

extension Measures {
    /// Nanoseconds of processor time of this process, all its threads.
    static func ownNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// How often a process's threads went to sleep, each time to be woken;
    /// voluntary_ctxt_switches of /proc/PID/task/TID/status.
    static func sleeps(_ pid: pid_t) throws -> UInt64 {
        let tasks = "/proc/\(pid)/task"
        return try FileManager.default.contentsOfDirectory(atPath: tasks).reduce(0) { sum, task in
            let text = try String(contentsOfFile: "\(tasks)/\(task)/status", encoding: .utf8)
            let line = text.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt") }
            let count = line?.split(whereSeparator: \.isWhitespace).last.flatMap { UInt64($0) }
            return sum + (count ?? 0)
        }
    }

    /// Bytes and packets that a node has sent on its sync link.
    static func sent(_ node: Firewall) throws -> (bytes: Int, packets: Int) {
        let text = try node.host.run(["cat", "/proc/net/dev"])
        let line = text.split(separator: "\n").first { $0.contains("sync0:") }
        let words = line?.split(whereSeparator: { $0.isWhitespace || $0 == ":" }) ?? []
        guard words.count > 10, let bytes = Int(words[9]), let packets = Int(words[10]) else {
            throw CallFailed("reading /proc/net/dev", errno: EINVAL)
        }
        return (bytes, packets)
    }
}
