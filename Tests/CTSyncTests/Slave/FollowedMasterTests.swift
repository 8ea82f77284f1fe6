// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Whom a slave follows, and the small clocks of what it tells.
@Suite struct FollowedMasterTests {
    private static let claim = MasterClaim(epoch: 7, nodeID: 3)

    private static func peer(_ address: UInt32, _ link: UInt8 = 0) -> PeerAddress {
        PeerAddress(address: Address(ipv4: address), family: .ipv4, port: 1, link: link)
    }

    private static func followed() -> FollowedMaster {
        var master = FollowedMaster()
        master.follow(claim)
        master.heard(peer(1), now: 100, wallMicroseconds: 90, clockMicroseconds: 100)
        return master
    }

    @Test func whereItIsIsForgottenWithItsClaim() {
        var master = Self.followed()
        #expect(master.claim == Self.claim && master.address == Self.peer(1))
        #expect(master.lagMicroseconds == -10 && master.lastHeard == 100)
        master.follow(MasterClaim(epoch: 8, nodeID: 1))
        #expect(master.address == nil && master.paths.address(0) == nil)
        // When anybody was heard last is not.
        #expect(master.lastHeard == 100)
        #expect(!master.isSilent(now: 100 + SlaveProtocol.silence))
        #expect(master.isSilent(now: 101 + SlaveProtocol.silence))
    }

    @Test func aDonorIsKnownByAllItsLinksBeforeItIsHeard() {
        var master = FollowedMaster()
        master.follow(Self.claim)
        master.found(at: Self.peer(1), others: [Self.peer(2, 1)], now: 5)
        #expect(master.address == Self.peer(1) && master.lastHeard == 5)
        #expect(master.paths.address(1) == Self.peer(2, 1))
    }

    /// Another node with its id, on the same link, while it is heard itself.
    @Test func aRivalHasItsIDAndAnotherAddress() {
        let master = Self.followed()
        #expect(master.isRival(3, at: Self.peer(2), now: 101))
        #expect(!master.isRival(4, at: Self.peer(2), now: 101))
        #expect(!master.isRival(3, at: Self.peer(1), now: 101))
        #expect(!master.isRival(3, at: Self.peer(2, 1), now: 101))
        #expect(!master.isRival(3, at: Self.peer(2), now: 101 + SlaveProtocol.silence))
        #expect(!FollowedMaster().isRival(0, at: Self.peer(2), now: 0))
    }

    @Test func lowerClaimsAreAnsweredTenTimesASecondAtMost() {
        var answer = ClaimAnswer()
        #expect(!answer.isDue && answer.take(now: 0) == nil)
        let begin = 1 * Duration.second
        answer.heard(Self.peer(1), now: begin)
        answer.heard(Self.peer(2), now: begin)
        #expect(answer.isDue && answer.take(now: begin) == Self.peer(2))
        answer.heard(Self.peer(1), now: begin + ClaimAnswer.interval - 1)
        #expect(!answer.isDue)
        answer.heard(Self.peer(1), now: begin + ClaimAnswer.interval)
        #expect(answer.isDue)
        answer.forget()
        #expect(answer.take(now: begin + ClaimAnswer.interval) == nil)
    }

    @Test func reportsAreDueEachSecondAndOftenerWhileAnInitsyncRuns() {
        var reports = ReportTimer()
        reports.sent(100, now: 50)
        func due(at expected: UInt64, isWalking: Bool) -> Instant {
            reports.due(at: expected, isWalking: isWalking)
        }
        #expect(due(at: 200, isWalking: false) == 50 + ReportTimer.interval)
        let last = 99 + ReportTimer.walkPackets
        #expect(due(at: last, isWalking: true) == 50 + ReportTimer.walkInterval)
        #expect(due(at: last + 1, isWalking: true) == 0)
        reports.soon(now: 60)
        #expect(due(at: 100, isWalking: false) == 60 && due(at: 100, isWalking: true) == 60)
        #expect(reports.takeHello(now: 70) && !reports.takeHello(now: 71))
        #expect(reports.takeHello(now: 70 + ReportTimer.interval) == true)
    }
}
