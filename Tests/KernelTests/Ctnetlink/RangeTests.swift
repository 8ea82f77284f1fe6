// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync
@testable import CTSyncTests

/// The kernel takes what is out of its range, replaced; without that it refuses some of it.
@Suite(.serialized)
struct RangeTests {
    @Test func statesAndScalesOutOfRangeAreTaken() throws {
        try NetworkNamespace.run {
            let tcp = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 1, 80)) {
                $0.protocolInfo.state = 77
                $0.protocolInfo.windowScales = 0xFF
            }
            let sctp = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.sctp, 1, 80)) {
                $0.protocolInfo.state = 77
            }
            let plain = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 2, 80))
            let batch = try RequestBatch()
            for (tag, entry) in [tcp, sctp, plain].enumerated() {
                #expect(batch.create(entry, timeoutSeconds: 60, tag: UInt32(tag)))
                #expect(batch.update(entry, timeoutSeconds: 60, tag: UInt32(tag)))
            }
            try batch.send { Issue.record("\($0) \($1)") }
            #expect(batch.replacedCount == 4)
            let table = try NetworkNamespace.table()
            let found = try #require(table[tcp.key]).protocolInfo
            #expect(found.state == TCPState.established && found.windowScales == 0xEE)
            #expect(try #require(table[sctp.key]).protocolInfo.state == 4)
            let other = try #require(table[plain.key]).protocolInfo
            #expect(other.state == plain.protocolInfo.state)
            #expect(other.windowScales == plain.protocolInfo.windowScales)
        }
    }

    @Test func anExpectationWithUnknownFlagsIsTaken() throws {
        try NetworkNamespace.run(isTracking: true) {
            let control = SampleExpectations.control("ftp", 4_000)
            let expectation = SampleExpectations.expectation(of: control, port: 3_000) {
                $0.flags = 0xFFFF_FFF8 | Expected.NF_CT_EXPECT_PERMANENT
            }
            let batch = try RequestBatch()
            #expect(batch.create(control, timeoutSeconds: 60, tag: 1))
            #expect(batch.create(expectation, tag: 2))
            try batch.send { Issue.record("\($0) \($1)") }
            #expect(batch.replacedCount == 1)
            let message = try #require(try RawEvents.expectations().first)
            let found = try GuardedPage().readExpectation(message)
            #expect(found.key == expectation.key)
            #expect(found.flags & ~7 == 0 && found.flags & 1 == 1)
        }
    }
}
