// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// What keeps the control file from being read or written: it is told once and tried again.
///
/// A control file costs no daemon its role: replication and the control socket go on without it.
struct ControlFileTrouble {
    /// How long nothing is written after a failure. Each attempt may wake the daemon itself.
    private static let pause = 1 * Duration.second

    private var told: Set<String> = []
    private var retryAt: Instant?

    /// What is wrong; none while all is well.
    var sentences: [String] { told.sorted().map { "the control file cannot be used: \($0)" } }

    /// Whether it is time to try to write.
    func isOver(now: Instant) -> Bool {
        retryAt.map { now >= $0 } ?? true
    }

    /// Waits before the next attempt.
    mutating func wait(now: Instant) {
        retryAt = now + Self.pause
    }

    /// Records a failure, and waits before the next attempt.
    mutating func tell(_ error: SystemError, _ log: Logger, now: Instant) {
        wait(now: now)
        guard told.insert(error.description).inserted else { return }
        log.error(
            """
            the control file cannot be used: \(error); the role stays, \
            and the file is tried again each second
            """)
    }

    /// The file holds the role.
    mutating func end(_ log: Logger) {
        if !told.isEmpty { log.notice("the control file can be used again") }
        told.removeAll()
        retryAt = nil
    }
}
