// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// The table's rules, one by one, seen through what a simulated kernel is asked for.
@Suite struct ReplicaTableTests {
    private final class Bench {
        let table: ReplicaTable
        let kernel = ReplicaKernel(Chance(seed: 1))
        let injector: Injector
        var now: UInt32 = 1_000

        init(capacity: Int = 16, tombstones: Int? = nil) throws {
            table = try ReplicaTable(capacity: capacity, tombstones: tombstones, seed: 3)
            injector = try Injector(kernel, kernel)
        }

        @discardableResult
        func new(_ entry: Entry) -> ReplicaTable.Outcome {
            table.update(entry, isNew: true, isCopy: false, now: now)
        }

        @discardableResult
        func update(_ entry: Entry, saying fields: Entry.Fields) -> ReplicaTable.Outcome {
            var said = entry
            said.fields = fields
            return table.update(said, isNew: false, isCopy: false, now: now)
        }

        @discardableResult
        func copy(_ entry: Entry) -> ReplicaTable.Outcome {
            table.update(entry, isNew: false, isCopy: true, now: now)
        }

        /// Applies; returns the requests it took.
        @discardableResult
        func apply() -> Int {
            let before = kernel.changes
            do throws(SystemError) {
                try injector.apply(table, now: now)
            } catch {
                Issue.record("a batch broke off")
            }
            return kernel.changes - before
        }

        /// Creations, updates, deletions that the kernel took.
        var counts: [UInt64] { [injector.created, injector.updated, injector.deleted] }
    }

