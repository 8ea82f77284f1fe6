// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// The slave's small state machines, as tables.
@Suite struct SlaveTimersTests {
    private static let millisecond = Duration.millisecond

    /// In a class, as the testing macros want what they look at unchanged.
    private final class Request {
        private var request = InitsyncRequest()

        var deadline: Instant? { request.deadline }
        func want(at instant: Instant) -> Bool { request.want(at: instant) }
        func begun() { request.begun() }
        func sent(now: Instant) { request.sent(now: now) }
    }

    @Test func nacksBeginSoonAndGrowRare() {
        var timer = GapTimer()
        timer.update(hasGap: false, expected: 1, now: 0)
        #expect(timer.deadline == nil)
        timer.update(hasGap: true, expected: 5, now: 100 * Self.millisecond)
        #expect(timer.deadline == 102 * Self.millisecond)
        var now = 102 * Self.millisecond
        for interval in [10, 20, 40, 80, 160, 320, 320, 320] as [UInt64] {
            timer.nackSent(now: now)
            #expect(timer.deadline == now + interval * Self.millisecond)
            timer.update(hasGap: true, expected: 5, now: now + 1)
            #expect(timer.deadline == now + interval * Self.millisecond)
            now += interval * Self.millisecond
        }
        // Progress brings the next one near.
        timer.nackSent(now: now)
        timer.update(hasGap: true, expected: 6, now: now)
        #expect(timer.deadline == now + GapTimer.shortest)
        timer.nackSent(now: now)
        #expect(timer.deadline == now + GapTimer.shortest)
        timer.update(hasGap: false, expected: 9, now: now)
        #expect(timer.deadline == nil)
    }

    @Test func anInitsyncIsAskedForAgainAndAgain() {
        let request = Request()
        #expect(request.deadline == nil)
        #expect(request.want(at: 50))
        #expect(!request.want(at: 70))
        #expect(request.deadline == 50)
        var now: Instant = 50
        for interval in [200, 400, 800, 1_600, 3_200, 3_200] as [UInt64] {
            request.sent(now: now)
            #expect(request.deadline == now + interval * Self.millisecond)
            now += interval * Self.millisecond
            // Asking does not become more frequent by wanting it more.
            #expect(!request.want(at: now - 1))
            #expect(request.deadline == now)
        }
        request.begun()
        #expect(request.deadline == nil)
        #expect(request.want(at: now))
        request.sent(now: now)
        #expect(request.deadline == now + InitsyncRequest.shortest)
    }

    @Test func aRequestPutOffIsBroughtForward() {
        let request = Request()
        #expect(request.want(at: 1_000))
        #expect(!request.want(at: 10))
        #expect(request.deadline == 10)
    }

    @Test(arguments: [
        (InjectOperation.create, EEXIST, 0, InjectRemedy.update),
        (.create, EEXIST, 2, .update), (.create, EEXIST, 3, .refused),
        (.create, ENOENT, 0, .create), (.create, ENOENT, 3, .refused),
        (.create, ENOMEM, 0, .refused), (.create, EINVAL, 0, .refused),
        (.update, ENOENT, 0, .create), (.update, ENOENT, 3, .refused),
        (.update, EBUSY, 0, .recreate), (.update, EOPNOTSUPP, 1, .recreate),
        (.update, EBUSY, 3, .refused), (.update, ENOMEM, 0, .refused),
        (.delete, ENOENT, 0, .ignored), (.delete, EBUSY, 0, .refused),
    ])
    func everyRefusalHasARemedy(
        _ operation: InjectOperation, _ errno: CInt, _ attempts: Int, _ remedy: InjectRemedy
    ) {
        #expect(InjectRemedy(operation, errno, attempts: attempts) == remedy)
    }
}
