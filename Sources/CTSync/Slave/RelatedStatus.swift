// SPDX-License-Identifier: GPL-2.0-or-later

/// How related entries and what this node lacks for others are dealt with, for the status.
struct RelatedStatus: Sendable {
    /// Entries that wait for their master entry.
    var waiting = 0
    /// Those that found it after waiting.
    var found: UInt64 = 0
    /// Those created without it, because it did not come in time.
    var timedOut: UInt64 = 0
    /// Those created without it, because too many were waiting.
    var crowdedOut: UInt64 = 0
    /// Translated entries that this node has no NAT hooks for, by refused attempts.
    var untranslatable: UInt64 = 0
    /// Changes of labels that no rule here has a use for.
    var labelsIgnored: UInt64 = 0
    /// The helpers that this node lacks.
    var missingHelpers = MissingHelpers()

    /// All of it, as of now.
    init(_ table: borrowing ReplicaTable, _ injector: borrowing Injector) {
        waiting = table.waiting.count
        found = table.waiting.found
        timedOut = table.waiting.timedOut
        crowdedOut = table.waiting.crowdedOut
        untranslatable = injector.untranslatable
        labelsIgnored = table.labelsIgnored
        missingHelpers = table.missingHelpers
    }

    /// None.
    init() {}
}
