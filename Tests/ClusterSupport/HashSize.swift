// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

/// The machine's nf_conntrack_buckets, halved for a while: it can be set in the initial namespace only and
/// holds for all others.
package struct HashSize {
    private static let path = "/proc/sys/net/netfilter/nf_conntrack_buckets"
    private let before: Int

    /// Whether this process may set it.
    package static var isWritable: Bool { access(path, W_OK) == 0 }

    /// Remembers how it is.
    package init() throws {
        let text = try String(contentsOfFile: Self.path, encoding: .utf8)
        guard let now = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw NeverHappened("a number in \(Self.path)", within: 0, last: text)
        }
        before = now
    }

    /// Halves it.
    package func halve() throws { try Self.write(before / 2) }

    /// Puts it back.
    package func restore() {
        do {
            try Self.write(before)
        } catch {
            print("nf_conntrack_buckets, \(before) before, cannot be put back: \(error)")
        }
    }

    private static func write(_ value: Int) throws {
        try "\(value)\n".write(toFile: path, atomically: false, encoding: .utf8)
    }
}
