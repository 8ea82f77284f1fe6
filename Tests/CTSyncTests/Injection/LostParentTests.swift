// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A connection whose parent has ended, made again after a demotion.
@Suite struct LostParentTests {
    private let kernel = SimulatedKernel(Chance(seed: 1))
    private let parent = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4_000, 21))
    private let child = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4_001, 20)) {
        $0.extras.parent = SampleEntries.tuple(ProtocolNumber.tcp, 4_000, 21)
        $0.fields.insert(.parent)
    }

    @Test func itIsThereAtOnceAndFollowsAParentThatComes() throws {
        kernel.advance(to: Duration.second)
        #expect(kernel.table.insert(parent, seconds: 60, .traffic) == 0)
        #expect(kernel.table.insert(child, seconds: 60, .traffic) == 0)
        _ = kernel.table.remove(parent.key, .traffic)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let table = try ReplicaTable(capacity: 16, seed: 1)
        table.remakesWorn = true
        _ = table.adopt(child, now: 1)
        try injector.apply(table, now: 1)
        let made = kernel.table.entry(child.key)
        #expect(made != nil && made?.fields.contains(.parent) == false)
        #expect(table.waiting.count == 0 && table.orphans.count == 1)
        table.assertValid { Issue.record("\($0)") }

        _ = table.update(parent, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(child.key)?.fields.contains(.parent) == true)
        #expect(table.orphans.count == 0)
        table.assertValid { Issue.record("\($0)") }
    }

    /// On a master an orphan is not made again: another may have begun in its place, which the table has
    /// not heard of.
    @Test func anOrphanStaysOneOnAMaster() throws {
        kernel.advance(to: Duration.second)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let table = try ReplicaTable(capacity: 16, seed: 1)
        _ = table.update(child, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        table.giveUpWaiting()
        try injector.apply(table, now: 1)
        #expect(kernel.table.remove(child.key, .traffic) != nil && table.orphans.count == 1)
        var other = child
        other.fields.remove(.parent)
        other.mark = 5
        #expect(kernel.table.insert(other, seconds: 60, .traffic) == 0)
        table.isCreateOnly = true
        _ = table.update(parent, isNew: false, isCopy: true, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(parent.key) != nil)
        #expect(kernel.table.entry(child.key)?.mark == 5)
        table.assertValid { Issue.record("\($0)") }
    }

    /// On a master, whose table does not hear what ends, what is handed over does not wait for that.
    @Test func itIsMadeWithoutAParentThatHasEndedOnAMaster() throws {
        kernel.advance(to: Duration.second)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let table = try ReplicaTable(capacity: 16, seed: 1)
        _ = table.update(parent, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        _ = kernel.table.remove(parent.key, .traffic)
        table.isCreateOnly = true
        _ = table.update(child, isNew: false, isCopy: true, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(child.key) != nil)
        #expect(table.waiting.count == 0 && table.refusedCount == 0)
        table.assertValid { Issue.record("\($0)") }
    }

    /// An update is all that was heard of a connection that this kernel has, with a helper and what that
    /// expects: these go with it, and are made again with the next that has them.
    @Test(arguments: [false, true])
    func whatItsHelperExpectsIsLostWithIt(_ isReadFirst: Bool) throws {
        kernel.advance(to: Duration.second)
        let control = SampleExpectations.control("ftp", 4_000)
        let expected = SampleExpectations.expectation(of: control, port: 3_000)
        #expect(kernel.table.insert(control, seconds: 60, .traffic) == 0)
        #expect(kernel.table.insert(expected) == 0)
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let entries = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let expectations = try ExpectationInjector(try kernel.makeRequests())
        func inject() throws {
            try entries.apply(table, now: 1)
            try expectations.apply(table, now: Duration.second)
            table.assertValid { Issue.record("\($0)") }
        }
        var update = control
        update.fields.remove(.helper)
        _ = table.update(update, isNew: false, isCopy: false, now: 1)
        if isReadFirst { _ = table.adopt(control, isTouched: false, now: 1) }
        try inject()
        table.expectations.adopt(expected, now: 1)
        try inject()
        table.delete(control.key, now: 1)
        try inject()
        #expect(kernel.table.expectations.isEmpty)
        _ = table.update(control, isNew: true, isCopy: false, now: 1)
        table.expectations.update(expected, isCopy: false, now: 1)
        try inject()
        #expect(kernel.table.expectations.count == 1)
    }

    /// On a master, a deletion that was refused is not tried again: there may be another by now.
    @Test func aRefusedDeletionIsNotTriedAgainOnAMaster() throws {
        kernel.advance(to: Duration.second)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let table = try ReplicaTable(capacity: 16, seed: 1)
        _ = table.update(parent, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        kernel.faults = 1_000
        table.delete(parent.key, now: 1)
        try injector.apply(table, now: 1)
        kernel.faults = 0
        for isMaster in [true, false] {
            table.isCreateOnly = isMaster
            table.retryRefused()
            try injector.apply(table, now: 1)
            #expect((kernel.table.entry(parent.key) != nil) == isMaster)
        }
    }

    /// A connection with a helper, and what that expects, in a table and in the kernel.
    private func expecting() throws -> (Expected, ReplicaTable, inject: () throws -> Void) {
        kernel.advance(to: Duration.second)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let expectations = try ExpectationInjector(try kernel.makeRequests())
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let control = SampleExpectations.control("ftp", 4_000)
        let expected = SampleExpectations.expectation(of: control, port: 3_000)
        _ = table.update(control, isNew: true, isCopy: false, now: 1)
        table.expectations.update(expected, isCopy: false, now: 1)
        func inject() throws {
            for _ in 0..<2 {
                try injector.apply(table, now: 1)
                try expectations.apply(table, now: Duration.second)
            }
            table.assertValid { Issue.record("\($0)") }
        }
        try inject()
        #expect(kernel.table.expectations.count == 1)
        return (expected, table, inject)
    }

    @Test func whatIsExpectedIsMadeAgainWithAConnectionThatWasLost() throws {
        let (expected, table, inject) = try expecting()
        let parent = Key(expected.parent, zone: expected.key.zone)
        _ = kernel.table.remove(parent, .hand)
        table.isLost(parent)
        try inject()
        #expect(kernel.table.entry(parent) != nil && kernel.table.expectations.count == 1)
    }

    /// That the connection is lost shows when its master speaks of it.
    @Test func whatIsExpectedIsMadeAgainWithAConnectionThatIsNotThereToChange() throws {
        let (expected, table, inject) = try expecting()
        let parent = Key(expected.parent, zone: expected.key.zone)
        var said = try #require(table.said(parent))
        _ = kernel.table.remove(parent, .hand)
        said.mark = 5
        said.fields = [.status, .mark]
        _ = table.update(said, isNew: false, isCopy: false, now: 1)
        try inject()
        #expect(kernel.table.entry(parent)?.mark == 5 && kernel.table.expectations.count == 1)
    }

    /// It was read before, and is not there when its time is to be set.
    @Test func whatWasLostBeforeItWasAdoptedIsMadeAgain() throws {
        let (expected, table, inject) = try expecting()
        #expect(kernel.table.remove(expected))
        table.expectations.removeAll()
        table.expectations.adopt(expected, now: 1)
        try inject()
        #expect(kernel.table.expectations.count == 1)
    }
}
