// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Brings the kernel's expectations to what the expectation table says.
///
/// Thread: the receiver's, after the entries of the same batch: an expectation needs its parent,
/// and that must be a replica; an entry that the kernel has of its own is left alone. One whose master
/// entry, or that one's helper, is not there yet is tried again for a while, as a related entry is.
/// Memory: the batch's.
final class ExpectationInjector {
    /// How long one is tried again ...
    static let patience = UInt64(ParentWait.patienceSeconds) * Duration.second
    /// ... and how often.
    static let retryInterval = 50 * Duration.millisecond

    /// Expectations that the kernel took.
    private(set) var created: UInt64 = 0
    /// Expectations removed from the kernel.
    private(set) var deleted: UInt64 = 0
    /// Those that the kernel refused for good, by errno; the last cell counts all beyond.
    private(set) var refusals: [UInt64]

    private enum Operation: UInt32 {
        case delete = 0
        case create = 1
        case hold = 2
    }

    private let batch: any KernelRequests
    private static let placeBits: UInt32 = 30

    /// An injector into a table.
    init(_ requests: any KernelRequests) {
        batch = requests
        refusals = [UInt64](repeating: 0, count: 134)
    }

    /// Hands what is dirty or due to the kernel.
    ///
    /// - Throws: `SystemError` where the socket fails.
    func apply(
        _ replicas: ReplicaTable, now: Instant
    ) throws(SystemError) {
        let table = replicas.expectations
        wakeWaiting(table, now)
        guard table.isDirty else { return }
        let seconds = UInt32(truncatingIfNeeded: now / Duration.second)
        try removeStale(table, now, &replicas.missingHelpers)
        for place in 0..<table.highWater where table.held[place].flags.contains(.dirty) {
            let slot = table.held + place
            slot.pointee.flags.subtract([.dirty, .recreate])
            guard slot.pointee.flags.contains(.alive) else {
                table.release(place)
                continue
            }
            if !slot.pointee.flags.contains(.inKernel) {
                guard replicas.holdsParent(of: slot.pointee.expectation) else {
                    failed(table, place, ENOENT, now, &replicas.missingHelpers)
                    continue
                }
                try queue(.create, place, table, now, &replicas.missingHelpers)
                created += 1
            }
            slot.pointee.flags.insert(.inKernel)
            slot.pointee.heldAtSeconds = seconds
            try queue(.hold, place, table, now, &replicas.missingHelpers)
        }
        try send(table, now, &replicas.missingHelpers)
        table.becameClean()
    }

    /// Deletions first: a helper may expect only so many at a time.
    private func removeStale(
        _ table: ExpectationTable, _ now: Instant, _ missing: inout MissingHelpers
    ) throws(SystemError) {
        for place in 0..<table.highWater {
            let slot = table.held + place
            let flags = slot.pointee.flags
            guard flags.isSuperset(of: [.dirty, .inKernel]),
                !flags.contains(.alive) || flags.contains(.recreate)
            else { continue }
            slot.pointee.flags.remove(.inKernel)
            try queue(.delete, place, table, now, &missing)
            deleted += 1
        }
    }

    private func wakeWaiting(_ table: ExpectationTable, _ now: Instant) {
        guard table.waitingCount > 0 else { return }
        var due = false
        for place in 0..<table.highWater where table.held[place].flags.contains(.waiting) {
            if table.held[place].flags.contains(.inKernel) {
                // The last attempt was not refused.
                table.settle(table.held + place, to: [])
            } else if table.held[place].retryAt <= now {
                table.held[place].flags.insert(.dirty)
                due = true
            }
        }
        if due { table.becameDirty() }
    }

    private func queue(
        _ operation: Operation, _ place: Int, _ table: ExpectationTable, _ now: Instant,
        _ missing: inout MissingHelpers
    ) throws(SystemError) {
        let tag = operation.rawValue << Self.placeBits | UInt32(place)
        while !write(operation, table.held[place].expectation, tag) {
            try send(table, now, &missing)
        }
    }

    private func write(_ operation: Operation, _ expectation: Expectation, _ tag: UInt32) -> Bool {
        switch operation {
        case .delete: batch.delete(expectation: expectation.key, tag: tag)
        case .create: batch.create(expectation, tag: tag)
        case .hold:
            batch.updateTimeout(expectation, timeoutSeconds: ReplicaTable.holdSeconds, tag: tag)
        }
    }

    private func send(
        _ table: ExpectationTable, _ now: Instant, _ missing: inout MissingHelpers
    ) throws(SystemError) {
        let outcome = try batch.send { tag, errno in
            let place = Int(tag & (1 << Self.placeBits - 1))
            guard Operation(rawValue: tag >> Self.placeBits) == .create, errno != EEXIST else {
                // Gone already, or never made: then its creation has said why.
                return
            }
            created -= 1
            failed(table, place, errno, now, &missing)
        }
        if outcome.lostErrors {
            throw SystemError("errors of injected expectations", errno: ENOBUFS)
        }
    }

    private func failed(
        _ table: ExpectationTable, _ place: Int, _ errno: CInt, _ now: Instant,
        _ missing: inout MissingHelpers
    ) {
        let slot = table.held + place
        guard slot.pointee.flags.contains(.alive) else { return }
        slot.pointee.flags.remove(.inKernel)
        let until = slot.pointee.retryUntil
        if until == 0 || now < until {
            table.settle(slot, to: .waiting)
            slot.pointee.retryUntil = until == 0 ? now + Self.patience : until
            slot.pointee.retryAt = now + Self.retryInterval
            return
        }
        table.settle(slot, to: .refused)
        refusals[min(Int(errno), refusals.count - 1)] += 1
        if errno == EOPNOTSUPP { missing.count(slot.pointee.expectation.helper) }
    }
}
