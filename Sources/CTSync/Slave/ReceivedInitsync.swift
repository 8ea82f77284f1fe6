// SPDX-License-Identifier: GPL-2.0-or-later

/// The initsync that a slave receives, from its begin to its end: whether all of it came, and whether
/// what it left out can be believed.
struct ReceivedInitsync {
    /// For how long after a master had something its empty initsync is not believed.
    static let emptinessPatience = 10 * Duration.second

    /// How it gets on, or how the last one ended.
    private(set) var progress = InitsyncProgress()
    /// Whether the replica table was full, or that of the expectations, since one began.
    private(set) var foundTableFull = false
    private(set) var foundExpectationTableFull = false
    /// The number of the one that runs.
    private var number: UInt32?
    /// Whether packets were lost since it began.
    private var isBroken = false
    /// When the stream's master was last heard to have anything, and whether its last complete
    /// initsync had.
    private var heldAt: Instant = 0
    private var hadCopies = false

    /// None has begun.
    init() {}

    /// Whether one has begun and not ended.
    var isRunning: Bool { number != nil }

    /// Checks that what people are told is what is. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        guard progress.isRunning != isRunning else { return }
        report("an initsync \(isRunning ? "runs" : "does not run"), and is told to be otherwise")
    }

    /// A begin was received.
    ///
    /// - Parameter isHandover: whether one that runs may be begun again: a donor of an earlier version has a
    ///   begin before each word.
    /// - Returns: whether another one begins.
    mutating func begin(_ bracket: Bracket, isHandover: Bool, now: Instant) -> Bool {
        guard !isHandover || number != bracket.number else { return false }
        progress = InitsyncProgress(isRunning: true, beganAt: now)
        number = bracket.number
        isBroken = false
        foundTableFull = false
        foundExpectationTableFull = false
        return true
    }

    /// A copy of the master's table was received.
    mutating func tookCopy() {
        if isRunning { progress.count += 1 }
    }

    /// Packets were lost.
    mutating func broke() {
        isBroken = true
    }

    /// The replica table had no place.
    mutating func tableWasFull() {
        foundTableFull = true
    }

    /// The table of expectations had no place.
    mutating func expectationTableWasFull() {
        foundExpectationTableFull = true
    }

    /// An end was received.
    ///
    /// - Returns: whether all of it came since its begin; nil if the begin was not received.
    mutating func end(_ bracket: Bracket) -> Bool? {
        guard number == bracket.number else { return nil }
        number = nil
        progress.isRunning = false
        return !isBroken
    }

    /// The one that has ended is believed.
    mutating func wasBelieved() {
        hadCopies = progress.count > 0
    }

    /// The master was heard to have a connection.
    mutating func heardOfEntry(now: Instant) {
        heldAt = now
    }

    /// The master has announced how many connections it has.
    mutating func announced(entryCount: UInt32, at instant: Instant) {
        if hadCopies, entryCount > 0 { heldAt = instant }
    }

    /// Whether the one that has ended named nothing, and its master had something a moment ago.
    func isUnlikelyEmpty(now: Instant) -> Bool {
        progress.count == 0 && heldAt != 0 && now < heldAt + Self.emptinessPatience
    }
}
