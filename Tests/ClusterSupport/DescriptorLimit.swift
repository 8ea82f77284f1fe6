// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
package import Glibc

/// How many descriptors a running process may open (RLIMIT_NOFILE).
package struct DescriptorLimit {
    private let pid: pid_t
    private let before: String

    /// Reads that of a process.
    package init(of pid: pid_t) throws {
        self.pid = pid
        before = try Self.prlimit(pid, ["--nofile", "--output", "SOFT", "--noheadings"])
    }

    /// Leaves it so many more than it has open.
    package func leave(_ count: Int) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")
        let open = Set(names.compactMap { Int($0) })
        // A descriptor gets the lowest number that is free, and the limit is one of these.
        var (limit, free) = (0, 0)
        while open.contains(limit) || free < count {
            if !open.contains(limit) { free += 1 }
            limit += 1
        }
        try set("\(limit)")
    }

    /// Gives it back what it had.
    package func restore() throws {
        try set(before)
    }

    private func set(_ limit: String) throws {
        _ = try Self.prlimit(pid, ["--nofile=\(limit):"])
    }

    private static func prlimit(_ pid: pid_t, _ words: [String]) throws -> String {
        try Command.run(["prlimit", "--pid", "\(pid)"] + words)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
