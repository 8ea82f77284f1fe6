// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Turns dirty replicas into batched requests and takes care of what comes back.
///
/// Thread: the receiver's. Memory: the batch's, taken once. A refused request is tried again as the
/// other kind or counted by errno; `Injector` never drops one silently.
final class Injector {
    /// Requests the kernel took, by kind.
    private(set) var created: UInt64 = 0
    /// Requests the kernel took, by kind.
    private(set) var updated: UInt64 = 0
    /// Requests the kernel took, by kind.
    private(set) var deleted: UInt64 = 0
    /// Refusals that no other operation cured, by errno; the last cell counts all beyond.
    private(set) var refusals: [UInt64]

    /// Whether it has asked the kernel to create a translated entry.
    private(set) var hasTranslated = false
    /// Refused creations of translated entries: a kernel without NAT.
    private(set) var untranslatable: UInt64 = 0

    private let requests: any KernelRequests
    private let lookup: any EntryLookup
    private static let placeBits: UInt32 = 30
    /// Every remedy for every replica: `InjectRemedy` gives up before.
    private static let maximumRounds = 4

    /// An injector into a table.
    init(_ requests: any KernelRequests, _ lookup: any EntryLookup) {
        self.requests = requests
        self.lookup = lookup
        refusals = [UInt64](repeating: 0, count: 134)
    }

    /// Brings the kernel to what the table says.
    ///
    /// - Parameter now: seconds of the slave's clock.
    /// - Throws: `SystemError` where the socket fails; the table then believes too much and has to
    ///   be compared with a dump.
    func apply(_ table: ReplicaTable, now: UInt32) throws(SystemError) {
        table.lookAtWaiting(now: now)
        var rounds = 0
        var failure: SystemError?
        while table.isDirty, rounds < Self.maximumRounds, failure == nil {
            rounds += 1
            table.drainDirty(
                into: { operation, place in
                    // What is queued now would be sent with the next batch, for another table.
                    guard failure == nil else { return }
                    let tag = operation.rawValue << Self.placeBits | place
                    while !queue(operation, place, tag, table) {
                        if failure == nil { failure = send(table, now) }
                        if failure != nil { return }
                    }
                    count(operation, 1)
                    if operation == .create, table.pool.replicas[Int(place)].isTranslated {
                        hasTranslated = true
                    }
                }, now: now)
            if failure == nil { failure = send(table, now) }
            if failure == nil { table.settle() }
            table.lookAtWaiting(now: now)
        }
        if let failure { throw failure }
    }

    private func queue(
        _ operation: InjectOperation, _ place: UInt32, _ tag: UInt32, _ table: ReplicaTable
    ) -> Bool {
        switch operation {
        case .create:
            requests.create(
                table.request(at: place), timeoutSeconds: ReplicaTable.holdSeconds, tag: tag)
        case .update:
            requests.update(
                table.request(at: place), timeoutSeconds: ReplicaTable.holdSeconds, tag: tag)
        case .delete:
            requests.delete(table.pool.replicas[Int(place)].key, tag: tag)
        }
    }

    private func send(_ table: ReplicaTable, _ now: UInt32) -> SystemError? {
        do throws(SystemError) {
            let outcome = try requests.send { tag, errno in
                let place = tag & (1 << Self.placeBits - 1)
                guard let operation = InjectOperation(rawValue: tag >> Self.placeBits) else {
                    return
                }
                count(operation, -1)
                let isThere = operation == .create && errno == EEXIST
                switch table.failed(
                    operation, place, errno, now: now, found: isThere ? find(place, table) : nil)
                {
                case .refused:
                    refusals[min(Int(errno), refusals.count - 1)] += 1
                    if operation == .create, errno == EOPNOTSUPP { countUntranslated(place, table) }
                case .labelsIgnored: count(operation, 1)
                default: break
                }
            }
            // What became of the batch is not known.
            return outcome.lostErrors
                ? SystemError("errors of an injected batch", errno: ENOBUFS) : nil
        } catch {
            return error
        }
    }

    /// The entry in the place of one that could not be created; nil also where that cannot be told,
    /// or where it is another connection's reply tuple that is in the way.
    private func find(_ place: UInt32, _ table: ReplicaTable) -> Entry? {
        do throws(SystemError) {
            return try lookup.entry(table.pool.replicas[Int(place)].key)
        } catch {
            return nil
        }
    }

    /// Without a helper in the request, it is the address translation that this node cannot do.
    private func countUntranslated(_ place: UInt32, _ table: ReplicaTable) {
        if table.pool.replicas[Int(place)].isTranslated { untranslatable += 1 }
    }

    private func count(_ operation: InjectOperation, _ step: Int64) {
        let step = UInt64(bitPattern: step)
        switch operation {
        case .create: created &+= step
        case .update: updated &+= step
        case .delete: deleted &+= step
        }
    }
}
