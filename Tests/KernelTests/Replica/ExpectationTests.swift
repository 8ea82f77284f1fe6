// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Expectations against the kernel: made, read, held, waiting, removed.
@Suite(.serialized)
struct ExpectationTests {
    private func inNamespace(_ body: (ReplicaTable, Slave) throws -> Void) throws {
        try NetworkNamespace.run(isTracking: true) {
            let slave = try Slave()
            try body(slave.table, slave)
        }
    }

    /// A slave's table with its injectors.
    private final class Slave {
        let table: ReplicaTable
        let entries: Injector
        let expectations: ExpectationInjector

        init() throws {
            table = try ReplicaTable(capacity: 1_024, seed: 1)
            entries = try Injector(try RequestBatch(), try EntryQuery())
            expectations = try ExpectationInjector(try RequestBatch())
        }

        func apply(at seconds: UInt32, plus milliseconds: UInt64 = 0) throws {
            try entries.apply(table, now: seconds)
            let now = UInt64(seconds) * Duration.second + milliseconds * Duration.millisecond
            try expectations.apply(table, now: now)
        }
    }

    /// What the kernel shows of it, but for its own id and time.
    private func expectSame(_ found: Expected, _ wanted: Expected) {
        var shown = wanted
        // The kernel does not say the zone (ctnetlink_exp_dump_expect, Linux 6.18).
        shown.key.zone = 0
        #expect(found.isSame(as: shown), "\(found) is not \(shown)")
    }

