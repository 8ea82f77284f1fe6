// SPDX-License-Identifier: GPL-2.0-or-later

import AllocationCounter
import Testing

@testable import CTSync
@testable import CTSyncTests

/// The same of paths that begin with the kernel's own messages, or ask it.
@Suite(.serialized, .enabled(if: allocation_counter_works())) struct KernelAllocationTests {
    /// The listener's way with rules of every kind; where they cannot tell, the kernel is asked.
    @Test func noneForAFilteredEvent() throws {
        let filter = ReplicationFilter(
            ownAddresses: [Address(ipv4: 1)], syncNetworks: [], rules: AllocationTests.rules)
        let plain = (SampleEntries.plain + SampleEntries.translated).map(WrittenMessages.told)
        try NetworkNamespace.run(isTracking: true) {
            let batch = try RequestBatch()
            for entry in SampleEntries.plain {
                _ = batch.create(entry, timeoutSeconds: 600, tag: 0)
            }
            try batch.send { _, _ in }
            let sieve = EventSieve(try EntryQuery())
            let ring = try SendRing(slotCount: 64, slotByteCount: 1_400, wake: nil)
            ring.reset(epoch: 1, nodeID: 1)
            var entry = Entry(Key(.none))
            var told = [0, 0, 0, 0]
            var adopted = 0
            func goThrough() {
                for kind in [CtnetlinkKind.new, .update, .destroy] {
                    for event in plain {
                        do throws(NetlinkError) {
                            _ = try EntryCodec.read(event.span.bytes, into: &entry)
                        } catch {
                            told[3] += 1
                        }
                        switch sieve.sift(kind, &entry, filter) {
                        case .nothing: told[0] += 1
                        case .update, .whole:
                            told[1] += 1
                            entry.prepareForReplication()
                            _ = ring.appendUpdate(entry, bits: 0)
                        case .delete:
                            told[2] += 1
                            _ = ring.appendDelete(entry.key)
                        case .lost: told[3] += 1
                        }
                        if filter.adopts(entry) { adopted += 1 }
                    }
                    ring.flush()
                    ring.markSent(ring.withUnsent(maximum: 64, clockMicroseconds: 1) { _, _ in })
                }
            }
            goThrough()
            #expect(told[0] > 50 && told[1] > 50 && told[2] > 50 && told[3] == 0, "\(told)")
            #expect(adopted > 50)
            let count = AllocationTests.allocations { for _ in 0..<20 { goThrough() } }
            #expect(count == 0)
        }
    }

    /// Expectations from the kernel's message to the slave's table.
    @Test func noneForAnExpectation() throws {
        let control = SampleExpectations.control("ftp", 4_000)
        try NetworkNamespace.run(isTracking: true) {
            let source = try ReplicaTable(capacity: 64, seed: 1)
            let entries = try Injector(try RequestBatch(), try EntryQuery())
            let injector = try ExpectationInjector(try RequestBatch())
            _ = source.update(control, isNew: true, isCopy: false, now: 1)
            source.expectations.update(
                SampleExpectations.expectation(of: control, port: 3_000), isCopy: false, now: 1)
            try entries.apply(source, now: 1)
            try injector.apply(source, now: Duration.second)
            let message = try #require(try RawEvents.expectations().first)
            let filter = ReplicationFilter(
                ownAddresses: [Address(ipv4: 1)], syncNetworks: [], rules: AllocationTests.rules)
            let sieve = ExpectationSieve(try EntryQuery())
            let ring = try SendRing(slotCount: 64, slotByteCount: 1_400, wake: nil)
            ring.reset(epoch: 1, nodeID: 1)
            var expectation = Expected(Key(.none))
            var admitted = 0
            func goThrough() {
                do throws(NetlinkError) {
                    try ExpectationCodec.read(message.span.bytes, into: &expectation)
                } catch {
                    return
                }
                guard sieve.admits(expectation, filter) else { return }
                admitted += 1
                _ = ring.appendUpdate(expectation, bits: 0)
                _ = ring.appendDelete(expectation)
                ring.flush()
                ring.markSent(ring.withUnsent(maximum: 64, clockMicroseconds: 1) { _, _ in })
            }
            goThrough()
            #expect(AllocationTests.allocations { for _ in 0..<20 { goThrough() } } == 0)
            #expect(admitted == 21)
        }
    }
}
