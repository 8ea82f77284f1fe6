// SPDX-License-Identifier: GPL-2.0-or-later

/// How related entries and what this node lacks for others are dealt with, for the status.
struct RelatedStatus: Sendable {
    /// Entries that wait for their parent.
    var waiting = 0
    /// Those that found it after waiting.
    var found: UInt64 = 0
    /// Those created without it, because it did not come in time.
    var timedOut: UInt64 = 0
    /// Those created without it, because too many were waiting.
    var crowdedOut: UInt64 = 0
    /// Whether this node's kernel has been given translated entries ...
    var hasTranslated = false
    /// ... and those that it cannot take, by refused attempts.
    var untranslatable: UInt64 = 0
    /// Changes of labels that no rule here has a use for.
    var labelsIgnored: UInt64 = 0
    /// The helpers that this node lacks.
    var missingHelpers = MissingHelpers()

    /// Expectations held, and of these the ones that wait for their parent or were refused.
    var expectations = 0
    var expectationsWaiting = 0
    var expectationsRefused = 0
    /// Expectations made in the kernel, and removed from it.
    var expectationsCreated: UInt64 = 0
    var expectationsDeleted: UInt64 = 0

    /// All of it, as of now.
    init(_ table: ReplicaTable, _ injector: Injector, _ expected: ExpectationInjector) {
        expectations = table.expectations.aliveCount
        expectationsWaiting = table.expectations.waitingCount
        expectationsRefused = table.expectations.refusedCount
        expectationsCreated = expected.created
        expectationsDeleted = expected.deleted
        waiting = table.waiting.count
        found = table.waiting.found
        timedOut = table.waiting.timedOut
        crowdedOut = table.waiting.crowdedOut
        hasTranslated = injector.hasTranslated
        untranslatable = injector.untranslatable
        labelsIgnored = table.labelsIgnored
        missingHelpers = table.missingHelpers
    }

    /// None.
    init() {}
}
