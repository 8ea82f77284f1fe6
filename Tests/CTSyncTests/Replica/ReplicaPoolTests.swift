// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The index over replicas, whose cells have as many bits for a place as the capacity takes.
@Suite struct ReplicaPoolTests {
    private static func entry(_ number: Int) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, UInt16(number), 53))
    }

    /// Full to the last place, whatever number of bits that has; then some go and others come.
    @Test(arguments: [1, 2, 3, 4, 63, 64, 65, 1_000, 1_024])
    func everyPlaceIsFound(_ capacity: Int) throws {
        let seed = Chance.anySeed
        let chance = Chance(seed: seed)
        var pool = try ReplicaPool(capacity: capacity, seed: chance.next())
        let ledger = try Ledger(tombstones: 8)
        var held: [Int: UInt32] = [:]
        for number in 0..<capacity {
            let replica = Replica(Self.entry(number), ledger.word(.live), now: 1)
            held[number] = pool.insert(replica)
        }
        #expect(held.count == capacity, "seed \(seed)")
        let other = pool.insert(Replica(Self.entry(9_999), ledger.word(.live), now: 1))
        #expect(other == nil)
        for round in 1..<5 {
            for (number, place) in held where chance.happens(400) {
                pool.remove(place)
                held[number] = nil
                let next = number + round * 2_000
                let replica = Replica(Self.entry(next), ledger.word(.live), now: 1)
                if chance.happens(500) { held[next] = pool.insert(replica) }
            }
            for number in 0..<10_000 {
                let place = held[number] ?? ReplicaPool.noPlace
                let found = pool.find(Self.entry(number).key)
                if found != place { Issue.record("\(number) is at \(found), seed \(seed)") }
            }
            pool.assertValid { Issue.record("\($0), seed \(seed)") }
            #expect(pool.count == held.count)
        }
    }

    /// Reply tuples of both families, translated or not, and what few have besides, come and go in one
    /// replica after the other.
    @Test func replyTuplesAndExtrasAreKept() throws {
        let seed = Chance.anySeed
        let chance = Chance(seed: seed)
        var pool = try ReplicaPool(capacity: 64, seed: chance.next())
        let ledger = try Ledger(tombstones: 8)
        var held: [UInt32: Entry] = [:]
        for number in 0..<2_000 {
            if let place = held.keys.sorted().first(where: { _ in chance.happens(30) }) {
                pool.remove(place)
                held[place] = nil
            }
            var entry = Self.entry(number)
            if chance.happens(500) {
                let tuple = Tuple(
                    family: .ipv6, protocolNumber: ProtocolNumber.udp,
                    source: Address(high: 1, low: chance.next()),
                    destination: Address(high: chance.next(), low: 2),
                    sourcePort: UInt16(number), destinationPort: 53)
                entry = Entry(Key(tuple))
            }
            Self.change(&entry, chance)
            guard
                let place = pool.insert(Replica(entry, ledger.word(.live), now: 1))
            else { continue }
            held[place] = entry
            pool.setReply(place, entry.reply)
            if entry.fields.contains(.labels) { pool.setExtras(place, entry.extras) }
            if let other = held.keys.sorted().last, chance.happens(300), var changed = held[other] {
                Self.change(&changed, chance)
                held[other] = changed
                pool.dropRarity(other)
                pool.setReply(other, changed.reply)
                if changed.fields.contains(.labels) { pool.setExtras(other, changed.extras) }
            }
            for (place, entry) in held {
                #expect(pool.reply(place) == entry.reply, "seed \(seed), \(number)")
                #expect(pool.isTranslated(place) == entry.isTranslated, "seed \(seed), \(number)")
                let extras = pool.extras(place) ?? Extras()
                #expect(extras == entry.extras, "seed \(seed), \(number)")
            }
            pool.assertValid { Issue.record("\($0), seed \(seed)") }
        }
    }

    /// Another reply tuple, and labels or none.
    private static func change(_ entry: inout Entry, _ chance: Chance) {
        entry.reply = entry.key.tuple.inverse
        if chance.happens(500) { entry.reply.destinationPort = UInt16(chance.below(60_000)) }
        if chance.happens(300) { entry.reply.destination.low = 0xCB00_7101 }
        if chance.happens(300), entry.key.tuple.family == .ipv6 { entry.reply.source.high = 7 }
        entry.fields.remove(.labels)
        entry.extras = Extras()
        guard chance.happens(300) else { return }
        entry.fields.insert(.labels)
        entry.extras.labelsLow = chance.next()
    }
}
