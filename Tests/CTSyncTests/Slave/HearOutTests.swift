// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a new master takes from the node that it followed until a moment ago.
@Suite struct HearOutTests {
    private static let now = 10 * Duration.second
    private static let (first, second) = (connection(4_000), connection(4_001))

    private static func connection(_ port: UInt16) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53))
    }

    private let kernel = SimulatedKernel(Chance(seed: 1))
    private let engine: SlaveEngine

    /// A slave that holds the first connection, and is promoted.
    init() throws {
        kernel.advance(to: Self.now)
        engine = try SlaveEngine(
            try SlaveProtocol.sample(capacity: 16),
            kernel)
        receive(PacketBytes.announcement(0))
        receive(PacketBytes.sync(1, [PacketBytes.bracket(.UPDATE, 1)]))
        receive(PacketBytes.sync(2, [PacketBytes.bracket(.DELETE, 1)]))
        receive(PacketBytes.sync(3, [PacketBytes.update(Self.first, bits: MessageKind.new)]))
        engine.finish(now: Self.now)
        #expect(has(Self.first))
        engine.hearOut()
    }

    private func receive(_ packet: [UInt8]) {
        _ = engine.receive(
            packet.span.bytes, from: PacketBytes.peer, now: Self.now, wallMicroseconds: 0)
    }

    private func hear(_ packet: [UInt8]) -> Holding? {
        defer { engine.table.assertValid { Issue.record("\($0)") } }
        return engine.hearOut(
            packet.span.bytes, from: PacketBytes.peer, now: Self.now, wallMicroseconds: 0)
    }

    private func has(_ entry: Entry) -> Bool { kernel.table.entry(entry.key) != nil }

    @Test func itsLastWordsReachTheKernel() {
        let made = PacketBytes.update(Self.second, bits: MessageKind.new)
        #expect(hear(PacketBytes.sync(4, [made]))?.basis == Basis(epoch: 100, sequence: 4))
        #expect(has(Self.second))
        let ended = PacketBytes.delete(Self.first.key)
        #expect(hear(PacketBytes.sync(5, [ended]))?.basis == Basis(epoch: 100, sequence: 5))
        #expect(!has(Self.first))
    }

    /// Packets pass here now: what this kernel has of a connection is newer.
    @Test func whatPacketsHavePassedSinceStays() {
        kernel.table.refresh(Self.first.key, seconds: 30)
        #expect(kernel.table.insert(Self.second, seconds: 30, .traffic) == 0)
        let ended = [Self.first, Self.second].map { PacketBytes.delete($0.key) }
        #expect(hear(PacketBytes.sync(4, ended)) != nil)
        #expect(has(Self.first) && has(Self.second))
        var changed = Self.second
        changed.mark = 7
        changed.fields.insert(.mark)
        #expect(hear(PacketBytes.sync(5, [PacketBytes.update(changed)])) != nil)
        #expect(kernel.table.entry(Self.second.key)?.mark == Self.second.mark)
    }

    /// One that ended unheard, and has the port that a new one has drawn: the predecessor had no two of that.
    @Test func whatItSaysLastEndsWhatHasItsReplyTuple() {
        var drawn = Self.second
        drawn.reply = Self.first.reply
        let made = PacketBytes.update(drawn, bits: MessageKind.new)
        #expect(hear(PacketBytes.sync(4, [made])) != nil)
        #expect(has(drawn) && !has(Self.first))
    }

    /// Unless that one began here since.
    @Test func whatBeganSinceKeepsItsReplyTuple() {
        engine.beganInTerm = { $0 == Self.first.key }
        kernel.table.refresh(Self.first.key, seconds: 30)
        var drawn = Self.second
        drawn.reply = Self.first.reply
        let made = PacketBytes.update(drawn, bits: MessageKind.new)
        #expect(hear(PacketBytes.sync(4, [made])) != nil)
        #expect(!has(drawn) && has(Self.first))
    }

    /// An end of a walk says nothing of what began since.
    @Test func noWalkOfItPurges() {
        #expect(hear(PacketBytes.sync(4, [PacketBytes.bracket(.UPDATE, 2)])) != nil)
        #expect(hear(PacketBytes.sync(5, [PacketBytes.bracket(.DELETE, 2)])) != nil)
        #expect(has(Self.first))
    }

    @Test func nobodyElseIsHeard() {
        let made = [PacketBytes.update(Self.second, bits: MessageKind.new)]
        #expect(hear(PacketBytes.sync(4, made, from: 3)) == nil)
        #expect(hear(PacketBytes.sync(4, made, epoch: 99)) == nil)
        #expect(hear(PacketBytes.sync(4, made, epoch: 200)) == nil)
        // A gap: what is behind it waits.
        #expect(hear(PacketBytes.sync(5, made)) == nil)
        #expect(!has(Self.second))
        #expect(hear(PacketBytes.sync(4, [])) != nil)
        #expect(has(Self.second))
    }

    @Test func itEnds() {
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)
        defer { target.deallocate() }
        engine.endTakingOver(now: Self.now, wallMicroseconds: 0, target) { _, _ in
            Issue.record("nothing is said to a predecessor")
        }
        #expect(!engine.slave.isHeir)
        #expect(engine.slave.holding.basis == Basis(epoch: 100, sequence: 3))
    }
}
