// SPDX-License-Identifier: GPL-2.0-or-later

/// Decides whether the slaves are told of an expectation: they are where its parent is
/// replicated.
///
/// 1. What protocol, addresses and zone of the parent leave out is left out.
/// 2. Where the rules ask for what can change (TCP state, ASSURED, mark), which an expectation does
///    not say, the kernel is asked for the parent: some 3 us.
/// 3. Where there is none (a helper reads the first packet before the entry is in the table) they are
///    told: a slave gives an expectation to no entry but a replica.
///
/// Thread: that of the listener or of the walk that has it.
struct ExpectationSieve: ~Copyable {
    private let query: any EntryLookup

    init(_ query: any EntryLookup) {
        self.query = query
    }

    /// Whether they are told that it is there.
    func admits(
        _ expectation: borrowing Expectation, _ filter: borrowing ReplicationFilter
    ) -> Bool {
        guard filter.mayAdmit(expectation) else { return false }
        guard filter.hasChangeableRules else { return true }
        do throws(SystemError) {
            guard let master = try query.entry(expectation.parentKey) else { return true }
            return filter.admits(master)
        } catch {
            return true
        }
    }
}
