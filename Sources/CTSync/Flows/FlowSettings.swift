// SPDX-License-Identifier: GPL-2.0-or-later

/// What `ct_sync flows` was asked to show, and how.
package struct FlowSettings {
    /// Whether lines are JSON objects.
    package var isJSON = false
    /// Which events are shown.
    package var kinds: Set<FlowEventKind> = Set(FlowEventKind.allCases)
    /// Nanoseconds between two summaries; nil for events one by one.
    package var summaryInterval: UInt64?
    /// The log; nil for standard output.
    package var log: String?
    /// After how many lines or summaries it ends; nil for never.
    package var limit: UInt64?
    /// Bytes of the kernel's buffer for events that wait to be read.
    package var bufferBytes = 16 << 20

    /// Words as after `accept` in a replication rule.
    package var criteria: [String] = []

    /// All events, one by one, on standard output.
    package init() {}
}
