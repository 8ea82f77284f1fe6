// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a slave says that it holds, as its streams come and go.
@Suite struct HoldingBookTests {
    private static let old = Basis(epoch: 3, sequence: 9)
    private static let here = Basis(epoch: 5, sequence: 20)

    /// A node that has held all of an older epoch, and hears the next master.
    private static func book(hasMore: Bool = false, hasUnproved: Bool = true) -> HoldingBook {
        HoldingBook(
            Holding(basis: old, latest: old, hasMore: hasMore, hasUnproved: hasUnproved))
    }

    @Test func untilAnInitsyncIsCompleteItHoldsWhatItHad() {
        var book = Self.book()
        #expect(!book.hasBase && book.basis(Self.here) == Self.old)
        book.tookMessage()
        let holding = book.holding(Self.here, isFollowing: true)
        #expect(holding.basis == Self.old && holding.latest == Self.here)
        #expect(holding.hasMore && holding.hasUnproved)
        // The master knows what it has said itself.
        let news = book.newsToMaster(Self.here)
        #expect(news.latest == Self.old && !news.hasMore)

        book.tookInitsync()
        #expect(book.hasBase && book.basis(Self.here) == Self.here)
        let all = book.holding(Self.here, isFollowing: true)
        #expect(!all.hasMore && !all.hasUnproved)
    }

    @Test func aLossLeavesWhatWasHeldUpToIt() {
        var book = Self.book()
        book.tookInitsync()
        book.tookMessage()
        book.loseBase(Self.here)
        let later = Basis(epoch: 5, sequence: 40)
        #expect(!book.hasBase && book.basis(later) == Self.here)
        // A second loss takes nothing more.
        book.loseBase(later)
        #expect(book.basis(later) == Self.here)
        #expect(!book.holding(later, isFollowing: true).hasMore)
        book.tookMessage()
        #expect(book.holding(later, isFollowing: true).hasMore)
    }

    /// A part of a stream whose master is gone may be all that is left of it.
    @Test func aPartOfAStreamIsMoreOnceItsMasterIsLeft() {
        var book = Self.book()
        book.tookMessage()
        book.leaveStream(Self.here, isFollowing: true)
        let next = Basis(epoch: 8, sequence: 0)
        #expect(book.newsToMaster(next).hasMore)
        #expect(book.newsToMaster(next).latest == Self.here && book.basis(next) == Self.old)
        // What is handed over is not followed: its numbers are the donor's own.
        var taker = Self.book()
        taker.leaveStream(Self.here, isFollowing: false)
        #expect(taker.latest == Self.old)
    }

    /// Of two masters that were at work at the same time the later one has not heard the other: what that
    /// said is news until the master is known to have it.
    @Test func aStreamThatIsCutShortIsABranch() {
        var book = Self.book()
        book.tookInitsync()
        book.cutShort(Self.here, isFollowing: true, isRecent: true)
        #expect(book.newsToMaster(.none).isBranch && book.newsToMaster(.none).mayBeAlone)
        book.masterHolds(Basis(epoch: Self.here.epoch + 1, sequence: 90))
        book.masterHolds(Basis(epoch: Self.here.epoch, sequence: Self.here.sequence - 1))
        #expect(book.isBranch)
        // It goes from one claim to the next, but not for long.
        var late = book
        book.cutShort(.none, isFollowing: false, isRecent: true)
        late.cutShort(.none, isFollowing: false, isRecent: false)
        #expect(book.isBranch && !late.isBranch)
        book.masterHolds(Self.here)
        #expect(!book.isBranch)
        // Without a base there is nothing to cut short: it is a part.
        var partial = Self.book()
        partial.cutShort(Self.here, isFollowing: true, isRecent: true)
        #expect(!partial.isBranch)
        var other = HoldingBook(Holding(basis: Self.old, isBranch: true))
        other.tookInitsync()
        #expect(!other.isBranch)
        other = HoldingBook(Holding(basis: Self.old, isBranch: true))
        other.wasTaken()
        #expect(!other.isBranch)
    }

    /// A master that has taken what a node has may forget it, or end before any other has it of that master.
    @Test func whatWasTakenIsAPartUntilAnInitsync() {
        var book = Self.book(hasMore: true)
        book.wasTaken()
        var later = book
        book.leaveStream(Self.here, isFollowing: true)
        #expect(book.hasMore)
        later.tookInitsync()
        later.leaveStream(Self.here, isFollowing: true)
        #expect(!later.hasMore)
    }

    @Test func whatTheMasterHasTakenIsNoMore() {
        var book = Self.book(hasMore: true)
        book.wasTaken()
        #expect(book.newsToMaster(Self.here) == Holding(basis: Self.old, latest: Self.old))
        let own = Self.here.later(by: 3)
        book.hasOwn(upTo: own)
        #expect(book.newsToMaster(Self.here).latest == own && book.hasMore)
        book.hasOwn(upTo: Self.old)
        #expect(book.latest == own)
        var empty = Self.book()
        empty.foundNothing()
        #expect(!empty.hasUnproved && empty.basis(Self.here) == Self.old)
        #expect(HoldingBook().holding(Self.here, isFollowing: false) == Holding())
    }
}