    @Test func everyAttributeComesBackFromTheKernel() throws {
        try inNamespace { table, slave in
            for family in [Family.ipv4, .ipv6] {
                var wanted: [Expected] = []
                for (index, name) in ["ftp", "tftp", "sip", "sip"].enumerated() {
                    let control = SampleExpectations.control(
                        name, UInt16(4000 + index), family: family)
                    _ = table.update(control, isNew: true, isCopy: false, now: 1)
                    let expected = SampleExpectations.expectation(
                        of: control, port: UInt16(3000 + index)
                    ) {
                        if index > 0 { $0.flags = Expected.NF_CT_EXPECT_PERMANENT }
                        if index == 3 { $0.policyClass = 1 }
                        if index != 1 {
                            $0.isTranslated = true
                            $0.translationDirection = index == 0 ? 1 : 0
                            $0.translation = control.key.tuple
                            $0.translation.destination = .any
                            $0.translation.sourcePort = 7777
                            $0.translation.destinationPort = 0
                            $0.function = SampleExpectations.function("nat-follow-master")
                        }
                    }
                    table.expectations.update(expected, isCopy: false, now: 1)
                    wanted.append(expected)
                }
                try slave.apply(at: 1)
                let found = try NetworkNamespace.expectations()
                try #require(found.count == 4)
                for (index, expectation) in found.enumerated() {
                    expectSame(expectation, wanted[index])
                    #expect(expectation.timeoutSeconds + 3 >= ReplicaTable.holdSeconds)
                }
                #expect(table.expectations.refusedCount == 0 && !table.isWaiting)
                for expectation in wanted { table.expectations.delete(expectation, now: 2) }
                try slave.apply(at: 2)
                #expect(
                    try NetworkNamespace.expectations().isEmpty && table.expectations.highWater == 0
                )
            }
        }
    }

    @Test func itWaitsForItsMasterWithAHelper() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            table.expectations.update(expected, isCopy: false, now: 1)
            try slave.apply(at: 1)
            #expect(table.isWaiting && table.expectations.waitingCount == 1)
            _ = table.update(control, isNew: true, isCopy: false, now: 2)
            try slave.apply(at: 2)
            #expect(try NetworkNamespace.expectations().count == 1)
            try slave.apply(at: 3)
            #expect(!table.isWaiting && slave.expectations.created == 1)
            // Its master gone, the kernel has removed it already.
            table.delete(control.key, now: 4)
            table.expectations.delete(expected, now: 4)
            try slave.apply(at: 4)
            #expect(
                try NetworkNamespace.expectations().isEmpty && table.expectations.aliveCount == 0)
        }
    }

    @Test func itIsRefusedWhenItsTimeIsUp() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            table.expectations.update(expected, isCopy: false, now: 1)
            for second in UInt32(1)...11 {
                #expect(table.expectations.refusedCount == 0)
                try slave.apply(at: second)
            }
            #expect(table.expectations.refusedCount == 1 && !table.isWaiting)
            #expect(slave.expectations.refusals[Int(ENOENT)] == 1)
            table.expectations.delete(expected, now: 12)
            #expect(table.expectations.refusedCount == 0)
        }
    }

    /// The kernel has an entry of the master's tuple that is no replica: left out by the filter.
    @Test func anEntryThatIsNoReplicaIsGivenNone() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            let batch = try RequestBatch()
            _ = batch.create(control, timeoutSeconds: 600, tag: 0)
            try batch.send { _, number in Issue.record("errno \(number)") }
            table.expectations.update(expected, isCopy: false, now: 1)
            for second in UInt32(1)...11 { try slave.apply(at: second) }
            #expect(
                try NetworkNamespace.expectations().isEmpty && table.expectations.refusedCount == 1)
            // Replicated at last: the next initsync brings both.
            table.beginInitsync()
            _ = table.update(control, isNew: false, isCopy: true, now: 20)
            table.expectations.update(expected, isCopy: true, now: 20)
            try slave.apply(at: 20)
            #expect(
                try NetworkNamespace.expectations().count == 1
                    && table.expectations.refusedCount == 0)
        }
    }

    @Test func whatTheKernelExpectsOfAnEntryThatIsNoReplicaIsLeftAlone() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("ftp", 4000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            table.expectations.update(
                SampleExpectations.expectation(of: control, port: 3000), isCopy: false, now: 1)
            try slave.apply(at: 1)
            var rule = ReplicationRule(isAccept: true)
            (rule.markValue, rule.markMask) = (1, 1)
            let filter = ReplicationFilter(ownAddresses: [], syncNetworks: [], rules: [rule])
            // Its mark is 4000.
            let next = try Slave()
            var adoption = Adoption(try TableDump())
            try adoption.start()
            while adoption.isRunning { try adoption.step(into: next.table, filter, now: 5) }
            #expect(next.table.aliveCount == 0 && next.table.expectations.aliveCount == 0)
            next.table.beginInitsync()
            next.table.endInitsync(isComplete: true)
            try next.apply(at: 6)
            #expect(try NetworkNamespace.expectations().count == 1)
        }
    }

    @Test func inAZoneItIsAnother() throws {
        try inNamespace { table, slave in
            for zone in UInt16(0)...1 {
                let control = SampleExpectations.control("ftp", 4000, zone: zone)
                let expected = SampleExpectations.expectation(of: control, port: 3000)
                _ = table.update(control, isNew: true, isCopy: false, now: 1)
                table.expectations.update(expected, isCopy: false, now: 1)
            }
            try slave.apply(at: 1)
            #expect(try NetworkNamespace.expectations().count == 2)
            let other = SampleExpectations.control("ftp", 4000, zone: 1)
            table.expectations.delete(
                SampleExpectations.expectation(of: other, port: 3000), now: 2)
            try slave.apply(at: 2)
            #expect(
                try NetworkNamespace.expectations().count == 1 && table.expectations.aliveCount == 1
            )
        }
    }

    @Test func anInitsyncConfirmsAndPurges() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("sip", 4000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            let all = (UInt16(0)..<4).map {
                SampleExpectations.expectation(of: control, port: 3000 + $0) {
                    // SIP expects several streams of audio, but one of signalling.
                    $0.policyClass = 1
                }
            }
            for each in all.prefix(3) { table.expectations.update(each, isCopy: false, now: 1) }
            try slave.apply(at: 1)
            table.beginInitsync()
            _ = table.update(control, isNew: false, isCopy: true, now: 2)
            // Deleted by the live stream, then found in the dump begun before: stays away.
            table.expectations.delete(all[0], now: 2)
            table.expectations.update(all[0], isCopy: true, now: 2)
            table.expectations.delete(all[3], now: 2)
            table.expectations.update(all[3], isCopy: true, now: 2)
            table.expectations.update(all[1], isCopy: true, now: 2)
            table.endInitsync(isComplete: true)
            try slave.apply(at: 3)
            #expect(try NetworkNamespace.expectations().map(\.key) == [all[1].key])
            #expect(table.expectations.aliveCount == 1)
            #expect(slave.expectations.created == 3 && slave.expectations.deleted == 2)
        }
    }

    @Test func itFollowsAMasterThatIsMadeAnew() throws {
        try inNamespace { table, slave in
            var control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            table.expectations.update(expected, isCopy: false, now: 1)
            try slave.apply(at: 1)
            control.status = []
            _ = table.update(control, isNew: true, isCopy: false, now: 2)
            try slave.apply(at: 2)
            #expect(slave.entries.deleted == 1 && slave.entries.created == 2)
            #expect(try NetworkNamespace.expectations().count == 1)
        }
    }

    @Test func theTimersStartAfterAPromotion() throws {
        try inNamespace { table, slave in
            let now = UInt32(truncatingIfNeeded: Clock.now() / Duration.second)
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            _ = table.update(control, isNew: true, isCopy: false, now: now)
            table.expectations.update(expected, isCopy: false, now: now - 50)
            try slave.apply(at: now)
            #expect(
                try NetworkNamespace.expectations().first.map { $0.timeoutSeconds > 80_000 } == true
            )
            let timers = TimerStart()
            let walk = try timers.open(Kernel())
            while try timers.step(walk, table, now: Clock.now()) {}
            let seconds = try #require(try NetworkNamespace.expectations().first).timeoutSeconds
            #expect((expected.timeoutSeconds - 55...expected.timeoutSeconds - 50).contains(seconds))
            #expect(timers.startedCount == 2 && timers.failureCount == 0)
        }
    }

    @Test func eventsTellOfThem() throws {
        try inNamespace { table, slave in
            let socket = try EventSocket(receiveBufferBytes: 1 << 20, expectations: true)
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            table.expectations.update(expected, isCopy: false, now: 1)
            try slave.apply(at: 1)
            table.expectations.delete(expected, now: 2)
            try slave.apply(at: 2)
            var seen: [(CtnetlinkKind, Expected)] = []
            var entries = 0
            _ = try socket.receive { _, _ in
                entries += 1
            } expected: { kind, each in
                seen.append((kind, copy each))
            }
            #expect(entries == 1 && seen.map(\.0) == [.expectNew, .expectDestroy])
            for (_, each) in seen { expectSame(each, expected) }
            #expect(socket.malformed == 0)
        }
    }

    /// The kernel removes the expectations of an entry with it.
    @Test func whatIsMadeAnewWhileTheTableIsReadKeepsItsExpectations() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            table.expectations.update(expected, isCopy: false, now: 1)
            try slave.apply(at: 1)
            var another = control
            another.reply.destinationPort += 1
            let next = try Slave()
            var adoption = Adoption(try TableDump())
            try adoption.start()
            var isRemade = false
            while adoption.isRunning {
                try adoption.step(into: next.table, .everything, now: 5)
                guard next.table.aliveCount == 1, !isRemade else { continue }
                _ = next.table.update(another, isNew: false, isCopy: false, now: 5)
                try next.apply(at: 5)
                isRemade = true
            }
            try next.apply(at: 6)
            #expect(isRemade && next.table.expectations.aliveCount == 1)
            #expect(try NetworkNamespace.expectations().count == 1)
        }
    }

    @Test func whatTheKernelHasIsAdopted() throws {
        try inNamespace { table, slave in
            let control = SampleExpectations.control("ftp", 4000)
            let expected = SampleExpectations.expectation(of: control, port: 3000)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            table.expectations.update(expected, isCopy: false, now: 1)
            try slave.apply(at: 1)
            let next = try Slave()
            var adoption = Adoption(try TableDump())
            try adoption.start()
            while adoption.isRunning { try adoption.step(into: next.table, .everything, now: 5) }
            #expect(next.table.aliveCount == 1 && next.table.expectations.aliveCount == 1)
            next.table.beginInitsync()
            next.table.endInitsync(isComplete: true)
            try next.apply(at: 6)
            #expect(try NetworkNamespace.expectations().isEmpty)
        }
    }
}
