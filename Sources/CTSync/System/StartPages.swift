// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// Gives back, once, the memory that only the start needed: code and constants of the program and its
/// libraries, and what malloc has free.
///
/// The kernel maps 64 KiB around each byte of a file that is touched, so a start that reads settings,
/// opens libraries and makes rules leaves some 7 MB mapped that a running daemon never looks at. They
/// are unmapped; what is used again is mapped again from the page cache, without a read from disk, in
/// the second after. What was written to, relocations among it, is left alone.
struct StartPages {
    /// How long after the start: the role is taken, and the first status is published.
    static let delay = 2 * Duration.second

    private var due: Instant?

    init(now: Instant) {
        due = now + Self.delay
    }

    /// Gives them back when it is time.
    ///
    /// - Returns: whether it has done so.
    @discardableResult
    mutating func look(now: Instant) -> Bool {
        guard let due, now >= due else { return false }
        self.due = nil
        return ctsync_drop_start_pages() > 0
    }
}
