// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The event listener's pause: none for a few events, the longest under load, none after idleness.
@Suite struct EventPaceTests {
    private var pace = EventPace()
    private var now: Instant = 77 * Duration.second

    /// Looks after some microseconds and has found so many events; the pause in microseconds, nil for
    /// none.
    private mutating func look(after microseconds: UInt64, events: UInt64) -> UInt64? {
        now += microseconds * Duration.microsecond
        switch pace.looked(events: events, now: now) {
        case .until(let instant): return (instant - now) / Duration.microsecond
        case .untilWoken: return nil
        case .none:
            Issue.record("it would look again at once")
            return nil
        }
    }

    /// Events at a steady rate, each look as soon as the pause before it is over; the last pause.
    private mutating func load(perSecond rate: UInt64, milliseconds: UInt64) -> UInt64? {
        var last: UInt64?
        let each = 1_000_000 / rate
        let end = now + milliseconds * Duration.millisecond
        while now < end {
            let elapsed = max(last ?? 0, each)
            last = look(after: elapsed, events: elapsed / each)
        }
        return last
    }

    @Test mutating func theEventsOfOneConnectionAreNotHeldBack() {
        for _ in 0..<100 {
            for event in 0..<8 { #expect(look(after: event == 0 ? 50_000 : 40, events: 1) == nil) }
        }
    }

    @Test mutating func underLoadItIsTheLongest() {
        #expect(load(perSecond: 20_000, milliseconds: 50) == 1_000)
        #expect(load(perSecond: 140_000, milliseconds: 50) == 1_000)
        #expect(load(perSecond: 5_000, milliseconds: 50) == 1_000)
        #expect(EventPace.longest <= 1 * Duration.millisecond)
    }

    @Test mutating func itFollowsTheLoad() throws {
        #expect(load(perSecond: 500, milliseconds: 100) == nil)
        let middle = try #require(load(perSecond: 2_000, milliseconds: 100))
        #expect((200..<900).contains(middle), "\(middle)")
    }

    @Test mutating func afterIdlenessThereIsNone() {
        _ = load(perSecond: 20_000, milliseconds: 50)
        // Nothing came in the pause: the next event is not to wait.
        #expect(look(after: 1_000, events: 0) == nil)
        #expect(look(after: 8_000, events: 1) == nil)
        // A burst is taken at one look, whatever its size, and forgotten as soon.
        #expect(look(after: 8_000, events: 100_000) == 1_000)
        #expect(look(after: 8_000, events: 3) == nil)
    }

    @Test mutating func aClockThatStandsOrGoesBackDoesNoHarm() {
        for _ in 0..<1_000 { #expect((look(after: 0, events: 1) ?? 0) <= 1_000) }
        now -= Duration.second
        #expect((look(after: 0, events: 1) ?? 0) <= 1_000)
    }
}
