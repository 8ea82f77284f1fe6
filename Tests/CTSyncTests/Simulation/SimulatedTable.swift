// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// A node's connection-tracking table as far as the daemon can tell it from the kernel's: entries
/// with timeouts that run, capacity and early drop, parents and helpers, expectations.
///
/// Every change calls `emit`, whoever made it.
final class SimulatedTable {
    /// An entry, when it expires, and whether it may ever send an event.
    struct Slot {
        var entry: Entry
        var expiresAt: Instant
        /// nf_conntrack_events was 0, or 2 with nobody listening, when it was made.
        var isMute = false
        /// When it was made.
        var madeAt: Instant = 0
        /// When anybody made or changed it, a packet passed, or its node was known to mean the connection that
        /// lives, last.
        var usedAt: Instant = 0
        /// Its CTA_ID.
        var id: UInt32 = 0
    }

    /// Whose doing a change is.
    enum Cause {
        /// A packet, or the end of its time.
        case traffic
        /// Somebody's command.
        case hand
        /// This node's daemon.
        case daemon
        /// The kernel flushes what was masqueraded to a device.
        case masquerade
    }

    /// Takes what happens to an entry: what an event would say.
    var emit: (CtnetlinkKind, Entry, Cause) -> Void = { _, _, _ in }
    /// Takes what happens to an expectation.
    var emitExpectation: (CtnetlinkKind, Expectation) -> Void = { _, _ in }
    /// Takes what happens to an entry, whether or not an event says so.
    var watch: (String, Key, Cause) -> Void = { _, _, _ in }
    /// How many entries there may be.
    var capacity = 1_000
    /// When it had no room last for what a daemon asked for.
    private(set) var fullAt: Instant = 0
    /// Whether helpers are there.
    var hasHelpers = true
    /// Whether new entries may send events.
    var isEventful = true
    private(set) var now: Instant = 0
    private(set) var slots: [Key: Slot] = [:]
    private(set) var expectations: [Expectation] = []
    /// When each of them expires.
    private var expectationEnds: [Key: Instant] = [:]
    /// Related entries whose parent has ended since; a slave may hold them as unrelated ones.
    private(set) var orphans: Set<Key> = []
    /// When each key's entry went last, and why, and when it was made.
    private(set) var removals: [Key: (at: Instant, cause: Cause, madeAt: Instant)] = [:]
    /// Keys of which there was an entry that sends no events, as it was made while they were off.
    private(set) var muted: Set<Key> = []
    /// When a packet made an entry of a key last, or changed it so that an event says so.
    private(set) var touched: [Key: Instant] = [:]
    /// When the kernel flushed last what was masqueraded to an address.
    private(set) var flushedAt: Instant = 0
    private var replies: [Key: Key] = [:]
    private var nextExpiry: Instant = .max
    private var lastID: UInt32 = 0

    /// The entry of a key.
    func entry(_ key: Key) -> Entry? { slots[key]?.entry }

    /// The key of the entry with this reply tuple.
    func key(replying reply: Key) -> Key? { replies[reply] }

    /// Lets time pass: what is due expires.
    func advance(to instant: Instant) {
        now = instant
        guard instant >= nextExpiry else { return }
        for key in sorted(slots.filter { $0.value.expiresAt <= instant }.keys) {
            _ = remove(key, .traffic)
        }
        for expectation in expectations where isOver(expectation) { _ = remove(expectation) }
        nextExpiry = min(
            slots.values.map(\.expiresAt).min() ?? .max, expectationEnds.values.min() ?? .max)
    }

    private func isOver(_ expectation: Expectation) -> Bool {
        expectationEnds[expectation.key].map { $0 <= now } ?? false
    }

    /// Seconds that an entry has left.
    func secondsLeft(_ key: Key) -> UInt32 {
        guard let slot = slots[key], slot.expiresAt > now else { return 0 }
        return UInt32(clamping: (slot.expiresAt - now + Duration.second - 1) / Duration.second)
    }

    /// Makes an entry.
    ///
    /// - Returns: 0 or the kernel's errno.
    func insert(_ entry: Entry, seconds: UInt32, _ cause: Cause) -> CInt {
        let reply = Key(entry.reply, zone: entry.key.zone)
        guard slots[entry.key] == nil, replies[reply] == nil else { return EEXIST }
        if slots.count >= capacity {
            // early_drop: the first that is not assured.
            let victim = slots.values.filter { !$0.entry.status.contains(.IPS_ASSURED) }
                .min {
                    ($0.expiresAt, Self.order($0.entry.key))
                        < ($1.expiresAt, Self.order($1.entry.key))
                }
            guard let victim, cause == .traffic else {
                fullAt = now
                return ENOMEM
            }
            _ = remove(victim.entry.key, .traffic)
        }
        // init_conntrack looks for the expectation after that: what was dropped expects nothing any more.
        if entry.fields.contains(.parent) {
            let parent = Key(entry.extras.parent, zone: entry.key.zone)
            guard slots[parent] != nil else { return ENOENT }
        }
        var slot = Slot(entry: entry, expiresAt: now + UInt64(seconds) * Duration.second)
        slot.entry.timeoutSeconds = seconds
        slot.isMute = !isEventful
        slot.madeAt = now
        slot.usedAt = now
        lastID += 1
        slot.id = lastID
        if cause == .traffic { touched[entry.key] = now }
        if slot.isMute { muted.insert(entry.key) }
        slots[entry.key] = slot
        replies[reply] = entry.key
        nextExpiry = min(nextExpiry, slot.expiresAt)
        watch("inserted, answers to \(entry.reply.destinationPort)", entry.key, cause)
        tell(.new, slot.entry, slot, cause)
        return 0
    }

