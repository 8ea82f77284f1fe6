// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

@Suite(.serialized)
struct InjectionTests {
    /// What the kernel should show for an entry that was injected.
    private func expected(_ entry: Entry) -> Entry {
        var expected = entry
        expected.status.insert(.IPS_CONFIRMED)
        let translated = entry.reply.inverse
        let original = entry.key.tuple
        if entry.isTranslated {
            expected.status.formUnion([.IPS_SRC_NAT_DONE, .IPS_DST_NAT_DONE])
            if translated.source != original.source || translated.sourcePort != original.sourcePort
            {
                expected.status.insert(.IPS_SRC_NAT)
            }
            if translated.destination != original.destination
                || translated.destinationPort != original.destinationPort
            {
                expected.status.insert(.IPS_DST_NAT)
            }
        }
        if entry.fields.contains(.sequenceAdjustment) { expected.status.insert(.IPS_SEQ_ADJUST) }
        // Said of a helper that was given explicitly, by a rule or by netlink (Linux 6.18).
        if entry.fields.contains(.helper) { expected.status.insert(.IPS_HELPER) }
        if entry.fields.contains(.parent) { expected.status.insert(.IPS_EXPECTED) }
        // An open replica is to take an answer to what this kernel has not seen.
        if original.protocolNumber == ProtocolNumber.tcp,
            (TCPState.synSent...TCPState.lastAck).contains(entry.protocolInfo.state)
        {
            expected.protocolInfo.originalFlags |= TCPFlag.beLiberal
            expected.protocolInfo.replyFlags |= TCPFlag.beLiberal
        }
        expected.fields.insert(.id)
        return expected
    }

    /// Differences that mean nothing: the node's own id, a second gone by.
    private func normalized(_ entry: Entry, _ expected: Entry) -> Entry {
        var entry = entry
        entry.id = expected.id
        if entry.timeoutSeconds + 5 >= expected.timeoutSeconds,
            entry.timeoutSeconds <= expected.timeoutSeconds
        {
            entry.timeoutSeconds = expected.timeoutSeconds
        }
        return entry
    }

    private func inject(_ entries: [Entry], _ batch: RequestBatch) throws {
        for (tag, entry) in entries.enumerated() {
            #expect(batch.create(entry, timeoutSeconds: entry.timeoutSeconds, tag: UInt32(tag)))
        }
        let outcome = try batch.send { tag, number in
            Issue.record("\(String(cString: strerror(number))): \(entries[Int(tag)].summary)")
        }
        #expect(outcome.requests == entries.count && !outcome.lostErrors)
    }

    private func check(_ entries: [Entry]) throws {
        let table = try NetworkNamespace.table()
        #expect(table.count == entries.count)
        for entry in entries {
            let found = try #require(table[entry.key], "missing: \(entry.summary)")
            let expected = expected(entry)
            let isEqual = normalized(found, expected) == expected
            #expect(isEqual, "\(found.summary) is not \(expected.summary)")
        }
    }

    @Test func everyKindReadsBackAsInjected() throws {
        try NetworkNamespace.run(isTracking: true) {
            let batch = try RequestBatch()
            try inject(SampleEntries.plain, batch)
            try check(SampleEntries.plain)
            for (tag, entry) in SampleEntries.plain.enumerated() {
                #expect(batch.delete(entry.key, tag: UInt32(tag)))
            }
            let outcome = try batch.send { tag, number in
                Issue.record("\(number): \(SampleEntries.plain[Int(tag)].summary)")
            }
            #expect(outcome.failures == 0)
            #expect(try NetworkNamespace.table().isEmpty)
        }
    }

    /// Another that has the key of one that has gone is not deleted for it.
    @Test func onlyTheEntryThatWasReadIsDeleted() throws {
        try NetworkNamespace.run(isTracking: true) {
            let entry = SampleEntries.plain[0]
            let batch = try RequestBatch()
            try inject([entry], batch)
            var read = try #require(try NetworkNamespace.table()[entry.key])
            read.id ^= 1
            for (errno, left) in [(ENOENT, 1), (0, 0)] {
                #expect(batch.delete(exactly: read, tag: 0))
                var refused: [CInt] = []
                try batch.send { refused.append($1) }
                #expect(refused == (errno == 0 ? [] : [errno]))
                #expect(try NetworkNamespace.table().count == left)
                read.id ^= 1
            }
        }
    }

    @Test func everyTranslationReadsBackAsInjected() throws {
        try NetworkNamespace.run {
            try inject(SampleEntries.translated, try RequestBatch())
            try check(SampleEntries.translated)
        }
    }

