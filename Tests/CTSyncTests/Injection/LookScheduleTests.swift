// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct LookScheduleTests {
    @Test func theLooksAreOneAfterTheOtherAndEnd() {
        let event = 5 * Duration.second
        var schedule = LookSchedule([500, 2_000, 6_000], after: event)
        var instants: [Instant] = []
        var last: [Bool] = []
        while let next = schedule.next {
            instants.append(next - event)
            last.append(schedule.isLast)
            schedule.began()
        }
        #expect(instants == [500, 2_000, 6_000].map { $0 * Duration.millisecond })
        #expect(last == [false, false, true])
        schedule.began()
        #expect(schedule.next == nil)
        #expect(LookSchedule([], after: event).next == nil)
    }
}
