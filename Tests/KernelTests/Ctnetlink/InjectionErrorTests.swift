// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

@Suite(.serialized)
struct InjectionErrorTests {
    private let udp = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 1, 2))

    private func failures(_ batch: RequestBatch) throws -> [UInt32: CInt] {
        var failures: [UInt32: CInt] = [:]
        let outcome = try batch.send { failures[$0] = $1 }
        #expect(outcome.failures == failures.count && !outcome.lostErrors)
        return failures
    }

    @Test func errorsComeBackWithTheirTags() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch()
            let absent = Key(SampleEntries.tuple(ProtocolNumber.udp, 3, 4))
            var orphan = udp
            orphan.key.tuple.sourcePort = 5
            orphan.reply = orphan.key.tuple.inverse
            orphan.extras.parent = absent.tuple
            orphan.fields.insert(.parent)
            #expect(batch.create(udp, timeoutSeconds: 60, tag: 10))
            #expect(batch.create(udp, timeoutSeconds: 60, tag: 11))
            #expect(batch.delete(absent, tag: 12))
            #expect(batch.updateTimeout(absent, timeoutSeconds: 60, tag: 13))
            #expect(batch.create(orphan, timeoutSeconds: 60, tag: 0xFFFF_FFFF))
            #expect(batch.updateTimeout(udp.key, timeoutSeconds: 60, tag: 14))
            let expected: [UInt32: CInt] = [
                11: EEXIST, 12: ENOENT, 13: ENOENT, 0xFFFF_FFFF: ENOENT,
            ]
            #expect(try failures(batch) == expected)
            #expect(try failures(batch).isEmpty, "an empty batch sends nothing")
        }
    }

    /// The kernel must not choose another port by itself when the reply tuple is taken.
    @Test func takenReplyTupleIsRefused() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch()
            for (index, number) in [ProtocolNumber.udp, ProtocolNumber.tcp, 1, 89].enumerated() {
                let port: UInt16 = number == 89 ? 0 : 100
                let destination: UInt16 = number == 1 ? 8 << 8 : number == 89 ? 0 : 80
                var first = SampleEntries.entry(SampleEntries.tuple(number, port, destination))
                var second = first
                second.key.tuple.source = Address(ipv4: 0x0A00_0002)
                first.reply.destination = Address(ipv4: 0xC633_6401)
                second.reply = first.reply
                let tag = UInt32(index * 2)
                #expect(batch.create(first, timeoutSeconds: 60, tag: tag))
                #expect(batch.create(second, timeoutSeconds: 60, tag: tag + 1))
            }
            // Two destinations mapped to one server: the source, which is not to change, clashes.
            var first = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 7, 53))
            var second = first
            second.key.tuple.destination = Address(ipv4: 0xC000_0202)
            first.reply.source = Address(ipv4: 0x0A09_0909)
            second.reply = first.reply
            #expect(batch.create(first, timeoutSeconds: 60, tag: 8))
            #expect(batch.create(second, timeoutSeconds: 60, tag: 9))
            let taken: [UInt32: CInt] = [1: EEXIST, 3: EEXIST, 5: EEXIST, 7: EEXIST, 9: EEXIST]
            #expect(try failures(batch) == taken)
        }
    }

    @Test func fixedTimeoutCannotBeChangedLater() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch()
            var fixed = udp
            fixed.status.insert(.IPS_FIXED_TIMEOUT)
            #expect(batch.create(fixed, timeoutSeconds: 60, tag: 1))
            #expect(batch.updateTimeout(fixed.key, timeoutSeconds: 70, tag: 2))
            #expect(try failures(batch) == [2: EPERM])
        }
    }

    @Test func seenReplyCannotBeTakenBack() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch()
            var cleared = udp
            cleared.status = []
            #expect(batch.create(udp, timeoutSeconds: 60, tag: 1))
            #expect(batch.update(cleared, timeoutSeconds: 60, tag: 2))
            #expect(try failures(batch) == [2: EBUSY])
        }
    }

    @Test func lostErrorsAreReported() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch(receiveBufferBytes: 4_096)
            var tag: UInt32 = 0
            while batch.delete(udp.key, tag: tag) { tag += 1 }
            let outcome = try batch.send { _, number in #expect(number == ENOENT) }
            #expect(outcome.requests == Int(tag) && outcome.lostErrors)
            #expect(outcome.failures < outcome.requests)
            #expect(batch.delete(udp.key, tag: 1))
            #expect(try failures(batch) == [1: ENOENT], "usable afterwards")
        }
    }

    @Test func fullBatchOfErrorsFitsTheSocket() throws {
        try NetworkNamespace.run {
            let batch = try RequestBatch()
            var tag: UInt32 = 0
            while batch.delete(udp.key, tag: tag) { tag += 1 }
            #expect(tag > 3_000)
            var next: UInt32 = 0
            let outcome = try batch.send { failed, number in
                #expect(failed == next && number == ENOENT)
                next += 1
            }
            #expect(outcome.failures == Int(tag) && !outcome.lostErrors)
        }
    }
}
