// SPDX-License-Identifier: GPL-2.0-or-later

extension SlaveProtocol {
    /// Why a slave is not in sync.
    enum OutOfSync: String, CaseIterable, Sendable {
        /// No master has been heard.
        case noMaster = "no master heard"
        /// The master is silent.
        case silent = "master silent"
        /// The master replicates by other rules than this node.
        case rules = "replication rules differ"
        /// The entries found in the kernel are being read.
        case adopting = "reading the kernel's table"
        /// An initsync is wanted or running.
        case initsync = "initsync not complete"
        /// Packets are missing.
        case gap = "packets missing"
        /// Updates came of connections that no message has described.
        case insufficient = "incomplete entries"
        /// Related entries have come before their parents.
        case waiting = "entries waiting for their parent"
        /// The kernel refused entries.
        case refused = "entries refused by the kernel"
        /// The table is full.
        case full = "replica table full"
        /// Expectations have come before their parents.
        case expectationsWaiting = "expectations waiting for their parent"
        /// The kernel refused expectations.
        case expectationsRefused = "expectations refused by the kernel"
        /// The table of expectations is full.
        case expectationsFull = "expectation table full"
        /// The master's kernel sends no events.
        case eventsOff = "events off at the master"
        /// This node's kernel sends no events: what others change in it is not heard.
        case unwatched = "changes of the kernel's table not heard"
        /// Somebody has changed this node's kernel table.
        case kernelChanged = "kernel's table changed by others"
    }
}

extension SlaveProtocol.OutOfSync {
    /// Whether a slave usually repairs it by itself in milliseconds.
    var isBrief: Bool {
        switch self {
        case .gap, .insufficient, .waiting, .expectationsWaiting: true
        default: false
        }
    }
}
