// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The replica table against a dictionary that says what it should hold, over random operations and
/// a kernel that refuses some of them.
@Suite struct ReplicaModelTests {
    /// What the table is to hold, in the plainest way.
    private struct Model {
        var alive: [Key: Entry] = [:]
        var isInitsyncRunning = false
        /// What the live stream has said of a connection since the begin, or since packets were lost if none
        /// runs; nil for all there is.
        var spoken: [Key: Entry.Fields?] = [:]
        var confirmed: Set<Key> = []

        mutating func live(_ entry: Entry, isNew: Bool) {
            let before = (spoken[entry.key] ?? []) ?? Replica.everything
            spoken[entry.key] = isNew ? .some(nil) : before.union(entry.fields)
            guard !isNew, var held = alive[entry.key] else {
                alive[entry.key] = entry
                return
            }
            held.take(entry.fields, of: entry)
            alive[entry.key] = held
        }

        mutating func copy(_ entry: Entry) {
            confirmed.insert(entry.key)
            guard let held = alive[entry.key], let said = spoken[entry.key] else {
                // What has ended since the begin stays so.
                guard !isInitsyncRunning || spoken[entry.key] == nil else { return }
                alive[entry.key] = entry
                spoken[entry.key] = nil
                return
            }
            guard let said, held.reply == entry.reply else { return }
            var whole = entry
            whole.take(said.union(.status), of: held)
            alive[entry.key] = whole
        }

        mutating func delete(_ key: Key) {
            alive[key] = nil
            spoken[key] = .some([])
        }

        mutating func lose() {
            if !isInitsyncRunning { spoken = [:] }
        }

        mutating func begin() {
            isInitsyncRunning = true
            spoken = [:]
            confirmed = []
        }

        mutating func end(isComplete: Bool) {
            isInitsyncRunning = false
            guard isComplete else { return }
            alive = alive.filter { confirmed.contains($0.key) || spoken[$0.key] != nil }
        }
    }

    private static func entry(_ chance: Chance) -> Entry {
        let port = UInt16(1 + chance.below(12))
        let number = port % 3 == 0 ? ProtocolNumber.udp : ProtocolNumber.tcp
        var entry = SampleEntries.entry(SampleEntries.tuple(number, port, 80), [.IPS_SEEN_REPLY])
        entry.fields.remove(.mark)
        entry.mark = 0
        if chance.happens(500) {
            entry.mark = UInt32(1 + chance.below(3))
            entry.fields.insert(.mark)
        }
        if chance.happens(300) { entry.status.insert(.IPS_ASSURED) }
        if number == ProtocolNumber.tcp { entry.protocolInfo.state = UInt8(1 + chance.below(8)) }
        if chance.happens(300) { entry.reply.destinationPort = 3_000 + port }
        return entry
    }

    @Test func theTableHoldsWhatTheModelHolds() throws {
        let seed = Chance.anySeed
        for run in 0..<300 as Range<UInt64> {
            try Self.run(Chance(seed: seed &+ run), "seed \(seed), run \(run)")
        }
    }

    private static func run(_ chance: Chance, _ name: String) throws {
        let kernel = ReplicaKernel(chance)
        let table = try ReplicaTable(capacity: 64, seed: chance.next())
        let injector = try Injector(kernel, kernel)
        var model = Model()
        kernel.faults = chance.one(of: [0, 50, 300])
        for _ in 0..<300 {
            var entry = entry(chance)
            switch chance.below(13) {
            case 0...3:
                _ = table.update(entry, isNew: true, isCopy: false, now: 1)
                model.live(entry, isNew: true)
            case 4...5:
                let isMarked = entry.fields.contains(.mark)
                entry.fields = chance.happens(500) ? [.status, .timeout] : entry.fields
                if isMarked { entry.fields.insert(.mark) }
                _ = table.update(entry, isNew: false, isCopy: false, now: 1)
                model.live(entry, isNew: false)
            case 6...7:
                _ = table.update(entry, isNew: false, isCopy: true, now: 1)
                model.copy(entry)
            case 8:
                table.delete(entry.key, now: 1)
                model.delete(entry.key)
            case 9:
                table.beginInitsync()
                model.begin()
            case 10 where table.book.ledger.isRunning:
                let isComplete = chance.happens(700)
                table.endInitsync(isComplete: isComplete)
                model.end(isComplete: isComplete)
            case 11:
                table.losePackets(after: .none)
                model.lose()
            default:
                try injector.apply(table, now: 1)
            }
            if chance.happens(10) { restart(table, kernel, &model) }
            table.assertValid { Issue.record("\($0), \(name)") }
            #expect(table.aliveCount == model.alive.count, "\(name)")
            let lacking = model.alive.values.filter { !$0.isSufficient }
            #expect(table.insufficientCount == lacking.count, "\(name)")
        }
        kernel.faults = 0
        for _ in 0..<4 {
            table.renew(budget: 64, now: 1)
            try injector.apply(table, now: 1)
        }
        #expect(table.refusedCount == 0, "\(name)")
        compare(kernel, model, name)
    }

    /// The daemon is started again: what the kernel has is all that is known.
    private static func restart(
        _ table: ReplicaTable, _ kernel: ReplicaKernel, _ model: inout Model
    ) {
        table.removeAll()
        model = Model()
        for entry in kernel.dump(after: 0, 64).entries {
            var adopted = entry
            adopted.prepareForReplication()
            #expect(table.adopt(adopted, now: 1) == .applied)
            model.alive[entry.key] = adopted
        }
    }

    private static func compare(_ kernel: ReplicaKernel, _ model: Model, _ name: String) {
        let expected = model.alive.filter { $0.value.isSufficient }
        for key in Set(kernel.entries.keys).symmetricDifference(Set(expected.keys)) {
            Issue.record("\(name): port \(key.tuple.sourcePort), \(expected[key] != nil)")
        }
        let bits: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]
        for (key, entry) in expected {
            guard let held = kernel.entries[key] else { continue }
            #expect(held.reply == entry.reply, "\(name)")
            #expect(held.mark == entry.mark, "\(name)")
            #expect(held.protocolInfo == entry.protocolInfo, "\(name)")
            let status = entry.status.intersection(bits)
            #expect(held.status.intersection(bits) == status, "\(name)")
        }
    }
}
