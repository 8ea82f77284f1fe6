// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads entries again whose sequence numbers a helper may have shifted: the kernel makes no event of
/// that (measured, Linux 6.18), and a connection whose shift the new master does not know stalls.
///
/// A helper shifts a stream when it rewrites an announcement, and then there is a new expectation that
/// is translated: so its parent is read, a moment later, as the rewriting follows the event.
/// The kernel does not say an expectation's zone: the entry is looked for in every zone that was heard
/// of.
/// One thread uses it, the event listener's; its memory is taken once.
final class ShiftWatch {
    /// How long after the event.
    static let delay = 1 * Duration.millisecond
    private static let capacity = 256
    /// The most zones besides 0.
    private static let zoneLimit = 64

    private struct Item: BitwiseCopyable {
        var key: Key
        var due: Instant
    }

    private let query: any EntryLookup
    private let memory: MappedMemory
    private let items: UnsafeMutablePointer<Item>
    private var count = 0
    private var zones: [UInt16] = []
    private var lastZone: UInt16 = 0

    init(_ query: any EntryLookup) throws(SystemError) {
        self.query = query
        memory = try MappedMemory(byteCount: Self.capacity * MemoryLayout<Item>.stride)
        items = memory.base.bindMemory(to: Item.self, capacity: Self.capacity)
        zones.reserveCapacity(Self.zoneLimit)
    }

    /// When the next entry is to be read.
    var due: Instant? { count > 0 ? items[0].due : nil }

    /// Records an entry's zone.
    @inline(__always)
    func heard(zone: UInt16) {
        guard zone != lastZone else { return }
        lastZone = zone
        guard zone != 0, zones.count < Self.zoneLimit, !zones.contains(zone) else { return }
        zones.append(zone)
    }

    /// Records a new expectation; false if there is no room, and the shift may be missed.
    func add(_ expectation: borrowing Expectation, now: Instant) -> Bool {
        guard expectation.isTranslated else { return true }
        let key = expectation.parentKey
        for index in 0..<count where items[index].key == key && items[index].due > now {
            return true
        }
        guard count < Self.capacity else { return false }
        items[count] = Item(key: key, due: now + Self.delay)
        count += 1
        return true
    }

    /// Reads those that are due and hands out the shifted ones.
    func look(now: Instant, _ body: (Entry) -> Void) throws(SystemError) {
        var looked = 0
        while looked < count, items[looked].due <= now {
            looked += 1
            var key = items[looked - 1].key
            try read(key, body)
            for zone in zones {
                key.zone = zone
                try read(key, body)
            }
        }
        for index in looked..<count { items[index - looked] = items[index] }
        count -= looked
    }

    private func read(_ key: Key, _ body: (Entry) -> Void) throws(SystemError) {
        let entry = try query.entry(key)
        if let entry, entry.fields.contains(.sequenceAdjustment) { body(entry) }
    }
}
