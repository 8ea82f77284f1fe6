// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A table of a test that knows entries and nothing else of the kernel: it is both what takes the
/// requests and what is asked.
protocol EntriesOnly: KernelRequests, EntryLookup {}

extension EntriesOnly {
    func updateTimeout(_ key: borrowing Key, timeoutSeconds: UInt32, tag: UInt32) -> Bool { true }
    func updateLiberal(_ key: borrowing Key, _ isLiberal: Bool, tag: UInt32) -> Bool { true }
    func create(_ expectation: borrowing Expectation, tag: UInt32) -> Bool { true }
    func updateTimeout(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool { true }
    func delete(expectation key: borrowing Key, tag: UInt32) -> Bool { true }
}
