// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// Expectations of a helper that this node lacks.
@Suite struct RefusedExpectationTests {
    /// A kernel that takes entries, and no expectation.
    private final class Kernel: EntriesOnly {
        private(set) var creations = 0
        private(set) var deletions = 0
        private(set) var timesGiven = 0
        /// What a deletion comes to, a creation, and the time of one that was created.
        var deletionErrno: CInt = 0
        var creationErrno = EOPNOTSUPP
        var timeErrno: CInt = 0
        private var deleted: [UInt32] = []
        private var tags: [UInt32] = []
        private var holds: [UInt32] = []

        func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool { true }
        func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool { true }
        func delete(_ key: borrowing Key, tag: UInt32) -> Bool { true }
        func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool { true }
        func entry(_ key: borrowing Key) -> Entry? { nil }
        func create(_ expectation: borrowing Expected, tag: UInt32) -> Bool {
            creations += 1
            tags.append(tag)
            return true
        }
        func updateTimeout(
            _ expectation: borrowing Expected, timeoutSeconds: UInt32, tag: UInt32
        ) -> Bool {
            timesGiven += 1
            holds.append(tag)
            return true
        }
        func delete(expectation key: borrowing Key, tag: UInt32) -> Bool {
            deletions += 1
            deleted.append(tag)
            return true
        }
        func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) -> BatchOutcome {
            if creationErrno != 0 {
                for tag in tags { failure(tag, creationErrno) }
                for tag in holds { failure(tag, ENOENT) }
            } else if timeErrno != 0 {
                for tag in holds { failure(tag, timeErrno) }
            }
            if deletionErrno != 0 { for tag in deleted { failure(tag, deletionErrno) } }
            (tags, holds, deleted) = ([], [], [])
            return BatchOutcome()
        }
    }

    /// A slave whose master has said a connection and what it expects.
    private struct Bench {
        let table: ReplicaTable
        let injector: ExpectationInjector
        let expected: Expected
        private let entries: Injector

        init(_ kernel: Kernel) throws {
            table = try ReplicaTable(capacity: 64, seed: 1)
            entries = try Injector(kernel, kernel)
            injector = try ExpectationInjector(kernel)
            let control = SampleExpectations.control("ftp", 4_000)
            expected = SampleExpectations.expectation(of: control, port: 3_000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            table.expectations.update(expected, isCopy: false, now: 1)
        }

        func inject(now: Instant = Duration.second) throws {
            try entries.apply(table, now: 1)
            try injector.apply(table, now: now)
            table.assertValid { Issue.record("\($0)") }
        }
    }

    @Test func oneIsTriedForAWhileAndThenRefused() throws {
        let kernel = Kernel()
        let bench = try Bench(kernel)
        let table = bench.table
        let end = ExpectationTable.patience / ExpectationTable.retryInterval
        for step in 0...end {
            #expect(table.expectations.refusedCount == 0, "\(step)")
            try bench.inject(now: Duration.second + step * ExpectationTable.retryInterval)
        }
        #expect(table.expectations.refusedCount == 1 && !table.isWaiting)
        #expect(kernel.creations == Int(end) + 1)
        #expect(bench.injector.refusals[Int(EOPNOTSUPP)] == 1 && bench.injector.created == 0)
        #expect(table.missingHelpers.nameCount == 1 && table.missingHelpers[0].count == 1)
    }

    /// A kernel that would not delete one has it still: the slave says so, and tries again.
    @Test(arguments: [EBUSY, ENOENT])
    func oneThatIsNotDeletedIsDeletedAgain(_ errno: CInt) throws {
        let kernel = Kernel()
        kernel.creationErrno = 0
        let bench = try Bench(kernel)
        let table = bench.table.expectations
        try bench.inject()
        kernel.deletionErrno = errno
        table.delete(bench.expected, now: 1)
        try bench.inject()
        let isRefused = errno != ENOENT
        #expect(table.refusedCount == (isRefused ? 1 : 0))
        kernel.deletionErrno = 0
        table.renew(now: 1)
        try bench.inject()
        #expect(kernel.deletions == (isRefused ? 2 : 1))
        #expect(table.refusedCount == 0 && table.highWater == 0)
    }

    /// One that the kernel would not give its long time runs out: the slave says so, and tries again.
    @Test func oneThatIsNotGivenItsTimeIsGivenItAgain() throws {
        let kernel = Kernel()
        kernel.creationErrno = 0
        kernel.timeErrno = ENOMEM
        let bench = try Bench(kernel)
        let table = bench.table.expectations
        try bench.inject()
        #expect(table.refusedCount == 1 && kernel.timesGiven == 1)
        kernel.timeErrno = 0
        table.renew(now: 1)
        try bench.inject()
        #expect(table.refusedCount == 0 && kernel.timesGiven == 2)
        #expect(kernel.creations == 1)
    }

    /// The stream has said that it ended while the kernel's table was being read.
    @Test func oneThatHasEndedIsNotAdopted() throws {
        let table = try ExpectationTable(seed: 1)
        let control = SampleExpectations.control("ftp", 4_000)
        let expected = SampleExpectations.expectation(of: control, port: 3_000)
        table.beginInitsync()
        table.delete(expected, now: 1)
        table.adopt(expected, now: 1)
        #expect(table.aliveCount == 0)
        var round = table.kernel.beginRound()
        let request = table.nextRequest(&round, now: 1)
        #expect(request?.0 == .delete)
    }

    /// The walk may have begun when packets were lost last: what was said before is older than its copies.
    @Test func aCopyReplacesWhatWasSaidBeforePacketsWereLost() throws {
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let control = SampleExpectations.control("ftp", 4_000)
        let expected = SampleExpectations.expectation(of: control, port: 3_000)
        var copied = expected
        copied.policyClass = 1
        table.follow()
        for wasLost in [false, true] {
            table.expectations.update(expected, isCopy: false, now: 1)
            if wasLost { table.losePackets(after: .none) }
            table.expectations.update(copied, isCopy: true, now: 1)
            let held = table.expectations.book.said[0].expectation
            #expect(held == (wasLost ? copied : expected))
        }
    }
}
