// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A replica whose tuple, or reply tuple, another entry of this node's kernel has.
@Suite struct DisplacementTests {
    private static let outside = Address(ipv4: 0x0A02_0001)

    private static func masqueraded(_ source: UInt32) -> Entry {
        var tuple = SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53)
        tuple.source = Address(ipv4: source)
        return SampleEntries.entry(tuple) { $0.reply.destination = outside }
    }

    private let kernel = SimulatedKernel(Chance(seed: 1))
    private let blocker = masqueraded(0x0A00_0063)
    private let replica = masqueraded(0x0A00_0002)

    private func make(mayDisplace: Bool) throws -> (Injector, ReplicaTable) {
        kernel.advance(to: Duration.second)
        #expect(kernel.table.insert(blocker, seconds: 60, .traffic) == 0)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        injector.mayDisplace = { _ in mayDisplace }
        return (injector, try ReplicaTable(capacity: 16, seed: 1))
    }

    @Test func theMastersWordWins() throws {
        let (injector, table) = try make(mayDisplace: true)
        _ = table.update(replica, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(replica.key) != nil && kernel.table.entry(blocker.key) == nil)
        #expect(injector.displaced == 1 && table.refusedCount == 0)
        table.assertValid { Issue.record("\($0)") }
    }

    @Test func theNodesOwnStaysAndTheReplicaIsTriedAgain() throws {
        let (injector, table) = try make(mayDisplace: false)
        _ = table.update(replica, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(replica.key) == nil && kernel.table.entry(blocker.key) != nil)
        #expect(injector.displaced == 0 && table.refusedCount == 1)
        _ = kernel.table.remove(blocker.key, .traffic)
        table.retryRefused()
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(replica.key) != nil && table.refusedCount == 0)
        table.assertValid { Issue.record("\($0)") }
    }

    /// No kernel has both: what its master says of one of them ends the other, whose end was not heard.
    @Test(arguments: [false, true]) func whatTheMasterSaysSinceEndsAnother(
        _ wasSaid: Bool
    ) throws {
        let (injector, table) = try make(mayDisplace: false)
        if wasSaid {
            _ = table.update(blocker, isNew: true, isCopy: false, now: 1)
            try injector.apply(table, now: 1)
        } else {
            _ = table.adopt(blocker, now: 1)
        }
        _ = table.update(replica, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(replica.key) != nil && kernel.table.entry(blocker.key) == nil)
        #expect(table.refusedCount == 0 && table.aliveCount == 1)
        table.assertValid { Issue.record("\($0)") }
    }

    /// What is in the way only as the kernel has it still, and is another by now, as a copy says that waits for
    /// what is live, does not end.
    @Test func whatIsAnotherByNowIsMadeAgain() throws {
        let (injector, table) = try make(mayDisplace: true)
        _ = table.update(blocker, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        table.beginInitsync()
        var another = blocker
        another.reply.destination = Address(ipv4: 0x0A02_0002)
        _ = table.update(another, isNew: false, isCopy: true, now: 1)
        _ = table.update(replica, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(replica.key) != nil)
        #expect(kernel.table.entry(another.key)?.reply == another.reply)
        #expect(table.refusedCount == 0 && table.aliveCount == 2)
        table.assertValid { Issue.record("\($0)") }
    }

    /// What a partial master says takes nothing away, and neither does a copy from what may be newer.
    @Test(arguments: [false, true]) func anotherReplicaStays(_ isPartial: Bool) throws {
        let (injector, table) = try make(mayDisplace: true)
        _ = table.adopt(blocker, now: 1)
        table.isMasterPartial = isPartial
        _ = table.update(replica, isNew: true, isCopy: !isPartial, now: 1)
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(blocker.key) != nil)
        #expect(injector.displaced == 0 && table.refusedCount == 1)
    }

    /// Another of its key is not taken for the replica, if the kernel cannot be asked what it has.
    @Test func whatCannotBeReadIsNotChanged() throws {
        let (injector, table) = try make(mayDisplace: true)
        var other = replica
        other.reply.destination = Address(ipv4: 0x0A02_0002)
        #expect(kernel.table.insert(other, seconds: 60, .traffic) == 0)
        _ = kernel.table.remove(blocker.key, .traffic)
        _ = table.update(replica, isNew: true, isCopy: false, now: 1)
        kernel.calls.fail(1, of: "query of an entry")
        try injector.apply(table, now: 1)
        #expect(kernel.table.entry(replica.key)?.reply == replica.reply && table.refusedCount == 0)
        table.assertValid { Issue.record("\($0)") }
    }

    /// What was kept, as the master's rules may leave it out, is not there if the master has this one.
    @Test func whatNoInitsyncNamesGivesWayToWhatOneHas() throws {
        for keeps in [false, true] {
            let (injector, table) = try make(mayDisplace: true)
            _ = table.adopt(blocker, now: 1)
            table.beginInitsync()
            _ = table.update(replica, isNew: false, isCopy: true, now: 1)
            table.endInitsync(isComplete: false)
            if keeps { table.keepUnnamed() }
            try injector.apply(table, now: 1)
            table.retryRefused()
            try injector.apply(table, now: 1)
            #expect((kernel.table.entry(replica.key) != nil) == keeps)
            #expect((kernel.table.entry(blocker.key) == nil) == keeps)
            table.assertValid { Issue.record("\($0)") }
            kernel.table.flush(.hand)
        }
    }

    /// What is to go only after a round has looked at it is asked to go in the next.
    @Test func whatIsToGoInTheMidstOfARoundGoes() throws {
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let entries = Array(SampleEntries.plain.prefix(2))
        for entry in entries { _ = table.update(entry, isNew: true, isCopy: false, now: 1) }
        try injector.apply(table, now: 1)
        for entry in entries {
            var changed = entry
            changed.mark = entry.mark &+ 1
            changed.fields.insert(.mark)
            _ = table.update(changed, isNew: false, isCopy: false, now: 1)
        }
        var round = table.kernel.beginRound()
        #expect(table.nextRequest(&round, now: 1)?.0 == .update)
        _ = table.delete(entries[1].key, now: 1)
        #expect(table.nextRequest(&round, now: 1) == nil)
        round = table.kernel.beginRound()
        #expect(table.nextRequest(&round, now: 1)?.0 == .delete)
    }

    @Test func aConnectionThatStaysWithTheMasterIsCounted() throws {
        let table = try ReplicaTable(capacity: 16, seed: 1)
        _ = table.update(replica, isNew: true, isCopy: false, now: 1)
        let plain = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 1, 53))
        _ = table.update(plain, isNew: true, isCopy: false, now: 1)
        let stays = HostAddress(.ipv4, Self.outside)
        let other = HostAddress(.ipv4, Address(ipv4: 1))
        #expect(table.translated(to: [other, stays]) == [Stranded(address: stays, count: 1)])
    }
}
