// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The machine's nf_conntrack_max, raised for a while: it can be set in the initial namespace only
/// and holds for all others.
package struct ConntrackLimit {
    private static let path = "/proc/sys/net/netfilter/nf_conntrack_max"
    private let before: Int

    /// Raises it where it is lower.
    package init(atLeast wanted: Int) throws {
        let text = try String(contentsOfFile: Self.path, encoding: .utf8)
        guard let now = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw NeverHappened("a number in \(Self.path)", within: 0, last: text)
        }
        before = now
        if now < wanted { try Self.write(wanted) }
    }

    /// Puts it back.
    package func restore() {
        do {
            try Self.write(before)
        } catch {
            print("nf_conntrack_max, \(before) before, cannot be put back: \(error)")
        }
    }

    private static func write(_ value: Int) throws {
        try "\(value)\n".write(toFile: path, atomically: false, encoding: .utf8)
    }
}
