// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master's kernel did not tell it, and the walks of the table that make up for it.
///
/// 1. `lost`: events were lost. The kernel reports that ahead of the events that it had queued before.
/// 2. `caughtUp`: all that was queued before has been appended; from now on a walk helps.
/// 3. `mayWalk`, `walkBegan`: it begins. Those that repair losses back off: a kernel that loses events
///    is not helped by a walk after the other.
/// 4. `hasAll`: whether what the running walk names, with the events since its begin, is all there is.
/// 5. `walkWasWhole`: the losses before its begin are repaired.
struct EventLosses: Sendable {
    /// How often events were lost.
    private(set) var count: UInt64 = 0
    /// The kernel sends no events, and cannot be made to: walks are all that the slaves hear.
    var areEventsOff = false
    /// It has no room for some that the master holds: walks prove nothing.
    var lacksRoom = false
    /// How many of the losses all that was queued before them has been appended since ...
    private var passed: UInt64 = 0
    /// ... that count when the running walk began ...
    private var atBegin: UInt64 = 0
    /// ... and when the last walk that was whole began.
    private var repaired: UInt64 = 0
    /// Whether the next walk is because events were lost, and when it may begin.
    private var isRepairDue = false
    private var repairs = Backoff()

    /// None.
    init() {}

    /// Checks that no loss is repaired before what was queued ahead of it has passed. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        if passed > count { report("\(passed) losses have passed of \(count)") }
        if atBegin > passed { report("a walk repairs \(atBegin) losses, \(passed) have passed") }
        if repaired > passed { report("\(repaired) losses are repaired, \(passed) have passed") }
    }

    /// A term begins: what was lost before is no loss to its slaves, which hear a whole walk first.
    mutating func beginTerm() {
        passed = count
        repaired = count
        areEventsOff = false
        lacksRoom = false
        isRepairDue = false
        repairs = Backoff()
    }

    /// Events were lost.
    mutating func lost() {
        count += 1
    }

    /// The kernel's table has come to hold what none of its events said, and no event is to be waited
    /// for.
    mutating func tookOver() {
        let hasPassed = passed == count
        count += 1
        if hasPassed { passed = count }
    }

    /// Every event that was queued until now has been appended.
    ///
    /// - Returns: whether a walk is wanted because events were lost before.
    mutating func caughtUp() -> Bool {
        guard passed != count else { return false }
        passed = count
        isRepairDue = true
        return true
    }

    private var isRepair: Bool { isRepairDue || areEventsOff || lacksRoom }

    /// When the next walk may begin, if it repairs losses.
    var walkDue: Instant { repairs.due }

    /// Whether a walk may begin now; the losses that it would repair are those up to here.
    mutating func mayWalk(now: Instant) -> Bool {
        guard !isRepair || repairs.isOver(now: now) else { return false }
        atBegin = passed
        return true
    }

    /// It begins.
    mutating func walkBegan(now: Instant) {
        if isRepair { repairs.began(now: now) }
        isRepairDue = false
    }

    /// Whether nothing was lost that the running walk does not name.
    var hasAll: Bool { count == atBegin && !areEventsOff }

    /// The walk has named all of the table.
    mutating func walkWasWhole() {
        repaired = atBegin
    }

    /// Whether a walk that was whole has repaired all losses.
    var areRepaired: Bool { repaired == count && !areEventsOff }
}
