// SPDX-License-Identifier: GPL-2.0-or-later

/// When the master walks its table for the slaves, and for whom a walk that runs is good enough.
///
/// A request names the next packet its slave expects. One whose begin the slave has yet to see will
/// serve it; otherwise another walk follows. Events lost at the master call for a walk that begins
/// after the loss. After a promotion all wait until the timers of the replicas run: before that the
/// kernel's timeouts are a standby's long ones, which no slave must take for the connections' own.
struct InitsyncSchedule {
    /// How many walks have begun, the running one included.
    private(set) var number: UInt32 = 0
    /// Whether one is running.
    private(set) var isRunning = false
    /// Whether one is to begin when none runs.
    private(set) var isWanted = false
    /// Whether none is to begin yet.
    var isPostponed = false
    /// The sequence number of the last begin; 0 before the first.
    private var lastBegin: UInt64 = 0

    /// Checks that nothing is said of a walk before one has begun. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        guard number == 0 else { return }
        if isRunning { report("a walk runs, and none has begun") }
        if lastBegin != 0 { report("\(lastBegin) has the begin of a walk, and none has begun") }
    }

    /// Takes a slave's request.
    ///
    /// - Parameter expected: the next packet it expects.
    /// - Returns: whether a walk is to begin or to follow because of it.
    mutating func request(expected: UInt64) -> Bool {
        if lastBegin != 0, expected <= lastBegin { return false }
        let isNew = !isWanted
        isWanted = true
        return isNew
    }

    /// Takes an operator's request, or one because events were lost.
    mutating func require() {
        isWanted = true
    }

    /// Takes up the next walk, if one is wanted and none runs.
    ///
    /// - Returns: its number.
    mutating func begin() -> UInt32? {
        guard isWanted, !isRunning, !isPostponed else { return nil }
        isWanted = false
        isRunning = true
        number &+= 1
        return number
    }

    /// Records the packet that the begin is in.
    mutating func began(in sequence: UInt64) {
        lastBegin = sequence
    }

    /// Records that the walk is over.
    mutating func ended() {
        isRunning = false
    }
}
