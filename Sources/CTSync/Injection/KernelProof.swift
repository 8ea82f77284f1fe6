// SPDX-License-Identifier: GPL-2.0-or-later

/// What a comparison of this kernel with what the master has said came to.
struct KernelProof: Sendable {
    /// A connection that was not as the master has said.
    struct Difference: Sendable {
        /// What this kernel had; nil if it had none.
        var here: Entry?
        /// What the master has said; nil if it has said nothing.
        var said: Entry?
    }

    /// The most differences that are kept.
    static let differenceLimit = 20

    /// When it ended; 0 before the first.
    var at: Instant = 0
    /// Connections that the master has said.
    var entries = 0
    /// Those that were lacking or others, and expectations; they are put right.
    var differed = 0
    /// Connections of this kernel that would be replicated, and that the master has not; they are left
    /// alone.
    var added = 0
    /// The first of them.
    var differences: [Difference] = []

    /// Keeps one, if there is room.
    mutating func note(here: Entry?, said: Entry?) {
        guard differences.count < Self.differenceLimit else { return }
        differences.append(Difference(here: here, said: said))
    }
}
