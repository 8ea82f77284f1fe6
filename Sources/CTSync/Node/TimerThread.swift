// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The thread of what follows a promotion.
///
/// Thread: `ct_sync_timer`, until nothing is left to do or it is stopped. It owns the replica table
/// meanwhile.
final class TimerThread {
    let timers = TimerStart()
    let windows = WindowMender()
    /// How far it has come, after the last promotion for which it began.
    struct Progress: Sendable {
        /// When the timers had started, and how many.
        var timers: (at: Instant, count: UInt64)?
        /// When the windows of the first connections were known, and of how many.
        var windows: (at: Instant, count: Int)?
        /// When nothing was left to do.
        var overAt: Instant?
    }

    private final class ProgressBox: Sendable {
        let value = Mutex(Progress())
    }

    private let box = ProgressBox()
    private let kernel: any KernelTable
    private let stop: StopSign
    private var thread: WorkerThread?

    init(_ kernel: any KernelTable) throws(SystemError) {
        self.kernel = kernel
        stop = try StopSign()
    }

    /// How far it has come.
    var progress: Progress { box.value.withLock { $0 } }

    /// Starts the thread; none is running.
    ///
    /// - Parameters:
    ///   - includesUnread: see `ReplicaTable.fate`.
    ///   - whenStarted: called on it when the timers' walk is over, and when there is room for the last
    ///     replica that the kernel had no room for: whether it lacks room.
    func start(
        _ table: ReplicaTable, includesUnread: Bool, whenStarted: @escaping @Sendable (Bool) -> Void
    ) throws(SystemError) {
        // Two would share the replica table.
        precondition(thread == nil)
        stop.reset()
        let aftermath = try Aftermath(
            kernel, timers, windows, table, includesUnread: includesUnread,
            promotedAt: Clock.now())
        box.value.withLock { $0 = Progress() }
        thread = try Self.start(SendableBox(aftermath), stop, timers, box, whenStarted)
    }

    /// Ends the thread.
    func end() {
        guard let thread = thread.take() else { return }
        stop.stop()
        thread.join()
    }

    /// Starts the timers in the calling thread, for a limited time.
    ///
    /// - Parameter includesUnread: see `ReplicaTable.fate`.
    func walk(_ table: ReplicaTable, includesUnread: Bool, until deadline: Instant) {
        timers.finish(kernel, table, includesUnread: includesUnread, until: deadline) {
            Clock.now()
        }
    }

    private static func start(
        _ aftermath: SendableBox<Aftermath>, _ stop: StopSign, _ timers: TimerStart,
        _ box: ProgressBox, _ whenStarted: @escaping @Sendable (Bool) -> Void
    ) throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "ct_sync_timer") {
            run(aftermath.value, stop, timers, box, whenStarted)
        }
    }

    private static func run(
        _ aftermath: Aftermath, _ stop: StopSign, _ timers: TimerStart, _ box: ProgressBox,
        _ whenStarted: @Sendable (Bool) -> Void
    ) {
        let before = timers.startedCount
        while !stop.isStopped {
            let pause = aftermath.step(now: Clock.now())
            if let lacksRoom = aftermath.takeRoom() {
                whenStarted(lacksRoom)
                let started = (at: Clock.now(), count: timers.startedCount - before)
                if pause != nil { box.value.withLock { $0.timers = $0.timers ?? started } }
            }
            guard let pause else { break }
            if let seen = aftermath.windowsSeen { box.value.withLock { $0.windows = seen } }
            switch pause {
            case .none: break
            case .until(let instant): stop.sleep(until: instant)
            case .untilWoken: stop.sleep()
            }
        }
        aftermath.close()
        box.value.withLock { $0.overAt = Clock.now() }
    }
}
