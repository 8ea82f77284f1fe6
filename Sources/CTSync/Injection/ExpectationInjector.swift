// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Has the kernel follow the expectation table, as `Injector` does for the entries.
///
/// Thread: the receiver's, after the entries of the same batch: an expectation needs its parent,
/// and that must be a replica; an entry that the kernel has of its own is left alone. Memory: the
/// batch's.
final class ExpectationInjector {
    /// Expectations that the kernel took.
    private(set) var created: UInt64 = 0
    /// Expectations removed from the kernel.
    private(set) var deleted: UInt64 = 0
    /// Those that the kernel refused for good, by errno; the last cell counts all beyond.
    private(set) var refusals: [UInt64]

    private let requests: any KernelRequests
    private var asked: AskedRequests<InjectOperation>
    /// The place of the one that was created last: what is asked of it next goes with that.
    private var made: UInt32?

    /// An injector into a kernel's table.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(_ requests: any KernelRequests) throws(SystemError) {
        self.requests = requests
        asked = try AskedRequests()
        refusals = [UInt64](repeating: 0, count: 134)
    }

    /// Hands what is queued or due to the kernel.
    ///
    /// - Throws: `SystemError` if the socket fails.
    func apply(_ replicas: ReplicaTable, now: Instant) throws(SystemError) {
        let table = replicas.expectations
        table.wakeWaiting(now: now)
        guard table.isDirty else { return }
        let seconds = UInt32(truncatingIfNeeded: now / Duration.second)
        var round = table.kernel.beginRound()
        while let (operation, place) = table.nextRequest(&round, now: seconds) {
            let expectation = table.book.said[Int(place)].expectation
            if operation == .create, !replicas.holdsParent(of: expectation) {
                creationFailed(place, ENOENT, replicas, now)
                continue
            }
            try write(operation, place, expectation, replicas, now)
            // The kernel gives a new one the time of its helper's policy.
            if operation == .create { try write(.update, place, expectation, replicas, now) }
        }
        try send(replicas, now)
    }

    private func write(
        _ operation: InjectOperation, _ place: UInt32, _ expectation: Expectation,
        _ replicas: ReplicaTable, _ now: Instant
    ) throws(SystemError) {
        while asked.isFull || !write(operation, expectation) { try send(replicas, now) }
        asked.append(operation, place)
    }

    private func write(_ operation: InjectOperation, _ expectation: Expectation) -> Bool {
        let tag = asked.tag
        switch operation {
        case .delete: return requests.delete(expectation: expectation.key, tag: tag)
        case .create: return requests.create(expectation, tag: tag)
        case .update:
            return requests.updateTimeout(
                expectation, timeoutSeconds: ReplicaTable.holdSeconds, tag: tag)
        }
    }

    private func send(_ replicas: ReplicaTable, _ now: Instant) throws(SystemError) {
        defer { asked.removeAll() }
        try asked.send(requests, "injected expectations") {
            replicas.expectations.move($0, .unanswered)
        }
        for index in 0..<asked.count {
            let request = asked[index]
            take(request.operation, request.place, request.errno, replicas, now)
        }
    }

    private func take(
        _ operation: InjectOperation, _ place: UInt32, _ errno: CInt, _ replicas: ReplicaTable,
        _ now: Instant
    ) {
        let table = replicas.expectations
        switch (operation, errno) {
        // It went with its parent, perhaps before it was read, and nobody has said that it ended.
        case (.update, ENOENT) where place != made: table.move(place, .missing)
        // Refused is only what has gone already.
        case (_, 0), (.create, EEXIST), (.delete, ENOENT), (.update, ENOENT):
            table.done(operation, place)
            made = operation == .create ? place : nil
            if operation == .create { created += 1 }
            if operation == .delete { deleted += 1 }
        case (.create, _): creationFailed(place, errno, replicas, now)
        case (.delete, _): table.deletionFailed(place)
        case (.update, _): table.timeRefused(place)
        }
    }

    private func creationFailed(
        _ place: UInt32, _ errno: CInt, _ replicas: ReplicaTable, _ now: Instant
    ) {
        let table = replicas.expectations
        guard table.creationFailed(place, now: now) == .refused else { return }
        refusals[min(Int(errno), refusals.count - 1)] += 1
        if errno == EOPNOTSUPP {
            replicas.missingHelpers.count(table.book.said[Int(place)].expectation.helper)
        }
    }
}
