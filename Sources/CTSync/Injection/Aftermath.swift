// SPDX-License-Identifier: GPL-2.0-or-later

/// What follows a promotion in the background: the replicas' timers start, then connections that
/// stall are looked for, and those are made that there was no room for.
///
/// Thread: `ct_sync_timer`, which owns the replica table until it is closed.
final class Aftermath {
    private enum Stage {
        case timers(TimerStart.Walk)
        case timersAgain(at: Instant)
        case windows(WindowMender.Looks)
        case done
    }

    private let kernel: any KernelTable
    private let timers: TimerStart
    private let windows: WindowMender
    private let table: ReplicaTable
    private let includesUnread: Bool
    private let promotedAt: Instant
    /// What the kernel has refused, and what it was asked for in batches that failed: asked for again, once the
    /// timers have started.
    private var unmade: UnmadeReplicas?
    /// How long after a walk that failed the next one begins.
    private static let retryPause = 1 * Duration.second
    private var stage: Stage
    /// Whether the timers' walk is over: the kernel's timeouts are the connections' own.
    private(set) var haveTimersStarted = false

    /// Whether the kernel has no room for some of the replicas.
    var lacksRoom: Bool { unmade?.due != nil }
    /// What the master was told of that last.
    private var toldRoom: Bool?

    /// What the master is to be told after a step, if it was not told yet: that the timers run, and whether the
    /// kernel lacks room. As long as they do not run it is told nothing, as a walk would tell the slaves of
    /// long timeouts.
    func takeRoom() -> Bool? {
        guard haveTimersStarted, toldRoom != lacksRoom else { return nil }
        toldRoom = lacksRoom
        return lacksRoom
    }

    /// Begins what follows a promotion.
    ///
    /// - Parameter includesUnread: see `ReplicaTable.fate`.
    /// - Throws: `SystemError` if a socket cannot be had.
    init(
        _ kernel: any KernelTable, _ timers: TimerStart, _ windows: WindowMender,
        _ table: ReplicaTable, includesUnread: Bool, promotedAt: Instant
    ) throws(SystemError) {
        self.kernel = kernel
        self.timers = timers
        self.windows = windows
        self.table = table
        self.includesUnread = includesUnread
        self.promotedAt = promotedAt
        stage = .timers(try timers.open(kernel, includesUnread: includesUnread))
    }

    /// When the replicas' windows were first known, and how many; nil before.
    var windowsSeen: (at: Instant, count: Int)? {
        if case .windows(let looks) = stage { looks.seen } else { nil }
    }

    /// Checks that nothing follows the start of the timers before it. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        switch stage {
        case .timers, .timersAgain:
            if haveTimersStarted { report("the timers are started again") }
        case .windows: if !haveTimersStarted { report("windows before the timers") }
        case .done: break
        }
        guard !haveTimersStarted else { return }
        if unmade != nil { report("replicas are asked for before the timers run") }
        if toldRoom != nil { report("the master was told before the timers run") }
    }

    /// Does the next piece; nil when nothing is left to do.
    func step(now: Instant) -> Pause? {
        makeRest(now)
        let pause = goOn(now)
        guard let due = unmade?.due else { return pause }
        return pause?.sooner(.until(due)) ?? .until(due)
    }

    private func makeRest(_ now: Instant) {
        do throws(SystemError) {
            try unmade?.step(table, now: now)
        } catch {
            timers.failed()
        }
    }

    private func goOn(_ now: Instant) -> Pause? {
        do throws(SystemError) {
            switch stage {
            case .timers(let walk):
                if try timers.step(walk, table, now: now) { return Pause.none }
                if table.refusedCount > 0 || table.isDirty {
                    unmade = try UnmadeReplicas(kernel, now: now)
                    makeRest(now)
                }
                return lookAfter()
            case .timersAgain(let instant):
                guard now >= instant else { return .until(instant) }
                stage = .timers(try timers.open(kernel, includesUnread: includesUnread))
                return Pause.none
            case .windows(let looks):
                if let pause = try windows.step(looks, table, now: now) { return pause }
                stage = .done
                return nil
            case .done: return nil
            }
        } catch {
            timers.failed()
            if case .windows = stage {
                stage = .done
                return nil
            }
            stage = .timersAgain(at: now + Self.retryPause)
            return .until(now + Self.retryPause)
        }
    }

    private func lookAfter() -> Pause? {
        haveTimersStarted = true
        guard table.aliveCount > 0 else {
            stage = .done
            return nil
        }
        do throws(SystemError) {
            stage = .windows(try windows.open(kernel, table, promotedAt: promotedAt))
            return Pause.none
        } catch {
            timers.failed()
            stage = .done
            return nil
        }
    }

    /// Leaves the replica table alone.
    func close() {
        if case .windows(let looks) = stage { windows.close(looks) }
        stage = .done
    }
}
