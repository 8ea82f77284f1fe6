// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// An operator has a slave forget its replicas.
@Suite struct FlushTests {
    private let kernel = SimulatedKernel(Chance(seed: 1))
    private let now = 10 * Duration.second

    /// A master that gave way a moment ago has not read all of its kernel's table yet.
    @Test(arguments: [0, 1, 2])
    func whatIsNotReadYetIsForgottenToo(_ pieces: Int) throws {
        kernel.advance(to: now)
        for port in UInt16(1)...40 {
            let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53)) {
                _ in
            }
            #expect(kernel.table.insert(entry, seconds: 60, .traffic) == 0)
        }
        let engine = try SlaveEngine(
            try SlaveProtocol.sample(nodeID: 1, slotByteCount: 400),
            kernel)
        engine.begin(
            after: MasterClaim(epoch: 7, nodeID: 1),
            holding: Holding(latest: Basis(epoch: 7, sequence: 9), hasMore: true, isBranch: true),
            now: now)
        for _ in 0..<pieces { engine.work(now: now) }
        #expect(!engine.slave.hasAdopted)
        _ = engine.slave.flush(now: now)
        for _ in 0..<40 where !engine.slave.hasAdopted { engine.work(now: now) }
        engine.work(now: now)
        #expect(kernel.table.slots.isEmpty && engine.table.aliveCount == 0)
        #expect(!engine.slave.holding.mayBeAlone)
        engine.table.assertValid { Issue.record("\($0)") }
    }

    /// What begins from then on is not.
    @Test func whatIsReadLaterIsKept() throws {
        let table = try ReplicaTable(capacity: 16, seed: 1)
        func entry(_ port: UInt16) -> Entry {
            SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53)) { _ in }
        }
        table.beginAnew(after: .none, adopted: .none)
        _ = table.adopt(entry(1), now: 1)
        #expect(table.killAll(isAllRead: false) == 1)
        _ = table.adopt(entry(2), now: 1)
        _ = table.adopt(entry(3), isInUse: true, now: 1)
        table.endAdoption()
        _ = table.adopt(entry(4), now: 1)
        let isAlive = (1...4).map { table.book.alivePlace(entry($0).key) != nil }
        #expect(isAlive == [false, false, true, true])
        table.assertValid { Issue.record("\($0)") }
    }
}
