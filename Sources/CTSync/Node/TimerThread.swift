// SPDX-License-Identifier: GPL-2.0-or-later

/// The thread of what follows a promotion.
///
/// Thread: `ct_sync_timer`, until nothing is left to do or it is stopped. It owns the replica table
/// meanwhile.
final class TimerThread {
    let timers = TimerStart()
    let windows = WindowMender()
    private let kernel: any KernelTable
    private let stop: StopSign
    private var thread: WorkerThread?

    init(_ kernel: any KernelTable) throws(SystemError) {
        self.kernel = kernel
        stop = try StopSign()
    }

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - includesUnread: see `ReplicaTable.remainingTime`.
    ///   - whenStarted: called on it when the timers' walk is over.
    func start(
        _ table: ReplicaTable, includesUnread: Bool, whenStarted: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        stop.reset()
        let aftermath = try Aftermath(
            kernel, timers, windows, table, includesUnread: includesUnread,
            promotedAt: Clock.now())
        thread = try Self.start(SendableBox(aftermath), stop, whenStarted)
    }

    /// Ends the thread.
    func end() {
        guard let thread = thread.take() else { return }
        stop.stop()
        thread.join()
    }

    /// Starts the timers in the calling thread, for a limited time.
    ///
    /// - Parameter includesUnread: see `ReplicaTable.remainingTime`.
    func walk(_ table: ReplicaTable, includesUnread: Bool, until deadline: Instant) {
        timers.finish(kernel, table, includesUnread: includesUnread, until: deadline) {
            Clock.now()
        }
    }

    private static func start(
        _ aftermath: SendableBox<Aftermath>, _ stop: StopSign,
        _ whenStarted: @escaping @Sendable () -> Void
    ) throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "ct_sync_timer") { run(aftermath.value, stop, whenStarted) }
    }

    private static func run(
        _ aftermath: Aftermath, _ stop: StopSign, _ whenStarted: @Sendable () -> Void
    ) {
        var haveStarted = false
        while !stop.isStopped, let pause = aftermath.step(now: Clock.now()) {
            if aftermath.haveTimersStarted, !haveStarted {
                haveStarted = true
                whenStarted()
            }
            switch pause {
            case .none: break
            case .until(let instant): stop.sleep(until: instant)
            case .untilWoken: stop.sleep()
            }
        }
        aftermath.close()
        if !haveStarted { whenStarted() }
    }
}
