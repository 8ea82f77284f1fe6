// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What the journal says of a flush, look by look.
@Suite struct FlushWatchTests {
    private static let now: Instant = 100 * Duration.second
    private static let held =
        "flush held: 10 entries of wan0, until 30 s from now: the slaves keep them meanwhile"

    private static func status(_ count: UInt64, of total: UInt64) -> FlushHold.Status {
        FlushHold.Status(
            count: count, devices: count > 0 ? ["wan0"] : [], until: now + 30 * Duration.second,
            total: total)
    }

    /// The looks come in the middle of it: the number is the last one.
    @Test func aFlushIsToldWhenAllOfItIsHeld() {
        var watch = FlushWatch()
        #expect(watch.look(Self.status(0, of: 0), isMaster: true, now: Self.now).isEmpty)
        for count in [3, 7, 10] as [UInt64] {
            #expect(watch.look(Self.status(count, of: count), isMaster: true, now: Self.now) == [])
        }
        let told = watch.look(Self.status(10, of: 10), isMaster: true, now: Self.now)
        #expect(told == [Self.held])
        #expect(watch.look(Self.status(10, of: 10), isMaster: true, now: Self.now) == [])
        let over = watch.look(Self.status(0, of: 10), isMaster: true, now: Self.now)
        let words = "this node is still master: the slaves purge them"
        #expect(over == ["flush over: 10 entries were held; \(words)"])
        #expect(watch.look(Self.status(0, of: 10), isMaster: true, now: Self.now) == [])
        // The next one counts from there.
        #expect(watch.look(Self.status(4, of: 14), isMaster: true, now: Self.now) == [])
        let next = watch.look(Self.status(4, of: 14), isMaster: true, now: Self.now)
        #expect(next.count == 1 && next[0].hasPrefix("flush held: 4 entries of wan0"))
    }

    @Test func oneThatDoesNotEndIsToldAllTheSame() {
        var watch = FlushWatch()
        let looks = (1...10).map { number in
            watch.look(Self.status(number, of: number), isMaster: true, now: Self.now)
        }
        #expect(looks.filter { !$0.isEmpty }.count == 1 && !looks[4].isEmpty)
    }

    /// After a demotion nothing more is held.
    @Test func aDemotionTellsBoth() {
        var watch = FlushWatch()
        let told = watch.look(Self.status(10, of: 10), isMaster: false, now: Self.now)
        #expect(told == [Self.held, "flush over: 10 entries were held; another node is master"])
        #expect(watch.look(Self.status(10, of: 10), isMaster: false, now: Self.now) == [])
        #expect(watch.look(Self.status(10, of: 10), isMaster: true, now: Self.now) == [])
    }

    /// One whose grace is shorter than the time between two looks.
    @Test func oneThatIsOverAlready() {
        var watch = FlushWatch()
        let over = watch.look(Self.status(0, of: 10), isMaster: true, now: Self.now)
        #expect(over.count == 1 && over[0].hasPrefix("flush over: 10 entries were held"))
    }
}