    private static func tcp(_ port: UInt16, _ change: (inout Entry) -> Void = { _ in }) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, port, 80), .IPS_SEEN_REPLY) {
            change(&$0)
        }
    }

    // MARK: Batches

    @Test func tenUpdatesInABatchAreOneOperation() throws {
        let bench = try Bench()
        bench.new(Self.tcp(1))
        for state in 1...9 {
            bench.update(
                Self.tcp(1) { $0.protocolInfo.state = UInt8(state) }, saying: .protocolInfo)
        }
        #expect(bench.apply() == 1)
        #expect(bench.kernel.entries[Self.tcp(1).key]?.protocolInfo.state == 9)
        for state in 1...8 {
            bench.update(
                Self.tcp(1) { $0.protocolInfo.state = UInt8(state) }, saying: .protocolInfo)
        }
        #expect(bench.apply() == 1)
        #expect(bench.counts == [1, 1, 0])
        bench.update(Self.tcp(1) { $0.protocolInfo.state = 8 }, saying: [.status, .protocolInfo])
        #expect(bench.apply() == 0)
    }

    @Test func whatCameAndWentIsNoOperation() throws {
        let bench = try Bench()
        bench.new(Self.tcp(1))
        bench.table.delete(Self.tcp(1).key, now: 1)
        #expect(bench.apply() == 0)
        #expect(bench.table.aliveCount == 0)
        #expect(bench.table.book.pool.count == 0)
    }

    @Test func aPortUsedAgainInABatchIsMadeAnew() throws {
        let bench = try Bench()
        bench.new(Self.tcp(1))
        bench.apply()
        bench.table.delete(Self.tcp(1).key, now: 1)
        bench.new(Self.tcp(1) { $0.mark = 9 })
        #expect(bench.apply() == 2)
        #expect(bench.counts == [2, 0, 1])
        #expect(bench.kernel.entries[Self.tcp(1).key]?.mark == 9)
    }

    @Test func deletionsGoFirst() throws {
        let bench = try Bench()
        var translated = Self.tcp(1)
        translated.reply.destinationPort = 5_000
        bench.new(translated)
        bench.apply()
        // Another connection takes over the mapping.
        var other = Self.tcp(2)
        other.reply.destinationPort = 5_000
        bench.new(other)
        bench.table.delete(translated.key, now: 1)
        #expect(bench.apply() == 2)
        #expect(bench.kernel.entries.count == 1)
    }

    @Test func aChangeTakesWhatTheKernelNeeds() throws {
        // What the kernel cannot change takes two operations.
        let changes: [(Int, (inout Entry) -> Void)] = [
            (1, { $0.mark = 77 }), (1, { $0.status.insert(.IPS_ASSURED) }),
            (1, { $0.protocolInfo.state = 7 }), (2, { $0.status = [] }),
            (2, { $0.reply.destinationPort = 9 }),
            (
                2,
                {
                    $0.extras.helper.low = 0x70_7466
                    $0.fields.insert(.helper)
                }
            ),
            (0, { $0.status.insert(.IPS_HELPER) }), (0, { $0.timeoutSeconds = 5 }),
        ]
        for (operations, change) in changes {
            let bench = try Bench()
            bench.new(Self.tcp(1))
            bench.apply()
            var entry = Self.tcp(1)
            change(&entry)
            bench.update(entry, saying: entry.fields)
            #expect(bench.apply() == operations)
        }
    }

    // MARK: Too little said

    @Test func anUnknownConnectionOfWhichTooLittleIsSaid() throws {
        let bench = try Bench()
        #expect(bench.update(Self.tcp(1), saying: [.status, .timeout]) == .insufficient)
        #expect(bench.table.insufficientCount == 1)
        #expect(bench.table.aliveCount == 1)
        #expect(bench.apply() == 0)
        #expect(bench.update(Self.tcp(1), saying: .protocolInfo) == .applied)
        #expect(bench.table.insufficientCount == 0)
        #expect(bench.apply() == 1)
        #expect(bench.update(Self.tcp(2), saying: .status) == .insufficient)
        bench.table.delete(Self.tcp(2).key, now: 1)
        #expect(bench.table.insufficientCount == 0)
    }

    @Test func aCopyCompletesWithItsTimeout() throws {
        let bench = try Bench()
        bench.table.beginInitsync()
        bench.update(Self.tcp(1) { $0.mark = 5 }, saying: [.status, .mark])
        #expect(bench.copy(Self.tcp(1)) == .applied)
        bench.apply()
        let place = bench.table.book.pool.find(Self.tcp(1).key)
        #expect(bench.table.book.entry(at: place).timeoutSeconds == 600)
        #expect(bench.table.book.entry(at: place).mark == 5)
        #expect(bench.kernel.entries[Self.tcp(1).key]?.mark == 5)
    }

    // MARK: Initsync

    @Test func theEndRemovesWhatWasNotConfirmed() throws {
        let bench = try Bench()
        for port in 1...4 as ClosedRange<UInt16> { bench.new(Self.tcp(port)) }
        bench.apply()
        bench.table.beginInitsync()
        bench.copy(Self.tcp(1))
        bench.update(Self.tcp(2) { $0.mark = 1 }, saying: [.status, .mark])
        #expect(bench.table.endInitsync(isComplete: true) == 2)
        bench.apply()
        #expect(Set(bench.kernel.entries.keys) == [Self.tcp(1).key, Self.tcp(2).key])
    }

    @Test func aBrokenInitsyncRemovesNothing() throws {
        let bench = try Bench()
        bench.new(Self.tcp(1))
        bench.apply()
        bench.table.beginInitsync()
        #expect(bench.table.endInitsync(isComplete: false) == 0)
        bench.apply()
        #expect(bench.kernel.entries.count == 1)
        bench.table.beginInitsync()
        #expect(bench.table.endInitsync(isComplete: true) == 1)
    }

    @Test(arguments: [true, false])
    func aLateCopyBringsNothingBack(_ wasKnown: Bool) throws {
        let bench = try Bench()
        if wasKnown { bench.new(Self.tcp(1)) }
        bench.apply()
        bench.table.beginInitsync()
        bench.table.delete(Self.tcp(1).key, now: 1)
        bench.apply()
        #expect(bench.copy(Self.tcp(1)) == .applied)
        bench.apply()
        #expect(bench.kernel.entries.isEmpty)
        bench.table.endInitsync(isComplete: true)
        #expect(bench.table.book.pool.count == 0)
        // Nor does it hinder the next.
        bench.copy(Self.tcp(1))
        bench.apply()
        #expect(bench.kernel.entries.count == 1)
    }

    @Test func whatTheLiveStreamSaidBeatsTheCopy() throws {
        let bench = try Bench()
        bench.table.beginInitsync()
        bench.new(Self.tcp(1) { $0.protocolInfo.state = 7 })
        bench.copy(Self.tcp(1) { $0.mark = 3 })
        bench.apply()
        let held = bench.kernel.entries[Self.tcp(1).key]
        #expect(held?.protocolInfo.state == 7)
        #expect(held?.mark == 1)
    }

    /// Events may have been lost between what was known before the begin and now.
    @Test func whatWasKnownBeforeTheBeginDoesNotBeatTheCopy() throws {
        let bench = try Bench()
        bench.new(Self.tcp(1) { $0.mark = 5 })
        bench.apply()
        bench.table.beginInitsync()
        bench.update(Self.tcp(1) { $0.protocolInfo.state = 7 }, saying: [.status, .protocolInfo])
        bench.copy(Self.tcp(1) { $0.mark = 6 })
        bench.apply()
        let held = bench.kernel.entries[Self.tcp(1).key]
        #expect(held?.protocolInfo.state == 7)
        #expect(held?.mark == 6)
    }

    /// The walk began when packets were lost last, as its begin was among them: what it copies may have ended
    /// before what has begun since.
    @Test func aCopyWhoseBeginIsLostReplacesNothingThatIsNewer() throws {
        let bench = try Bench()
        func entry(to port: UInt16) -> Entry { Self.tcp(1) { $0.reply.destinationPort = port } }
        for port in [2_001, 2_002] as [UInt16] {
            bench.new(entry(to: port))
            bench.table.losePackets(after: .none)
        }
        bench.new(entry(to: 2_003))
        bench.copy(entry(to: 2_004))
        bench.apply()
        #expect(bench.kernel.entries[Self.tcp(1).key]?.reply.destinationPort == 2_003)
        bench.table.losePackets(after: .none)
        bench.copy(entry(to: 2_005))
        bench.apply()
        #expect(bench.kernel.entries[Self.tcp(1).key]?.reply.destinationPort == 2_005)
    }

    /// The port was used again, and the message that said so is lost.
    @Test func aCopyOfAnotherConnectionCompletesNothing() throws {
        let bench = try Bench()
        bench.table.beginInitsync()
        let later = Self.tcp(1) { $0.reply.destinationPort = 2_001 }
        bench.update(later, saying: [.status, .timeout, .protocolInfo])
        bench.copy(Self.tcp(1) { $0.mark = 5 })
        bench.apply()
        let held = bench.kernel.entries[Self.tcp(1).key]
        #expect(held?.reply == later.reply && held?.mark != 5)
    }

    // MARK: A full table

    @Test func aFullTableSaysSoAndChangesNothing() throws {
        let bench = try Bench(capacity: 2, tombstones: 0)
        bench.new(Self.tcp(1))
        bench.new(Self.tcp(2))
        #expect(bench.new(Self.tcp(3)) == .full)
        bench.table.beginInitsync()
        #expect(bench.table.delete(Self.tcp(4).key, now: 1) == .full)
        #expect(bench.new(Self.tcp(1)) == .applied)
        bench.table.endInitsync(isComplete: true)
        bench.apply()
        #expect(Set(bench.kernel.entries.keys) == [Self.tcp(1).key])
        #expect(bench.new(Self.tcp(3)) == .applied)
        #expect(bench.table.adopt(Self.tcp(5), now: 1) == .full)
        #expect(bench.table.isAdoptionPartial)
    }

    /// All dirty, all refused while the others are being handed out.
    @Test func refusalsAmidABatchFindTheirPlace() throws {
        let bench = try Bench(capacity: 1_024)
        for port in 1...1_024 as ClosedRange<UInt16> {
            bench.kernel.make(Self.tcp(port))
            bench.new(Self.tcp(port) { $0.mark = 9 })
        }
        bench.apply()
        #expect(bench.kernel.entries.values.allSatisfy { $0.mark == 9 })
        #expect(!bench.table.isDirty)
    }

    // MARK: Adoption

    @Test func anAdoptedEntryIsKeptOrRemovedByTheNextInitsync() throws {
        let bench = try Bench()
        for port in 1...2 as ClosedRange<UInt16> {
            bench.kernel.make(Self.tcp(port))
            #expect(bench.table.adopt(Self.tcp(port), now: 1) == .applied)
        }
        #expect(bench.apply() == 0)
        bench.table.beginInitsync()
        bench.copy(Self.tcp(1))
        bench.table.endInitsync(isComplete: true)
        bench.apply()
        #expect(Set(bench.kernel.entries.keys) == [Self.tcp(1).key])
    }

    /// A node that was master a moment ago, and may be so again before the new one speaks of it.
    @Test func afterADemotionWhatPacketsHavePassedIsMadeAnewAtOnce() throws {
        let bench = try Bench()
        bench.table.remakesWorn = true
        bench.kernel.make(Self.tcp(1))
        #expect(bench.table.adopt(Self.tcp(1), now: 1) == .applied)
        #expect(bench.table.adopt(Self.tcp(2), isTouched: false, now: 1) == .applied)
        #expect(bench.apply() == 2)
        #expect(Set(bench.kernel.entries.keys) == [Self.tcp(1).key])
    }

    /// Neighbours that have not learned yet where the new master is.
    @Test func whatStraysHavePassedIsMadeAnew() throws {
        let bench = try Bench()
        for port in UInt16(1)...2 { bench.new(Self.tcp(port)) }
        #expect(bench.apply() == 2)
        let passed = Self.tcp(1) { $0.protocolInfo.replyFlags = TCPFlag.maxAckSet }
        bench.table.remakeIfWorn(Self.tcp(2))
        #expect(bench.apply() == 0)
        bench.table.remakeIfWorn(passed)
        #expect(bench.apply() == 2)
        #expect(bench.counts == [3, 0, 1])
    }

    /// The dump was read before the kernel was last written.
    @Test func anAdoptedEntryThatIsNotThereIsMade() throws {
        let bench = try Bench()
        _ = bench.table.adopt(Self.tcp(1), now: 1)
        bench.copy(Self.tcp(1))
        bench.apply()
        #expect(bench.kernel.entries.count == 1)
    }

    @Test func whatTheStreamSaidBeforeAnEntryIsAdoptedStands() throws {
        let bench = try Bench()
        var old = Self.tcp(1)
        old.reply.destinationPort = 9_999
        bench.kernel.make(old)
        bench.kernel.make(Self.tcp(2))
        bench.new(Self.tcp(1))
        bench.table.beginInitsync()
        bench.table.delete(Self.tcp(2).key, now: 1)
        bench.apply()
        // The kernel said EEXIST; an update cannot change the mapping, so it was made anew.
        #expect(bench.kernel.entries[old.key]?.reply == Self.tcp(1).reply)
        _ = bench.table.adopt(old, now: 1)
        _ = bench.table.adopt(Self.tcp(2), now: 1)
        bench.apply()
        #expect(bench.kernel.entries.count == 1)
        #expect(bench.kernel.entries[old.key]?.reply == Self.tcp(1).reply)
    }

    // MARK: Refusals

    @Test func aClashIsGivenUpAndTriedAgain() throws {
        let bench = try Bench()
        var stranger = Self.tcp(7)
        stranger.reply.destinationPort = 5_000
        bench.kernel.make(stranger)
        var entry = Self.tcp(1)
        entry.reply.destinationPort = 5_000
        bench.new(entry)
        #expect(bench.apply() == 4)
        #expect(bench.table.refusedCount == 1)
        #expect(bench.injector.refusals[Int(ENOENT)] == 1)
        #expect(bench.apply() == 0)
        bench.kernel.end(stranger.key)
        bench.table.renew(budget: 1, now: 1)
        bench.apply()
        #expect(bench.table.refusedCount == 0)
        #expect(bench.kernel.entries[entry.key] != nil)
    }

    @Test func aRefusedDeletionIsTriedAgain() throws {
        let bench = try Bench()
        for port in 1...3 as ClosedRange<UInt16> { bench.new(Self.tcp(port)) }
        bench.apply()
        bench.kernel.faults = 1_000
        for port in 1...3 as ClosedRange<UInt16> { bench.table.delete(Self.tcp(port).key, now: 1) }
        bench.apply()
        #expect(bench.table.refusedCount == 3)
        #expect(bench.table.aliveCount == 0)
        bench.kernel.faults = 0
        bench.table.renew(budget: 16, now: 1)
        bench.apply()
        #expect(bench.kernel.entries.isEmpty)
        #expect(bench.table.refusedCount == 0)
        #expect(bench.table.book.pool.count == 0)
    }

    @Test func aRelatedConnectionWaitsForItsMaster() throws {
        let bench = try Bench()
        let master = Self.tcp(1)
        let child = Self.tcp(2) {
            $0.extras.parent = master.key.tuple
            $0.fields.insert(.parent)
        }
        bench.new(child)
        bench.new(master)
        bench.apply()
        #expect(bench.kernel.entries.count == 2)
        #expect(bench.table.refusedCount == 0)
    }

    @Test func aRelatedConnectionWhoseMasterIsGoneIsMadeWithout() throws {
        let bench = try Bench()
        let child = Self.tcp(2) {
            $0.extras.parent = Self.tcp(1).key.tuple
            $0.fields.insert(.parent)
        }
        bench.new(child)
        bench.apply()
        // It waits: its master may be on its way.
        #expect(bench.kernel.entries[child.key] == nil)
        #expect(bench.table.waiting.count == 1)
        #expect(bench.table.refusedCount == 0)
        for _ in 1...2 {
            bench.table.beginInitsync()
            bench.copy(child)
            bench.table.endInitsync(isComplete: true)
            bench.apply()
            #expect(bench.kernel.entries[child.key]?.fields.contains(.parent) == false)
            #expect(bench.table.refusedCount == 0)
        }
        #expect(bench.counts == [1, 0, 0])
        // It was only late.
        bench.table.beginInitsync()
        bench.copy(child)
        bench.copy(Self.tcp(1))
        bench.table.endInitsync(isComplete: true)
        bench.apply()
        #expect(bench.kernel.entries[child.key]?.fields.contains(.parent) == true)
    }

    // MARK: Time

    @Test func theLongTimeoutIsRenewedInTime() throws {
        let bench = try Bench()
        bench.new(Self.tcp(1))
        bench.apply()
        bench.now += ReplicaTable.renewSeconds
        bench.table.renew(budget: 4, now: bench.now)
        #expect(bench.apply() == 0)
        bench.now += 1
        bench.table.renew(budget: 4, now: bench.now)
        #expect(bench.apply() == 1)
        bench.now += ReplicaTable.renewSeconds + 1
        // A word about it renews as well.
        bench.update(Self.tcp(1), saying: .status)
        #expect(bench.apply() == 1)
    }

    @Test func renewalGoesRoundWithinItsBudget() throws {
        let bench = try Bench()
        for port in 1...10 as ClosedRange<UInt16> { bench.new(Self.tcp(port)) }
        bench.apply()
        bench.now += ReplicaTable.renewSeconds + 1
        var renewed: [Int] = []
        for _ in 0..<5 {
            bench.table.renew(budget: 3, now: bench.now)
            renewed.append(bench.apply())
        }
        #expect(renewed == [3, 3, 3, 1, 0])
    }

    @Test(
        arguments: [
            // State, what the kernel's timeout is short of the hold, seconds since, remaining.
            (TCPState.established, 0, 100, 600), (TCPState.established, 3, 0, 600),
            // Held at another time: what was there already when it was handed over.
            (TCPState.established, 4, 0, 600), (TCPState.established, 50_000, 0, nil),
            // Closed by one side: packets of the other make no event.
            (TCPState.finWait, 0, 100, 600), (TCPState.closeWait, 0, 100, 600),
            (TCPState.lastAck, 0, 100, 600),
            (TCPState.timeWait, 0, 599, 1), (TCPState.timeWait, 0, 600, 0),
            (TCPState.timeWait, 0, 5_000, 0), (TCPState.close, 0, 1, 599),
            (TCPState.synSent2, 0, 100, 600),
        ] as [(UInt8, UInt32, UInt32, UInt32?)])
    func theTimeItWouldHaveHad(
        _ state: UInt8, _ short: UInt32, _ seconds: UInt32, _ remaining: UInt32?
    ) throws {
        let bench = try Bench()
        let entry = Self.tcp(1) { $0.protocolInfo.state = state }
        bench.new(entry)
        bench.apply()
        var dumped = entry
        dumped.timeoutSeconds = ReplicaTable.holdSeconds - seconds - short
        let now = bench.now + seconds
        let fate: ReplicaTable.Fate? = remaining.map { $0 > 0 ? .lives(seconds: $0) : .isOver }
        #expect(bench.table.fate(of: dumped, now: now) == fate)
        #expect(bench.table.fate(of: Self.tcp(2), now: now) == nil)
    }

    /// What the stream says a part of before the kernel's table is read is known from both: it can be
    /// handed over.
    @Test func whatTheStreamLeftUnsaidIsTakenFromTheKernel() throws {
        let bench = try Bench()
        var here = Self.tcp(1)
        here.mark = 7
        var said = here
        said.mark = 8
        #expect(bench.update(said, saying: [.status, .mark]) == .insufficient)
        #expect(bench.table.adopt(here, isTouched: false, now: 1) == .applied)
        #expect(bench.table.insufficientCount == 0 && bench.table.isSufficient(here.key))
        #expect(bench.table.said(here.key)?.mark == 8)
        // Another connection of the same key is not.
        var other = Self.tcp(2)
        #expect(bench.update(other, saying: .status) == .insufficient)
        other.reply.destinationPort += 1
        _ = bench.table.adopt(other, isTouched: false, now: 1)
        #expect(bench.table.insufficientCount == 1)
    }

    /// A master of other rules ends nothing by its walk: but what no kernel can make of the little that was
    /// said is not waited for, if the walk has not named it.
    @Test func whatTooLittleIsKnownOfIsNotKept() throws {
        let bench = try Bench()
        let (known, half, named) = (Self.tcp(1), Self.tcp(2), Self.tcp(3))
        bench.copy(known)
        bench.apply()
        #expect(bench.update(half, saying: .status) == .insufficient)
        bench.table.beginInitsync()
        #expect(bench.update(named, saying: .status) == .insufficient)
        bench.table.endInitsync(isComplete: false)
        bench.table.keepUnnamed()
        #expect(bench.table.insufficientCount == 1 && bench.table.aliveCount == 2)
        bench.apply()
        #expect(bench.table.said(half.key) == nil && bench.table.said(named.key) != nil)
        #expect(bench.kernel.entries[known.key] != nil)
        bench.table.assertValid { Issue.record("\($0)") }
    }

    /// A part that suffices to make an entry does not replace the one that the kernel has, whether that is
    /// found before it is read or after.
    @Test(arguments: [false, true])
    func aPartLeavesWhatTheKernelHasMore(_ isReadFirst: Bool) throws {
        let bench = try Bench()
        let name = Array("ftp".utf8)
        let helper = HelperName(name.span.bytes)
        let ftp = try #require(helper)
        let here = Self.tcp(1) {
            $0.extras.labelsLow = 6
            $0.extras.helper = ftp
            $0.mark = 7
            $0.fields.formUnion([.labels, .helper, .mark])
        }
        #expect(bench.kernel.make(here))
        let said = Self.tcp(1) { $0.protocolInfo.state = TCPState.finWait }
        #expect(bench.update(said, saying: [.status, .timeout, .protocolInfo]) == .applied)
        if isReadFirst {
            #expect(bench.table.adopt(here, isTouched: false, now: bench.now) == .applied)
        }
        bench.apply()
        let made = try #require(bench.kernel.entries[here.key])
        #expect(made.extras == here.extras && made.mark == 7)
        #expect(made.protocolInfo.state == TCPState.finWait)
        #expect(bench.counts == [0, 1, 0])
        let known = try #require(bench.table.said(here.key))
        #expect(known.extras == here.extras && known.mark == 7)
        // Once all was said, what is unsaid is nothing.
        bench.new(Self.tcp(1))
        bench.apply()
        #expect(bench.table.said(here.key)?.extras == Extras())
        #expect(bench.kernel.entries[here.key]?.extras == Extras())
    }
}
