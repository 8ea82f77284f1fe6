// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// A connection-tracking table for the tests of replicas and injection: it refuses what the kernel
/// refuses.
final class ReplicaKernel: EntriesOnly {
    private enum Request {
        case create(Entry, UInt32)
        case update(Entry, UInt32)
        case delete(Key, UInt32)
    }

    /// So few requests fit a batch that replicas often take several.
    private static let batchLimit = 5

    private(set) var entries: [Key: Entry] = [:]
    /// How many requests in a thousand fail for reasons of the kernel's own.
    var faults = 0
    /// How many batches in ten thousand break off.
    var breaks = 0
    /// Requests that changed something, by any injector.
    private(set) var changes = 0

    /// Related entries whose master has ended since; a slave may hold them as unrelated ones.
    private(set) var orphans: Set<Key> = []
    private var replies: [Key: Key] = [:]
    private var queue: [Request] = []
    private let chance: Chance
    private let bucket = TupleHash(seed: 1)

    init(_ chance: Chance) {
        self.chance = chance
    }

    // MARK: Traffic

    /// A packet makes an entry; false where one is in its way.
    @discardableResult
    func make(_ entry: Entry) -> Bool {
        insert(entry) == 0
    }

    /// An entry ends.
    func end(_ key: Key) {
        _ = remove(key)
    }

    // MARK: The daemon's side

    /// A piece of a dump: the entries whose buckets follow.
    func dump(after cursor: UInt64, _ count: Int) -> (entries: [Entry], next: UInt64?) {
        let following = entries.values
            .map { (UInt64(bucket($0.key)) + 1, $0) }
            .filter { $0.0 > cursor }
            .sorted { $0.0 < $1.0 }
        let piece = following.prefix(count)
        return (piece.map { Self.dumped($0.1) }, following.count > count ? piece.last?.0 : nil)
    }

    private static func dumped(_ entry: Entry) -> Entry {
        var dumped = entry
        dumped.fields.insert(.id)
        dumped.fields.remove(.mark)
        if entry.mark != 0 { dumped.fields.insert(.mark) }
        return dumped
    }

    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        enqueue(.create(copy entry, tag))
    }

    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        enqueue(.update(copy entry, tag))
    }

    func delete(_ key: borrowing Key, tag: UInt32) -> Bool {
        enqueue(.delete(copy key, tag))
    }

    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool { delete(entry.key, tag: tag) }

    func entry(_ key: borrowing Key) -> Entry? { entries[key] }

    func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) -> BatchOutcome {
        defer { queue = [] }
        for request in queue {
            if breaks > 0, chance.below(10_000) < breaks {
                throw SystemError("a batch", errno: ENOBUFS)
            }
            let (tag, error) = carryOut(request)
            if error != 0 { failure(tag, error) }
        }
        return BatchOutcome()
    }

    private func enqueue(_ request: Request) -> Bool {
        guard queue.count < Self.batchLimit else { return false }
        queue.append(request)
        return true
    }

    private func carryOut(_ request: Request) -> (UInt32, CInt) {
        changes += 1
        switch request {
        case .create(let entry, let tag):
            return (tag, chance.happens(faults) ? ENOMEM : insert(Self.made(of: entry)))
        case .update(let entry, let tag):
            return (tag, chance.happens(faults) ? ENOMEM : replace(entry))
        case .delete(let key, let tag):
            return (tag, chance.happens(faults) ? EBUSY : remove(key) == nil ? ENOENT : 0)
        }
    }

    // MARK: The table

    private func insert(_ entry: Entry) -> CInt {
        let reply = Key(entry.reply, zone: entry.key.zone)
        guard entries[entry.key] == nil, replies[reply] == nil else { return EEXIST }
        if entry.fields.contains(.parent) {
            let master = Key(entry.extras.parent, zone: entry.key.zone)
            guard entries[master] != nil else { return ENOENT }
        }
        entries[entry.key] = entry
        replies[reply] = entry.key
        return 0
    }

    private func remove(_ key: Key) -> Entry? {
        guard let entry = entries.removeValue(forKey: key) else { return nil }
        replies[Key(entry.reply, zone: key.zone)] = nil
        orphans.remove(key)
        for child in entries.values where child.fields.contains(.parent) {
            let isOwn = child.key.zone == key.zone && child.extras.parent == key.tuple
            if isOwn { orphans.insert(child.key) }
        }
        return entry
    }

    /// What a create request makes.
    private static func made(of entry: Entry) -> Entry {
        var made = entry
        made.status = entry.status.subtracting(.notAtCreation).union(.IPS_CONFIRMED)
        if entry.fields.contains(.parent) { made.status.insert(.IPS_EXPECTED) }
        return made
    }

    private func replace(_ request: Entry) -> CInt {
        guard var entry = entries[request.key] else { return ENOENT }
        var status = request.status.intersection(.changeable).union(.IPS_CONFIRMED)
        if request.fields.contains(.parent) { status.insert(.IPS_EXPECTED) }
        let cleared = entry.status.subtracting(status)
        let isExpected = entry.status.contains(.IPS_EXPECTED)
        guard cleared.isDisjoint(with: .onlyEverSet),
            isExpected == status.contains(.IPS_EXPECTED)
        else { return EBUSY }
        entry.status = status
        entry.mark = request.mark
        if request.fields.contains(.protocolInfo) { entry.protocolInfo = request.protocolInfo }
        if request.fields.contains(.labels) {
            entry.extras.labelsLow = request.extras.labelsLow
            entry.extras.labelsHigh = request.extras.labelsHigh
            entry.fields.insert(.labels)
        }
        entries[request.key] = entry
        return 0
    }
}
