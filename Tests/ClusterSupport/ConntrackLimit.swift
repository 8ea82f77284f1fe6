// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The machine's nf_conntrack_max, and its buckets, raised for a while: they can be set in the initial
/// namespace only and hold for all others.
package struct ConntrackLimit {
    private static let folder = "/proc/sys/net/netfilter/nf_conntrack_"
    /// In the order in which they are put back.
    private var before: [(name: String, value: Int)] = []

    /// Raises what is lower.
    package init(atLeast wanted: Int, buckets: Int = 0) throws {
        for (name, value) in [("buckets", buckets), ("max", wanted)] {
            let text = try String(contentsOfFile: Self.folder + name, encoding: .utf8)
            guard let now = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
                throw NeverHappened("a number in \(Self.folder)\(name)", within: 0, last: text)
            }
            before.append((name, now))
            if now < value { try Self.write(name, value) }
        }
    }

    /// Puts them back.
    package func restore() {
        for (name, value) in before {
            do {
                try Self.write(name, value)
            } catch {
                print("nf_conntrack_\(name), \(value) before, cannot be put back: \(error)")
            }
        }
    }

    private static func write(_ name: String, _ value: Int) throws {
        try "\(value)\n".write(toFile: folder + name, atomically: false, encoding: .utf8)
    }
}