    /// Removes an entry, and its expectations.
    func remove(_ key: Key, _ cause: Cause) -> Entry? {
        guard let slot = slots.removeValue(forKey: key) else { return nil }
        removals[key] = (now, cause, slot.madeAt)
        watch("removed", key, cause)
        replies[Key(slot.entry.reply, zone: key.zone)] = nil
        orphans.remove(key)
        for child in slots.values where child.entry.fields.contains(.parent) {
            let isOwn =
                child.entry.key.zone == key.zone && child.entry.extras.parent == key.tuple
            if isOwn { orphans.insert(child.entry.key) }
        }
        for expectation in expectations
        where expectation.parent == key.tuple && expectation.key.zone == key.zone {
            _ = remove(expectation)
        }
        var entry = slot.entry
        entry.timeoutSeconds = slot.expiresAt > now ? secondsLeft(of: slot) : 0
        tell(.destroy, entry, slot, cause)
        return entry
    }

    private func secondsLeft(of slot: Slot) -> UInt32 {
        UInt32(clamping: (slot.expiresAt - now + Duration.second - 1) / Duration.second)
    }

    /// Changes an entry; the event says these fields.
    func change(
        _ key: Key, saying fields: Entry.Fields, _ cause: Cause, _ body: (inout Entry) -> Void
    ) {
        guard var slot = slots[key] else { return }
        body(&slot.entry)
        slot.entry.fields.formUnion(fields)
        slot.usedAt = now
        if cause == .traffic { touched[key] = now }
        slots[key] = slot
        var said = slot.entry
        said.timeoutSeconds = secondsLeft(key)
        said.fields = fields.union([.status, .timeout])
        tell(.update, said, slot, cause)
    }

    /// Sets an entry's timeout; a packet does it without an event.
    func refresh(_ key: Key, seconds: UInt32, _ cause: Cause = .traffic) {
        guard var slot = slots[key] else { return }
        slot.expiresAt = now + UInt64(seconds) * Duration.second
        if cause == .traffic { slot.usedAt = now }
        slots[key] = slot
        nextExpiry = min(nextExpiry, slot.expiresAt)
    }

    /// What is there is of the connection that lives.
    func use(_ key: Key) {
        slots[key]?.usedAt = now
    }

    private func tell(_ kind: CtnetlinkKind, _ entry: Entry, _ slot: Slot, _ cause: Cause) {
        guard !slot.isMute else { return }
        var event = entry
        event.id = slot.id
        emit(kind, event, cause)
    }

    // MARK: Expectations

    /// Makes an expectation.
    ///
    /// - Returns: 0 or the kernel's errno.
    func insert(_ expectation: Expectation) -> CInt {
        let parent = slots[Key(expectation.parent, zone: expectation.key.zone)]?.entry
        guard let parent else { return ENOENT }
        guard hasHelpers, parent.fields.contains(.helper) else { return EOPNOTSUPP }
        guard !expectations.contains(where: { $0.key == expectation.key }) else { return EEXIST }
        expectations.append(expectation)
        _ = refresh(expectation: expectation.key, seconds: expectation.timeoutSeconds)
        watch("expects \(expectation.key.tuple.destinationPort)", parent.key, .daemon)
        emitExpectation(.expectNew, expectation)
        return 0
    }

    /// Sets the timeout of an expectation; false where there is none.
    func refresh(expectation key: Key, seconds: UInt32) -> Bool {
        guard expectations.contains(where: { $0.key == key }) else { return false }
        let end = now + UInt64(seconds) * Duration.second
        expectationEnds[key] = end
        nextExpiry = min(nextExpiry, end)
        return true
    }

    /// All of them as a dump shows them, with the time that they have left.
    var shownExpectations: [Expectation] {
        expectations.map { expectation in
            var shown = expectation
            let end = expectationEnds[expectation.key] ?? now
            shown.timeoutSeconds = UInt32(
                clamping: (max(end, now) - now + Duration.second - 1) / Duration.second)
            return shown
        }
    }

    /// Removes an expectation; false where there is none.
    func remove(_ expectation: Expectation) -> Bool {
        guard let index = expectations.firstIndex(where: { $0.key == expectation.key }) else {
            return false
        }
        let parent = Key(expectation.parent, zone: expectation.key.zone)
        expectationEnds[expectation.key] = nil
        watch("expects \(expectation.key.tuple.destinationPort) no more", parent, .daemon)
        emitExpectation(.expectDestroy, expectations.remove(at: index))
        return true
    }

    // MARK: All at once

    /// Removes everything that matches: `conntrack -F`, or what an address was lost of.
    func flush(_ cause: Cause, _ matches: (Entry) -> Bool = { _ in true }) {
        if cause == .masquerade { flushedAt = now }
        for key in sorted(slots.filter { matches($0.value.entry) }.keys) { _ = remove(key, cause) }
    }

    /// Some keys in the same order each time.
    private func sorted(_ keys: some Collection<Key>) -> [Key] {
        keys.sorted { Self.order($0) < Self.order($1) }
    }

    private static let order = TupleHash(seed: 1)

    /// Forgets everything without a word: the machine was off.
    func powerCycle() {
        for key in slots.keys {
            removals[key] = nil
            watch("removed", key, .hand)
        }
        slots = [:]
        replies = [:]
        expectations = []
        expectationEnds = [:]
        orphans = []
        nextExpiry = .max
    }
}
