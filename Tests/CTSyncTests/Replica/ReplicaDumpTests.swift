// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What `dump` and `flush` make of a replica table.
@Suite struct ReplicaDumpTests {
    private func entry(_ port: UInt16, _ number: UInt8 = ProtocolNumber.udp) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(number, port, 53))
    }

    private func dump(
        _ table: ReplicaTable, _ criteria: [String] = [], now: UInt32 = 100
    ) throws -> ([DumpedReplica], pieces: Int) {
        let rule = try ReplicationRule(criteria: criteria)
        let piece = DumpPiece()
        var replicas: [DumpedReplica] = []
        var pieces = 0
        while piece.next != nil {
            piece.fill(from: table.book, rule, now: now)
            #expect(piece.replicas.count <= DumpPiece.capacity)
            replicas += piece.replicas
            pieces += 1
        }
        return (replicas, pieces)
    }

    @Test func agesAndOriginsAreTold() throws {
        let table = try ReplicaTable(capacity: 100, seed: 1)
        #expect(try dump(table).0.isEmpty)
        _ = table.adopt(entry(1), now: 10)
        _ = table.adopt(entry(2), now: 10)
        table.beginInitsync()
        _ = table.update(entry(2), isNew: false, isCopy: true, now: 20)
        _ = table.update(entry(3), isNew: false, isCopy: true, now: 30)
        _ = table.update(entry(4), isNew: true, isCopy: false, now: 40)
        _ = table.update(entry(5, ProtocolNumber.tcp), isNew: true, isCopy: false, now: 40)
        table.delete(entry(5, ProtocolNumber.tcp).key, now: 50)
        let shown = try dump(table).0.map {
            "\($0.entry.key.tuple.sourcePort) \($0.ageSeconds) \($0.origin)"
        }
        #expect(shown.sorted() == ["1 90 kernel", "2 80 initsync", "3 70 initsync", "4 60 live"])
        table.endInitsync(isComplete: true)
        #expect(try dump(table).0.count == 3, "the unconfirmed one is gone")
        #expect(try dump(table, ["protocol", "tcp"]).0.isEmpty)
    }

    @Test func aPieceIsBoundedByReplicasAndByPlaces() throws {
        let table = try ReplicaTable(capacity: 40_000, seed: 1)
        for port in UInt16(1)...30_000 {
            _ = table.update(entry(port), isNew: true, isCopy: false, now: 1)
        }
        let (all, pieces) = try dump(table)
        #expect(Set(all.map(\.entry.key.tuple.sourcePort)).count == 30_000)
        #expect(pieces >= 30_000 / DumpPiece.capacity)
        let (few, looks) = try dump(table, ["mark", "7"])
        #expect(few.count == 1 && looks <= 30_000 / DumpPiece.placeLimit + 2)
    }

    @Test func flushKillsAllAndARunningInitsyncProvesNothing() throws {
        let table = try ReplicaTable(capacity: 100, seed: 1)
        for port in UInt16(1)...50 {
            _ = table.update(entry(port), isNew: true, isCopy: false, now: 1)
        }
        #expect(table.killAll() == 50 && table.aliveCount == 0)
        #expect(try dump(table).0.isEmpty && table.killAll() == 0)
        // The same connections again, by a copy.
        table.beginInitsync()
        #expect(table.update(entry(1), isNew: false, isCopy: true, now: 2) == .applied)
        #expect(table.aliveCount == 1)
    }
}
