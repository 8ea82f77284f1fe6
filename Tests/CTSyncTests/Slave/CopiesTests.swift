// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What an initsync copies waits for what is live, and the master for what waits.
@Suite struct CopiesTests {
    /// A slave's engine over a simulated kernel, in the middle of an initsync.
    private final class Bench {
        static let copyCount = SlaveProtocol.copiesBehind + 50
        let kernel = SimulatedKernel(Chance(seed: 1))
        let slave: SlaveProtocol
        let engine: SlaveEngine
        let now: Instant = 10 * Duration.second
        private var sequence: UInt64 = 0

        init() throws {
            kernel.table.capacity = 2_000
            kernel.eventsSetting = 1
            kernel.advance(to: now)
            slave = try SlaveProtocol.sample(capacity: 2_000, ringSlots: 256)
            engine = try SlaveEngine(slave, kernel)
            engine.begin(after: .none, holding: Holding(), now: now)
            receive(PacketBytes.announcement(0))
            engine.work(now: now)
            _ = try said()
            send([PacketBytes.bracket(.UPDATE, 1)])
            let copies = (1...UInt16(Self.copyCount)).map {
                PacketBytes.update(Self.entry($0), bits: MessageKind.initsync)
            }
            for first in stride(from: 0, to: copies.count, by: 10) {
                send(Array(copies[first..<min(first + 10, copies.count)]))
            }
            #expect(slave.table.kernel.copyCount == Self.copyCount)
        }

        static func entry(_ port: UInt16) -> Entry {
            SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53))
        }

        func send(_ messages: [[UInt8]]) {
            sequence += 1
            receive(PacketBytes.sync(sequence, messages))
        }

        private func receive(_ packet: [UInt8]) {
            _ = engine.receive(
                packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
        }

        /// Up to which packet the next report says that it has applied all; nil if none is due.
        func said() throws -> UInt64? {
            var last: UInt64?
            let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)
            defer { target.deallocate() }
            while let (length, _) = engine.output(now: now, wallMicroseconds: 0, target) {
                last = try PacketBytes.header(of: Array(target[..<length])).sequence - 1
            }
            return last
        }

        var kernelCount: Int { kernel.table.slots.count }
    }

    @Test func whatIsLiveOvertakesThem() throws {
        let bench = try Bench()
        let live = Bench.entry(5_000)
        bench.send([PacketBytes.update(live, bits: MessageKind.new)])
        bench.engine.work(now: bench.now)
        #expect(bench.kernel.table.entry(live.key) != nil)
        #expect(bench.kernelCount == SlaveEngine.copiesAtOnce + 1)
        bench.slave.table.assertValid { Issue.record("\($0)") }
        // The rest does not wait for a packet.
        while case .none = bench.engine.pause(now: bench.now) { bench.engine.work(now: bench.now) }
        #expect(bench.kernelCount == Bench.copyCount + 1)
        bench.slave.table.assertValid { Issue.record("\($0)") }
    }

    @Test func theMasterIsToldOfPacketsWhenFewAreLeft() throws {
        let bench = try Bench()
        #expect(try bench.said() == nil)
        bench.engine.work(now: bench.now)
        #expect(try bench.said() == bench.slave.applied)
    }

    @Test func theEndOfAnInitsyncAndAPromotionWaitForNone() throws {
        let ended = try Bench()
        ended.send([PacketBytes.bracket(.DELETE, 1)])
        ended.engine.work(now: ended.now)
        #expect(ended.kernelCount == Bench.copyCount)
        let promoted = try Bench()
        promoted.engine.finish(now: promoted.now)
        #expect(promoted.kernelCount == Bench.copyCount)
    }

    /// It ends while its copy waits.
    @Test func whatEndsMeanwhileIsNotMade() throws {
        let bench = try Bench()
        bench.send([PacketBytes.delete(Bench.entry(300).key)])
        bench.engine.finish(now: bench.now)
        #expect(bench.kernelCount == Bench.copyCount - 1)
        bench.slave.table.assertValid { Issue.record("\($0)") }
    }
}
