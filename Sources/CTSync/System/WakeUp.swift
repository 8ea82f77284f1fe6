// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// An eventfd by which one thread wakes another that sleeps in poll(2).
final class WakeUp: Sendable {
    private let descriptor: Descriptor

    /// Opens the eventfd.
    ///
    /// - Throws: `SystemError` of eventfd(2).
    init() throws(SystemError) {
        descriptor = try Descriptor("eventfd") { ctsync_eventfd() }
    }

    /// What to poll for POLLIN.
    var raw: CInt { descriptor.raw }

    /// Wakes the sleeper, or keeps it from its next sleep.
    func signal() {
        var one: UInt64 = 1
        _ = write(descriptor.raw, &one, 8)
    }

    /// Whether it is signalled.
    var isSignalled: Bool { ctsync_wait(descriptor.raw, -1, 0) & 1 != 0 }

    /// Takes back all signals so far.
    func clear() {
        var count: UInt64 = 0
        _ = read(descriptor.raw, &count, 8)
    }
}
