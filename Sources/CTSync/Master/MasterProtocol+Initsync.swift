// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What the initsync thread and the event listener tell and ask a master's protocol.
extension MasterProtocol {
    /// Asks for a walk of the table that begins after now.
    func requireInitsync() {
        slaves.withLock { $0.schedule.require() }
    }

    /// Records that events were lost: until the walk that this calls for has begun, every packet
    /// says that no slave is in sync.
    ///
    /// The walk is not wanted before `caughtUp`. The kernel reports a loss ahead of the events that it
    /// had queued before; an old update of a connection whose end was lost would, sent after the begin
    /// of a walk, speak for a connection that is not there.
    func lostEvents() {
        slaves.withLock { slaves in
            slaves.losses.lost()
            ring.setIncomplete(true)
        }
    }

    /// Records that every event that was queued until now has been appended.
    ///
    /// - Returns: whether a walk is wanted because events were lost before.
    func caughtUp() -> Bool {
        slaves.withLock { slaves in
            guard slaves.losses.caughtUp() else { return false }
            slaves.schedule.require()
            return true
        }
    }

    /// Whether the kernel sends no events and cannot be made to: as long as that is so, every packet
    /// says that no slave is in sync, and walks are all that the slaves hear.
    var areEventsOff: Bool {
        get { slaves.withLock { $0.losses.areEventsOff } }
        set {
            slaves.withLock { slaves in
                slaves.losses.areEventsOff = newValue
                if newValue { ring.setIncomplete(true) }
            }
        }
    }

    /// How often events were lost.
    var losses: UInt64 { slaves.withLock { $0.losses.count } }

    /// Records that the kernel's timeouts are the connections' own.
    ///
    /// - Parameter lacksRoom: whether it has no room for some that this node holds; walks prove nothing
    ///   until this is called again, when it has. Then one more is wanted.
    func timersRun(lacksRoom: Bool = false) {
        slaves.withLock { slaves in
            slaves.schedule.isPostponed = false
            if slaves.losses.lacksRoom, !lacksRoom { slaves.schedule.require() }
            slaves.losses.lacksRoom = lacksRoom
        }
    }

    /// Whether the kernel has no room for some that this node holds.
    var lacksRoom: Bool { slaves.withLock { $0.losses.lacksRoom } }

    /// Takes up the next walk, if one is wanted. Those that repair lost events back off: a kernel that
    /// loses events is not helped by a walk after the other.
    ///
    /// - Returns: its number.
    func beginInitsync(now: Instant) -> UInt32? {
        slaves.withLock { slaves in
            guard slaves.losses.mayWalk(now: now), let number = slaves.schedule.begin() else {
                return nil
            }
            slaves.losses.walkBegan(now: now)
            return number
        }
    }

    /// When a walk that is wanted, and waits because of those before, may begin.
    var repairDue: Instant? {
        slaves.withLock { slaves in
            let waits = slaves.schedule.isWanted && !slaves.schedule.isPostponed
            return waits && !slaves.schedule.isRunning ? slaves.losses.walkDue : nil
        }
    }

    /// Records the packet that its begin is in.
    func initsyncBegan(in sequence: UInt64) {
        slaves.withLock { slaves in
            slaves.schedule.began(in: sequence)
            if slaves.losses.hasAll { ring.setIncomplete(false) }
        }
    }

    /// Records that it is over.
    ///
    /// - Parameter isWhole: whether all of the table was said.
    func initsyncEnded(isWhole: Bool) {
        slaves.withLock { slaves in
            slaves.schedule.ended()
            if isWhole { slaves.losses.walkWasWhole() }
        }
    }

    /// How many walks have begun, and whether one is running or wanted.
    var initsyncs: (begun: UInt32, isRunning: Bool) {
        slaves.withLock { ($0.schedule.number, $0.schedule.isRunning || $0.schedule.isWanted) }
    }

    /// Whether a walk runs now.
    var isWalking: Bool { slaves.withLock { $0.schedule.isRunning } }

    /// How many packets a walk may be ahead of what the slowest slave has applied: what is live
    /// waits until those are read, and a promotion until they are applied.
    var window: UInt64 { min(UInt64(ring.slotCount / 4), Self.largestWindow) }
    private static let largestWindow: UInt64 = 64

    /// A slave that has applied nothing for so long takes no part in a walk: it will ask for another.
    static let walkPatience = 1 * Duration.second

    /// Whether a walk may go on: it is not too far ahead of any slave that takes part in it.
    func mayWalk(now: Instant) -> Bool {
        slaves.withLock { slaves in
            let last = ring.lastClosed
            let slowest = slaves.peers.slowest(
                of: last, from: ring.oldestWanted, since: Self.walkPatience, now: now)
            return slowest.map { last <= $0 || last - $0 <= window } ?? true
        }
    }

    /// Whether a node that was heard says that it has applied every packet: not if some were given up meanwhile,
    /// which it then asks to have told again.
    var areAllApplied: Bool {
        slaves.withLock { slaves in
            var isOne = false
            slaves.peers.visit { _, peer in if peer.applied >= ring.lastClosed { isOne = true } }
            return isOne
        }
    }
}
