// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Has the kernel follow the replica table: requests out, answers in.
///
/// 1. Take the table's next request and write it into the batch, until that is full or there is none.
/// 2. Send the batch; the kernel has worked through it when the call returns.
/// 3. Give the table the answer to each request, in their order. It may have a request for the next
///    round then.
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

    /// Entries of others removed, as they had the tuple or reply tuple of a replica.
    private(set) var displaced: UInt64 = 0
    /// Whether an entry that is no replica may be removed if it is in the way of one: not the
    /// node's own connections.
    var mayDisplace: (Entry) -> Bool = { _ in false }

    /// How late what this kernel has in the way of what is handed over is, if it is newer and stays; nil
    /// if not. Asked while the node is master and takes a table over.
    var wordOfNewer: (_ here: Entry, _ handed: Entry) -> Basis? = { _, _ in Basis.none }

    /// Whether what is made is given the time that it would have had at the master, and is not held.
    var givesOwnTime = false

    private let requests: any KernelRequests
    private let lookup: any EntryLookup
    private var asked: AskedRequests<InjectOperation>
    /// Every remedy for every replica: `InjectRemedy` gives up before.
    private static let maximumRounds = 4

    /// An injector into a kernel's table.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(_ requests: any KernelRequests, _ lookup: any EntryLookup) throws(SystemError) {
        self.requests = requests
        self.lookup = lookup
        asked = try AskedRequests()
        refusals = [UInt64](repeating: 0, count: 134)
    }

    /// Brings the kernel to what the table says.
    ///
    /// - Parameters:
    ///   - limit: of what an initsync copies, at most so many; the rest is left for the next call.
    ///   - now: seconds of the slave's clock.
    /// - Throws: `SystemError` if the socket fails; the table does not know then what the kernel has:
    ///   it is to be emptied, and filled from a dump, or what was asked is to be asked again.
    func apply(
        _ table: ReplicaTable, copies limit: Int = .max, now: UInt32
    ) throws(SystemError) {
        table.lookAtWaiting(now: now)
        try applyLive(table, now)
        guard limit > 0, table.kernel.copyCount > 0 else { return }
        try apply(table.kernel.beginRound(ofCopies: limit), table, now)
        try applyLive(table, now)
    }

    private func applyLive(_ table: ReplicaTable, _ now: UInt32) throws(SystemError) {
        var rounds = 0
        while table.kernel.liveCount > 0, rounds < Self.maximumRounds {
            rounds += 1
            try apply(table.kernel.beginRound(), table, now)
        }
    }

    private func apply(
        _ round: KernelBook.Round, _ table: ReplicaTable, _ now: UInt32
    ) throws(SystemError) {
        var round = round
        while let (operation, place) = table.nextRequest(
            &round, now: now, mayReplace: { mayReplace($0, table, now) })
        {
            while !write(operation, place, table, now) { try makeRoom(for: place, table, now) }
        }
        try send(table, now)
        table.lookAtWaiting(now: now)
    }

    /// False if the batch must be sent first.
    private func write(
        _ operation: InjectOperation, _ place: UInt32, _ table: ReplicaTable, _ now: UInt32
    ) -> Bool {
        guard !asked.isFull else { return false }
        let tag = asked.tag
        let hold =
            givesOwnTime ? table.runningTime(at: place, now: now) : ReplicaTable.holdSeconds
        let isWritten: Bool
        switch operation {
        case .create:
            let entry = table.request(at: place)
            isWritten = requests.create(entry, timeoutSeconds: hold, tag: tag)
            if isWritten, entry.isTranslated { hasTranslated = true }
        case .update:
            isWritten = requests.update(table.request(at: place), timeoutSeconds: hold, tag: tag)
        case .delete:
            isWritten = requests.delete(table.book.pool.replicas[Int(place)].key, tag: tag)
        }
        if isWritten { asked.append(operation, place) }
        return isWritten
    }

    /// Sends the batch that is full; the place that is next is not forgotten if that fails.
    private func makeRoom(
        for place: UInt32, _ table: ReplicaTable, _ now: UInt32
    ) throws(SystemError) {
        do throws(SystemError) {
            try send(table, now)
        } catch {
            table.move(place, .unanswered)
            throw error
        }
    }

    private func send(_ table: ReplicaTable, _ now: UInt32) throws(SystemError) {
        defer { asked.removeAll() }
        try asked.send(requests, "an injected batch") { table.move($0, .unanswered) }
        for index in 0..<asked.count {
            let request = asked[index]
            take(request.operation, request.place, request.errno, table, now)
        }
    }

    private func take(
        _ operation: InjectOperation, _ place: UInt32, _ errno: CInt, _ table: ReplicaTable,
        _ now: UInt32
    ) {
        guard errno != 0 else {
            count(operation)
            table.done(operation, place)
            return
        }
        let isThere = operation == .create && errno == EEXIST
        var found: Entry?
        var isUnread = false
        do throws(SystemError) {
            if isThere { found = try lookup.entry(table.book.pool.replicas[Int(place)].key) }
        } catch {
            isUnread = true
        }
        let isBlocked = isThere && displace(found, place, table)
        let mayBeKept = isThere && !isBlocked && table.isCreateOnly
        var isKept = mayBeKept && found == nil
        if mayBeKept, let found, let word = wordOfNewer(found, table.request(at: place)) {
            table.keep(found, place, word, now: now)
            isKept = true
        }
        switch table.failed(
            operation, place, errno, now: now, found: isBlocked ? nil : found,
            isBlocked: isBlocked || isUnread, isKept: isKept)
        {
        case .refused:
            refusals[min(Int(errno), refusals.count - 1)] += 1
            // Without a helper in the request, it is the address translation that this node cannot do.
            if operation == .create, errno == EOPNOTSUPP,
                table.book.pool.isTranslated(place)
            {
                untranslatable += 1
            }
        case .labelsIgnored: count(operation)
        default: break
        }
    }

    /// Looks at what is in the way of a replica where that is another connection, which has its reply
    /// tuple or, translated, its original one. The master's word wins over what is neither a replica, as the
    /// master has it now, nor the node's own: it is removed with the next batch, ahead of the replica's next
    /// creation.
    ///
    /// - Returns: whether it is another connection.
    private func displace(
        _ found: Entry?, _ place: UInt32, _ table: ReplicaTable
    ) -> Bool {
        let key = table.book.pool.replicas[Int(place)].key
        if let found, found.key == key { return false }
        var blocker = found
        if blocker == nil {
            do throws(SystemError) {
                blocker = try lookup.entry(withReplyOf: table.book.entry(at: place))
            } catch {
                return false
            }
        }
        guard let blocker, blocker.key != key else { return false }
        guard !table.isCreateOnly else {
            return giveWay(blocker, to: table.request(at: place), table)
        }
        if let other = table.book.alivePlace(blocker.key),
            !table.remake(other, insteadOf: blocker)
        {
            table.yield(other, to: place)
            return true
        }
        guard mayDisplace(blocker) else { return true }
        if requests.delete(blocker.key, tag: Self.noTag) { displaced += 1 }
        return true
    }

    /// Whether what this kernel has in a replica's place may be deleted for it. On a master it would be lost
    /// with that if something else, which is later, is in the replica's way: then it stays.
    private func mayReplace(_ place: UInt32, _ table: ReplicaTable, _ now: UInt32) -> Bool {
        guard table.isCreateOnly else { return true }
        do throws(SystemError) {
            guard try isObstructed(place, table, within: Self.longestChain),
                let here = try lookup.entry(table.book.pool.replicas[Int(place)].key)
            else { return true }
            table.keepReplaced(here, place, now: now)
            return false
        } catch {
            return true
        }
    }

    /// Whether a later connection has a replica's reply tuple and will not go.
    ///
    /// - Parameter limit: of those that take each other's places; of a ring of them all go.
    private func isObstructed(
        _ place: UInt32, _ table: ReplicaTable, within limit: Int
    ) throws(SystemError) -> Bool {
        let wanted = table.request(at: place)
        guard limit > 0, let other = try lookup.entry(withReplyOf: wanted),
            other.key != wanted.key
        else { return false }
        switch table.prospect(of: other) {
        case .goes: return false
        case .isReplaced(let next): return try isObstructed(next, table, within: limit - 1)
        case .stays: return !mayGo(other, for: wanted)
        }
    }

    private static let longestChain = 8

    /// Removes, for what a node of a later word hands over, an older connection.
    ///
    /// - Returns: whether it goes.
    private func giveWay(
        _ blocker: Entry, to handed: Entry, _ table: ReplicaTable
    ) -> Bool {
        guard mayGo(blocker, for: handed) else { return false }
        guard !table.giveUp(here: blocker) else { return true }
        if requests.delete(blocker.key, tag: Self.noTag) { displaced += 1 }
        return true
    }

    /// Whether what this kernel has may be removed for what is handed over, and is not newer.
    private func mayGo(_ blocker: Entry, for handed: Entry) -> Bool {
        mayDisplace(blocker) && wordOfNewer(blocker, handed) == nil
    }

    /// Of requests whose answer nobody waits for: the last of the largest batch, which is never full.
    private static let noTag = UInt32.max

    private func count(_ operation: InjectOperation) {
        switch operation {
        case .create: created += 1
        case .update: updated += 1
        case .delete: deleted += 1
        }
    }
}
