// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A helper that this node's kernel lacks first, and has later.
@Suite struct LateHelperTests {
    private let kernel = SimulatedKernel(Chance(seed: 1))

    @Test func whatWasMadeWithoutItIsMadeAgain() throws {
        let table = try ReplicaTable(capacity: 16, seed: 1)
        let injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        let expectations = try ExpectationInjector(try kernel.makeRequests())
        func pass(_ seconds: UInt32) throws {
            let now = UInt64(seconds) * Duration.second
            kernel.advance(to: now)
            table.retryHelpers(now: seconds)
            try injector.apply(table, now: seconds)
            try expectations.apply(table, now: now)
            table.assertValid { Issue.record("\($0)") }
        }
        let control = SampleExpectations.control("ftp", 4_000)
        let expected = SampleExpectations.expectation(of: control, port: 3_000)
        kernel.table.hasHelpers = false
        _ = table.update(control, isNew: true, isCopy: false, now: 1)
        table.expectations.update(expected, isCopy: false, now: 1)
        for seconds in 20..<70 as Range<UInt32> {
            try pass(seconds)
            let isPatient = seconds < 20 + ParentWait.patienceSeconds
            #expect(table.expectations.refusedCount == (isPatient ? 0 : 1), "\(seconds)")
        }
        // It is tried again now and then, and counted once.
        #expect(injector.deleted > 0 && injector.deleted < 5)
        #expect(table.missingHelpers.nameCount == 1)
        // The entry, and the expectation.
        #expect(table.missingHelpers[0].count == 2)
        kernel.table.hasHelpers = true
        for seconds in 70..<81 as Range<UInt32> { try pass(seconds) }
        #expect(kernel.table.entry(control.key)?.fields.contains(.helper) == true)
        #expect(kernel.table.expectations.count == 1 && table.expectations.refusedCount == 0)
        #expect(table.missingHelpers[0].count == 1)
    }
}
