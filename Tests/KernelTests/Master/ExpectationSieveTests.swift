// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync
@testable import CTSyncTests

/// Which expectations the slaves are told of, against a kernel with the parent.
@Suite(.serialized) struct ExpectationSieveTests {
    private static func filter(_ rules: [String], own: [Address] = []) throws -> ReplicationFilter {
        ReplicationFilter(
            ownAddresses: own, syncNetworks: [],
            rules: try rules.map { try ReplicationRule(text: $0) })
    }

    /// The control connection is TCP from 10.0.0.1 to 192.0.2.1, established, with the mark 4000.
    private static let cases: [(rules: [String], isAdmitted: Bool)] = [
        ([], true),
        (["accept protocol tcp"], true),
        (["ignore protocol tcp"], false),
        (["accept source 10.0.0.0/8"], true),
        (["accept destination 10.0.0.0/8"], false),
        (["accept zone 1"], false),
        (["accept mark 4000"], true),
        (["accept mark 0x1/0x1"], false),
        (["ignore mark 4000"], false),
        (["ignore mark 0x1/0x1"], true),
        (["accept state ESTABLISHED"], true),
        (["accept state SYN_SENT,TIME_WAIT"], false),
        (["ignore state ESTABLISHED"], false),
        (["accept assured"], true),
        (["ignore assured"], false),
        (["ignore mark 0x1/0x1", "accept destination 192.0.2.0/24 state ESTABLISHED"], true),
    ]

    @Test func theMasterEntryDecides() throws {
        try NetworkNamespace.run(isTracking: true) {
            let sieve = ExpectationSieve(try EntryQuery())
            let control = SampleExpectations.control("ftp", 4000)
            let expectation = SampleExpectations.expectation(of: control, port: 3000)
            let batch = try RequestBatch()
            _ = batch.create(control, timeoutSeconds: 600, tag: 0)
            try batch.send { _, number in Issue.record("errno \(number)") }
            for (rules, isAdmitted) in Self.cases {
                let filter = try Self.filter(rules)
                #expect(filter.admits(control) == isAdmitted, "\(rules)")
                let isTold = sieve.admits(expectation, filter)
                #expect(isTold == isAdmitted, "\(rules)")
            }
            let own = try Self.filter(["accept mark 4000"], own: [Address(ipv4: 0xC000_0201)])
            let isTold = sieve.admits(expectation, own)
            #expect(!isTold)
        }
    }

    /// A helper reads the first packet before its connection is in the table.
    @Test func withoutAMasterEntryTheTupleDecides() throws {
        try NetworkNamespace.run(isTracking: true) {
            let sieve = ExpectationSieve(try EntryQuery())
            let control = SampleExpectations.control("ftp", 4000)
            let expectation = SampleExpectations.expectation(of: control, port: 3000)
            for (rule, isAdmitted) in [("accept mark 1", true), ("accept mark 1 zone 1", false)] {
                let isTold = sieve.admits(expectation, try Self.filter([rule]))
                #expect(isTold == isAdmitted)
            }
        }
    }
}
