// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// From lost events to the walk that repairs them.
@Suite struct EventLossesTests {
    private static let begin = 10 * Duration.second

    /// A walk that begins now and is whole.
    private static func walk(_ losses: inout EventLosses, now: Instant = begin) -> Bool {
        guard losses.mayWalk(now: now) else { return false }
        losses.walkBegan(now: now)
        losses.walkWasWhole()
        return true
    }

    @Test func aLossIsRepairedByAWalkThatBeginsAfterWhatWasQueuedBefore() {
        var losses = EventLosses()
        #expect(losses.areRepaired && losses.hasAll && !losses.caughtUp())
        losses.lost()
        #expect(!losses.areRepaired && losses.count == 1)
        // One that begins before that does not repair it.
        #expect(Self.walk(&losses))
        #expect(!losses.hasAll && !losses.areRepaired)
        #expect(losses.caughtUp() && !losses.caughtUp())
        #expect(Self.walk(&losses))
        #expect(losses.hasAll && losses.areRepaired)
    }

    @Test func aLossDuringTheWalkCallsForAnother() {
        var losses = EventLosses()
        losses.lost()
        #expect(losses.caughtUp() && losses.mayWalk(now: Self.begin))
        losses.walkBegan(now: Self.begin)
        #expect(losses.hasAll)
        losses.lost()
        #expect(!losses.hasAll)
        losses.walkWasWhole()
        #expect(!losses.areRepaired)
    }

    @Test func repairsBackOffAndOtherWalksDoNot() {
        var losses = EventLosses()
        #expect(Self.walk(&losses) && Self.walk(&losses))
        losses.lost()
        #expect(losses.caughtUp() && Self.walk(&losses))
        losses.lost()
        #expect(losses.caughtUp() && !Self.walk(&losses))
        #expect(losses.walkDue == Self.begin + Backoff.shortest)
        #expect(Self.walk(&losses, now: losses.walkDue))
        // Without events every walk is a repair.
        losses.areEventsOff = true
        #expect(!Self.walk(&losses, now: Self.begin + Backoff.shortest) && !losses.areRepaired)
    }

    /// Events are off since a moment ago, and nobody has looked since: what the kernel has is later than all that
    /// was said.
    @Test func whatIsLostJustBeforeTheEndOfATermIsFound() throws {
        let master = try ListeningMaster()
        _ = master.drain()
        master.kernel.eventsSetting = 0
        let tuple = SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53)
        _ = master.kernel.table.insert(SampleEntries.entry(tuple), seconds: 30, .traffic)
        _ = master.intake.drain(master.term, now: master.now, isLast: true)
        let word = Basis(epoch: 100, sequence: master.ring.lastClosed + 1)
        #expect(master.exchange.finalHolding.latest == word)
        #expect(master.kernel.eventsSetting == 1)
    }

    /// What is taken over from another node is in no event; there is none to wait for.
    @Test func whatIsTakenOverIsALossOfItsOwnKind() {
        var losses = EventLosses()
        losses.tookOver()
        #expect(!losses.areRepaired && !losses.caughtUp())
        #expect(Self.walk(&losses) && losses.areRepaired)
        losses.lost()
        losses.tookOver()
        #expect(losses.caughtUp() == true)
    }

    @Test func aTermBeginsWithoutLosses() {
        var losses = EventLosses()
        losses.lost()
        losses.areEventsOff = true
        losses.beginTerm()
        #expect(losses.areRepaired && !losses.caughtUp() && losses.count == 1)
        #expect(losses.walkDue == 0)
    }
}
