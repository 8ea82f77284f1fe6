// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Whether all of an initsync came, and whether what it left out is believed.
@Suite struct ReceivedInitsyncTests {
    private static let patience = ReceivedInitsync.emptinessPatience

    private static func bracket(_ number: UInt32) -> Bracket { Bracket(number: number) }

    @Test func onlyTheEndOfTheOneThatBeganCounts() {
        var initsync = ReceivedInitsync()
        #expect(initsync.end(Self.bracket(1)) == nil)
        #expect(initsync.begin(Self.bracket(2), isHandover: false, now: 5) == true)
        #expect(initsync.end(Self.bracket(1)) == nil && initsync.isRunning)
        #expect(initsync.end(Self.bracket(2)) == true && !initsync.isRunning)
        #expect(initsync.end(Self.bracket(2)) == nil)
    }

    @Test func aLossSpoilsTheOneThatRunsAndNoOther() {
        var initsync = ReceivedInitsync()
        initsync.broke()
        #expect(initsync.begin(Self.bracket(1), isHandover: false, now: 5) == true)
        #expect(initsync.end(Self.bracket(1)) == true)
        #expect(initsync.begin(Self.bracket(2), isHandover: false, now: 5) == true)
        initsync.broke()
        #expect(initsync.end(Self.bracket(2)) == false)
    }

    @Test func aHandoverHasManyBeginsAndOneEnd() {
        var initsync = ReceivedInitsync()
        #expect(initsync.begin(Self.bracket(1), isHandover: true, now: 5) == true)
        initsync.broke()
        #expect(initsync.begin(Self.bracket(1), isHandover: true, now: 6) == false)
        #expect(initsync.end(Self.bracket(1)) == false)
        // An initsync that is begun twice is two.
        #expect(initsync.begin(Self.bracket(3), isHandover: false, now: 5) == true)
        initsync.broke()
        #expect(initsync.begin(Self.bracket(3), isHandover: false, now: 6) == true)
        #expect(initsync.end(Self.bracket(3)) == true)
    }

    @Test func copiesAreCountedWhileItRuns() {
        var initsync = ReceivedInitsync()
        initsync.tookCopy()
        #expect(initsync.progress.count == 0)
        _ = initsync.begin(Self.bracket(1), isHandover: false, now: 5)
        initsync.tookCopy()
        #expect(initsync.progress.count == 1 && initsync.progress.beganAt == 5)
        _ = initsync.end(Self.bracket(1))
        initsync.tookCopy()
        #expect(initsync.progress.count == 1 && !initsync.progress.isRunning)
    }

    @Test func whatDidNotFitIsForgottenWithTheNextBegin() {
        var initsync = ReceivedInitsync()
        initsync.tableWasFull()
        initsync.expectationTableWasFull()
        #expect(initsync.foundTableFull && initsync.foundExpectationTableFull)
        _ = initsync.begin(Self.bracket(1), isHandover: false, now: 5)
        #expect(!initsync.foundTableFull && !initsync.foundExpectationTableFull)
    }

    /// Ten seconds after the master had something, an initsync without anything is believed.
    @Test func anEmptyOneIsUnlikelyForAWhile() {
        var initsync = ReceivedInitsync()
        #expect(!initsync.isUnlikelyEmpty(now: 1))
        initsync.heardOfEntry(now: 5)
        #expect(initsync.isUnlikelyEmpty(now: 5 + Self.patience - 1))
        #expect(!initsync.isUnlikelyEmpty(now: 5 + Self.patience))
        // An announcement of connections says so only if the last initsync had any.
        initsync.announced(entryCount: 3, at: 9)
        #expect(!initsync.isUnlikelyEmpty(now: 5 + Self.patience))
        _ = initsync.begin(Self.bracket(1), isHandover: false, now: 9)
        initsync.tookCopy()
        #expect(!initsync.isUnlikelyEmpty(now: 9))
        _ = initsync.end(Self.bracket(1))
        initsync.wasBelieved()
        initsync.announced(entryCount: 0, at: 20)
        initsync.announced(entryCount: 3, at: 10)
        _ = initsync.begin(Self.bracket(2), isHandover: false, now: 10)
        #expect(initsync.isUnlikelyEmpty(now: 10 + Self.patience - 1))
        #expect(!initsync.isUnlikelyEmpty(now: 10 + Self.patience))
    }
}
