// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Related entries, missing helpers and a full table, against the kernel.
@Suite(.serialized)
struct RelatedEntriesTests {
    private let control = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4000, 21))

    private func child(_ port: UInt16, of master: Entry, zone: UInt16 = 0) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, port, 20)) {
            $0.key.zone = zone
            $0.status.insert(.IPS_EXPECTED)
            $0.extras.parent = master.key.tuple
            $0.fields.insert(.parent)
        }
    }

    private func inNamespace(_ body: (ReplicaTable, Injector) throws -> Void) throws {
        try NetworkNamespace.run(isTracking: true) {
            let requests = try RequestBatch()
            let table = try ReplicaTable(capacity: 16_384, seed: 1)
            try body(table, Injector(requests, try EntryQuery()))
        }
    }

    @Test func aChildWaitsForItsMasterWhateverTheOrder() throws {
        try inNamespace { table, injector in
            let child = child(5000, of: control)
            _ = table.update(child, isNew: true, isCopy: false, now: 100)
            try injector.apply(table, now: 100)
            #expect(try NetworkNamespace.table().isEmpty)
            #expect(table.waiting.count == 1 && table.isWaiting)
            #expect(injector.refusals.allSatisfy { $0 == 0 })
            // Changed meanwhile, it still waits.
            var changed = child
            changed.mark = 99
            _ = table.update(changed, isNew: false, isCopy: false, now: 105)
            try injector.apply(table, now: 105)
            #expect(table.waiting.count == 1)
            _ = table.update(control, isNew: true, isCopy: false, now: 109)
            try injector.apply(table, now: 109)
            let made = try #require(try NetworkNamespace.table()[child.key])
            #expect(made.status.contains(.IPS_EXPECTED))
            #expect(made.extras.parent == control.key.tuple && made.mark == 99)
            #expect(table.waiting.count == 0 && table.waiting.found == 1)
            // The update of a child that has its master.
            changed.mark = 100
            _ = table.update(changed, isNew: false, isCopy: false, now: 110)
            try injector.apply(table, now: 110)
            #expect(try NetworkNamespace.table()[child.key]?.mark == 100)
            #expect(injector.created == 2 && injector.updated == 1 && injector.deleted == 0)
        }
    }

    @Test func bothInOneBatchNeedNoWaiting() throws {
        try inNamespace { table, injector in
            let child = child(5000, of: control)
            _ = table.update(child, isNew: true, isCopy: false, now: 1)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            try injector.apply(table, now: 1)
            #expect(try NetworkNamespace.table()[child.key]?.extras.parent == control.key.tuple)
            #expect(!table.isDirty)
        }
    }

    @Test func anOrphanIsMadeWhenItsTimeIsUpAndCanStillChange() throws {
        try inNamespace { table, injector in
            let child = child(5000, of: control)
            _ = table.update(child, isNew: true, isCopy: false, now: 100)
            try injector.apply(table, now: 100)
            try injector.apply(table, now: 109)
            #expect(try NetworkNamespace.table().isEmpty)
            try injector.apply(table, now: 110)
            let made = try #require(try NetworkNamespace.table()[child.key])
            #expect(!made.status.contains(.IPS_EXPECTED) && !made.fields.contains(.parent))
            #expect(table.waiting.timedOut == 1 && !table.isWaiting && table.refusedCount == 0)
            var changed = child
            changed.mark = 7
            _ = table.update(changed, isNew: false, isCopy: false, now: 111)
            try injector.apply(table, now: 111)
            let after = try #require(try NetworkNamespace.table()[child.key])
            #expect(after.mark == 7 && after.id == made.id)
            // Its master comes after all.
            _ = table.update(control, isNew: true, isCopy: false, now: 111)
            try injector.apply(table, now: 111)
            #expect(try NetworkNamespace.table()[child.key]?.extras.parent == control.key.tuple)
            table.delete(child.key, now: 112)
            table.delete(control.key, now: 112)
            try injector.apply(table, now: 112)
            #expect(try NetworkNamespace.table().isEmpty && table.aliveCount == 0)
            #expect(table.orphans.count == 0)
        }
    }

    @Test func tooManyThatWaitAreMadeAtOnce() throws {
        try inNamespace { table, injector in
            let count = ParentWait.capacity + 10
            for number in 0..<count {
                let child = child(UInt16(1000 + number), of: control)
                _ = table.update(child, isNew: true, isCopy: false, now: 1)
            }
            try injector.apply(table, now: 1)
            #expect(table.waiting.count == ParentWait.capacity)
            #expect(table.waiting.crowdedOut == 10)
            #expect(try NetworkNamespace.table().count == 10)
            // The master comes: all the others follow within a few looks.
            _ = table.update(control, isNew: true, isCopy: false, now: 2)
            for _ in 0..<40 { try injector.apply(table, now: 2) }
            #expect(table.waiting.count == 0)
            #expect(try NetworkNamespace.table().count == count + 1)
        }
    }

    @Test func whatWaitsIsForgottenWithItsDeletionAndMadeAtAPromotion() throws {
        try inNamespace { table, injector in
            let gone = child(5000, of: control)
            let kept = child(5001, of: control)
            for entry in [gone, kept] {
                _ = table.update(entry, isNew: true, isCopy: false, now: 1)
            }
            try injector.apply(table, now: 1)
            table.delete(gone.key, now: 2)
            try injector.apply(table, now: 2)
            #expect(table.waiting.count == 1 && table.aliveCount == 1)
            table.giveUpWaiting()
            try injector.apply(table, now: 2)
            #expect(try NetworkNamespace.table().map(\.key) == [kept.key])
            #expect(!table.isWaiting && table.waiting.timedOut == 1)
        }
    }

    @Test func theMasterIsLookedForInTheChildsZone() throws {
        try inNamespace { table, injector in
            let child = child(5000, of: control, zone: 3)
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            _ = table.update(child, isNew: true, isCopy: false, now: 1)
            try injector.apply(table, now: 1)
            #expect(table.waiting.count == 1)
            var inZone = control
            inZone.key.zone = 3
            _ = table.update(inZone, isNew: true, isCopy: false, now: 2)
            try injector.apply(table, now: 2)
            #expect(try NetworkNamespace.table()[child.key]?.extras.parent == control.key.tuple)
        }
    }

    @Test func anEntryWhoseHelperIsMissingIsMadeWithout() throws {
        try inNamespace { table, injector in
            let name = try #require(
                "nosuchhelper".utf8.withContiguousStorageIfAvailable {
                    HelperName(UnsafeRawBufferPointer($0).bytes)
                } ?? nil)
            for port in UInt16(1)...3 {
                let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, port, 21)) {
                    $0.extras.helper = name
                    $0.fields.insert(.helper)
                }
                _ = table.update(entry, isNew: true, isCopy: false, now: 1)
            }
            _ = table.update(control, isNew: true, isCopy: false, now: 1)
            try injector.apply(table, now: 1)
            #expect(try NetworkNamespace.table().count == 4)
            #expect(table.missingHelpers.nameCount == 1)
            #expect(table.missingHelpers[0].name.description == "nosuchhelper")
            #expect(table.missingHelpers[0].count == 3)
            #expect(table.refusedCount == 0 && injector.created == 4)
        }
    }

    @Test func aFullTableIsTriedAgain() throws {
        let table = try ReplicaTable(capacity: 64, seed: 1)
        let kernel = FullKernel()
        let injector = try Injector(kernel, kernel)
        _ = table.update(control, isNew: true, isCopy: false, now: 1)
        try injector.apply(table, now: 1)
        #expect(table.refusedCount == 1 && injector.refusals[Int(ENOMEM)] == 1)
        kernel.isFull = false
        table.renew(budget: 1, now: 2)
        try injector.apply(table, now: 2)
        #expect(table.refusedCount == 0 && injector.created == 1)
    }
}

/// A kernel whose table is full, as long as it says so.
private final class FullKernel: EntriesOnly {
    var isFull = true
    private var tags: [UInt32] = []

    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        tags.append(tag)
        return true
    }
    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool { true }
    func delete(_ key: borrowing Key, tag: UInt32) -> Bool { true }
    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool { true }
    func entry(_ key: borrowing Key) -> Entry? { nil }
    func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) -> BatchOutcome {
        if isFull { for tag in tags { failure(tag, ENOMEM) } }
        tags.removeAll()
        return BatchOutcome()
    }
}
