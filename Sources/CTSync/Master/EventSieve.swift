// SPDX-License-Identifier: GPL-2.0-or-later

/// Decides what the slaves are told of an event where the filter asks for what can change: TCP state,
/// ASSURED, mark. No table of connections is kept for it.
///
/// 1. New: told if the filter admits it.
/// 2. Changed, admitted: told. It may be the first the slaves hear of the connection, and an event
///    says only what changed: the kernel is asked for the whole entry, with the labels, the parent and the
///    mark that were said while it was left out.
/// 3. Changed, not admitted: it may have been before, so the slaves are told to delete it. Where
///    they do not hold it, that is nothing to them.
/// 4. Changed, and the filter asks for a TCP state that the event lacks: the kernel is asked.
/// 5. Destroyed: told unless the tuple alone, which never changes, leaves it out.
///
/// Thread: the event listener's. The query costs some 3 us, and only filters of this kind cause one.
struct EventSieve: ~Copyable {
    /// What the slaves are told.
    package enum Outcome: Equatable {
        /// Nothing.
        case nothing
        /// The entry, as the event said it.
        case update
        /// The entry as the kernel has it: all there is of it.
        case whole
        /// That the connection is not there.
        case delete
        /// The kernel could not be asked: the event is lost.
        case lost
    }

    private let query: any EntryLookup

    init(_ query: any EntryLookup) {
        self.query = query
    }

    /// Decides about an event; completes its entry where that is needed.
    @inline(__always)
    func sift(
        _ kind: CtnetlinkKind, _ entry: inout Entry, _ filter: borrowing ReplicationFilter
    ) -> Outcome {
        let verdict = filter.verdict(entry)
        guard verdict != .never else { return .nothing }
        switch (kind, verdict) {
        case (.new, .always), (.new, .now), (.update, .always): return .update
        case (.new, _): return .nothing
        case (.update, .now), (.update, .unknown): return ask(&entry, filter)
        case (.update, _), (.destroy, _): return filter.mayHaveAdmitted(entry) ? .delete : .nothing
        default: return .nothing
        }
    }

    private func ask(
        _ entry: inout Entry, _ filter: borrowing ReplicationFilter
    ) -> Outcome {
        let found: Entry?
        do throws(SystemError) {
            found = try query.entry(entry.key)
        } catch {
            return .lost
        }
        // Gone, or followed by another of its tuple: the events of that come next.
        guard var found, found.id == entry.id else { return .nothing }
        // Not every kernel says a mark of 0 of an entry that it is asked for.
        if entry.fields.contains(.mark) { found.fields.insert(.mark) }
        entry = found
        if filter.admits(entry) { return .whole }
        return filter.mayHaveAdmitted(entry) ? .delete : .nothing
    }
}
