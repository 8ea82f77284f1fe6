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
}
