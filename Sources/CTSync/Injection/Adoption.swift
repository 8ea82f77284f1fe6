// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the entries that the kernel has when a node becomes a slave into the replica table, so that
/// the first initsync keeps those the master has and removes the others.
///
/// A killed daemon's replicas are taken over in this way, and a former master's connections. Left
/// alone is what the filter leaves out, its expectations too, and connections of the node's own
/// addresses that may be its own.
///
/// Expectations are read first: an entry that is made again takes its own with it, and only those
/// that are known are made again as well.
struct Adoption: ~Copyable {
    private let dump: any TableWalk
    private(set) var isRunning = false
    private var isAtEntries = false
    /// Expectations whose parent has not been read yet.
    private var orphans: [Expectation] = []

    init(_ dump: any TableWalk) {
        self.dump = dump
    }

    /// Begins to read.
    mutating func start() throws(SystemError) {
        try dump.startExpectations()
        isRunning = true
        isAtEntries = false
        orphans = []
    }

    /// Reads the next 32 KiB of the table.
    mutating func step(
        into table: ReplicaTable, _ filter: ReplicationFilter, now: UInt32
    ) throws(SystemError) {
        isRunning = try dump.step { dumped in
            var entry = copy dumped
            let isTouched = entry.hasSeenPackets
            let isHeld = !isTouched && ReplicaTable.mayBeHeld(entry)
            guard filter.adopts(entry, isHeld: isHeld) else { return }
            entry.prepareForReplication()
            _ = table.adopt(entry, isTouched: isTouched, now: now)
        } expectation: { expectation in
            if filter.mayAdopt(copy expectation) { orphans.append(copy expectation) }
        }
        orphans.removeAll { expectation in
            guard table.holdsParent(of: expectation) else { return false }
            table.expectations.adopt(expectation, now: now)
            return true
        }
        guard !isRunning else { return }
        if isAtEntries {
            orphans = []
        } else {
            try dump.start()
            isAtEntries = true
            isRunning = true
        }
    }

    /// Gives up.
    mutating func cancel() {
        dump.cancel()
        isRunning = false
        orphans = []
    }
}
