// SPDX-License-Identifier: GPL-2.0-or-later

/// Why a slave's kernel is to be compared with its books, until it was.
///
/// Comparisons back off: one is begun when the wait for the last is over.
struct CheckDemand {
    /// While a comparison is wanted or waited for.
    private(set) var cause: SlaveProtocol.OutOfSync?
    private var isWanted = false
    /// What `KernelCheck.checkCount` must exceed; nil if no check is waited for.
    private var awaited: UInt64?
    private var backoff = Backoff()

    /// Asks for one. That somebody has changed the kernel outweighs that it cannot be looked at.
    mutating func want(_ reason: SlaveProtocol.OutOfSync) {
        isWanted = true
        if cause != .kernelChanged { cause = reason }
    }

    /// Takes what came of the last, and begins the next if it is wanted.
    mutating func meet(_ check: inout KernelCheck, now: Instant) {
        if let count = awaited {
            if check.checkCount > count {
                awaited = nil
                if !isWanted { cause = nil }
            } else if !check.isRunning {
                // It failed, or an order has ended it.
                awaited = nil
                want(.unwatched)
            }
        }
        guard isWanted, awaited == nil, backoff.isOver(now: now) else { return }
        isWanted = false
        awaited = check.checkCount
        backoff.began(now: now)
        check.beginSoon(now: now)
    }
}