    @Test func relatedEntryHasItsMaster() throws {
        try NetworkNamespace.run {
            let master = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 3001, 21)) {
                $0.extras.helper.low = 0x70_7466
                $0.fields.insert(.helper)
                $0.key.zone = 9
            }
            var related = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 3002, 20)) {
                $0.extras.parent = master.key.tuple
                $0.fields.insert(.parent)
                $0.key.zone = 9
            }
            let batch = try RequestBatch()
            try inject([master, related], batch)
            try check([master, related])

            related.protocolInfo.state = TCPState.finWait
            #expect(batch.update(related, timeoutSeconds: 600, tag: 1))
            related.fields.remove(.parent)
            #expect(batch.update(related, timeoutSeconds: 600, tag: 2))
            related.fields.insert(.parent)
            var failures: [UInt32: CInt] = [:]
            try batch.send { failures[$0] = $1 }
            #expect(failures == [2: EBUSY], "the kernel compares IPS_EXPECTED")
            try check([master, related])
        }
    }

    @Test func updatesChangeWhatCanBeChanged() throws {
        try NetworkNamespace.run(isTracking: true) {
            let batch = try RequestBatch()
            var entries = SampleEntries.plain + SampleEntries.translated
            for index in entries.indices {
                entries[index].status = []
            }
            try inject(entries, batch)
            for index in entries.indices {
                entries[index].status = [.IPS_SEEN_REPLY, .IPS_ASSURED]
                entries[index].mark ^= 0xFFFF_0000
                entries[index].timeoutSeconds = 86_400
                if entries[index].key.tuple.protocolNumber == ProtocolNumber.tcp {
                    entries[index].protocolInfo.state = TCPState.closeWait
                    entries[index].protocolInfo.originalFlags ^= TCPFlag.sackPermitted
                    entries[index].protocolInfo.windowScales = 0x12
                }
                if entries[index].fields.contains(.labels) { entries[index].extras.labelsLow = 4 }
                let entry = entries[index]
                #expect(batch.update(entry, timeoutSeconds: 86_400, tag: UInt32(index)))
            }
            let outcome = try batch.send { tag, number in
                Issue.record("\(String(cString: strerror(number))): \(entries[Int(tag)].summary)")
            }
            #expect(outcome.failures == 0)
            try check(entries)
        }
    }

    @Test func timeoutAloneAndQuery() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch()
            let query = try EntryQuery()
            try inject(SampleEntries.plain, batch)
            for entry in SampleEntries.plain {
                #expect(batch.updateTimeout(entry.key, timeoutSeconds: 1_234, tag: 0))
            }
            #expect(try batch.send { _, _ in }.failures == 0)
            for entry in SampleEntries.plain {
                let found = try #require(try query.entry(entry.key))
                #expect(found.key == entry.key && found.mark == entry.mark)
                #expect(found.timeoutSeconds <= 1_234 && found.timeoutSeconds > 1_220)
            }
            let absent = Key(SampleEntries.tuple(ProtocolNumber.udp, 9, 9))
            #expect(try query.entry(absent) == nil)
        }
    }

    private func injectThreeThousand() throws {
        let entries = (UInt16(1)...3000).map {
            SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, $0, 53))
        }
        try NetworkNamespace.create(entries, timeoutSeconds: 60)
    }

    /// The kernel gives what there is room for, and keeps its place.
    @Test func dumpComesInStepsOfTheSizeThatIsAsked() throws {
        try NetworkNamespace.run {
            try injectThreeThousand()
            var largest: [Int] = []
            for byteCount in [TableDump.smallestStep, TableDump.largestStep] {
                let dump = try TableDump(stepBytes: byteCount)
                var seen: Set<UInt16> = []
                var sizes: [Int] = []
                try dump.start()
                var isMore = true
                while isMore {
                    let before = seen.count
                    isMore = try dump.step { seen.insert($0.key.tuple.sourcePort) }
                    sizes.append(seen.count - before)
                }
                #expect(seen.count == 3_000 && dump.malformed == 0)
                largest.append(sizes.max() ?? 0)
            }
            #expect(largest[1] > 3 * largest[0] && largest[0] > 0, "\(largest)")
        }
    }

    @Test func dumpIsReusableAndCanBeGivenUp() throws {
        try NetworkNamespace.run {
            try injectThreeThousand()
            let dump = try TableDump()
            var seen = 0
            #expect(try !dump.step { _ in seen += 1 }, "not started")
            try dump.start()
            #expect(try dump.step { _ in seen += 1 })
            #expect(seen > 0 && seen < 1_000, "one step is not the table")
            dump.cancel()
            #expect(try !dump.step { _ in seen += 1 })
            for _ in 0..<2 {
                seen = 0
                var steps = 0
                try dump.start()
                while try dump.step({ _ in seen += 1 }) { steps += 1 }
                #expect(seen == 3_000 && steps > 3)
            }
        }
    }
}
