// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// Tells one thread to stop, and wakes it for that or for other work.
final class StopSign: Sendable {
    /// What wakes the thread.
    let wake: WakeUp
    private let isSet = Atomic<Bool>(false)

    /// A sign that is not set.
    ///
    /// - Throws: `SystemError` of eventfd(2).
    init() throws(SystemError) {
        wake = try WakeUp()
    }

    /// Whether the thread is to stop.
    var isStopped: Bool { isSet.load(ordering: .acquiring) }

    /// Stops the thread at its next look.
    func stop() {
        isSet.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Lets the next thread run.
    func reset() {
        isSet.store(false, ordering: .releasing)
        wake.clear()
    }

    /// Sleeps until this instant, a signal or the stop.
    func sleep(until deadline: Instant) {
        let now = Clock.now()
        guard !isStopped, now < deadline else { return }
        if ctsync_wait(wake.raw, -1, Int64(deadline - now)) != 0 { wake.clear() }
    }

    /// Sleeps until a signal or the stop.
    func sleep() {
        guard !isStopped else { return }
        _ = ctsync_wait(wake.raw, -1, -1)
        wake.clear()
    }
}
