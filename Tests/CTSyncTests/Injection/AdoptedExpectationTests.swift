// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What the kernel expects when a node becomes slave, and what the stream says of it before its parent is
/// read.
@Suite struct AdoptedExpectationTests {
    private let kernel = SimulatedKernel(Chance(seed: 1))
    private let control = SampleExpectations.control("ftp", 4_000)
    private let expected: Expected
    private let table: ReplicaTable
    private let entries: Injector
    private let expectations: ExpectationInjector

    init() throws {
        kernel.advance(to: Duration.second)
        expected = SampleExpectations.expectation(of: control, port: 3_000)
        table = try ReplicaTable(capacity: 16, seed: 1)
        entries = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        expectations = try ExpectationInjector(try kernel.makeRequests())
        #expect(kernel.table.insert(control, seconds: 60, .traffic) == 0)
        #expect(kernel.table.insert(expected) == 0)
    }

    private func inject() throws {
        try entries.apply(table, now: 1)
        try expectations.apply(table, now: Duration.second)
        table.assertValid { Issue.record("\($0)") }
    }

    /// The stream speaks of it, and the kernel is read after that.
    private func adopt(saying said: Expected) throws {
        table.expectations.update(said, isCopy: false, now: 1)
        try inject()
        #expect(table.expectations.waitingCount == 1)
        _ = table.adopt(control, isTouched: false, now: 1)
        table.expectations.adopt(expected, now: 1)
        #expect(table.expectations.waitingCount == 0)
    }

    @Test(arguments: [false, true])
    func itGoesWhenItEnds(_ isHeldBefore: Bool) throws {
        try adopt(saying: expected)
        if isHeldBefore { try inject() }
        #expect(kernel.table.expectations == [expected])
        table.expectations.delete(expected, now: 1)
        try inject()
        #expect(kernel.table.expectations.isEmpty && table.expectations.highWater == 0)
    }

    @Test func itBecomesWhatTheStreamSays() throws {
        var said = expected
        said.policyClass = 1
        try adopt(saying: said)
        try inject()
        #expect(kernel.table.expectations == [said])
    }
}
