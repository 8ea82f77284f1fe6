// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// A slave is in sync only if it has the master's expectations as well.
@Suite struct SlaveExpectationTests {
    /// A slave in sync with a master that has one connection, over a kernel that takes everything.
    private final class Bench {
        let slave: SlaveProtocol
        let control = SampleExpectations.control("ftp", 4_000)
        var now: Instant = 10 * Duration.second
        private let entries: Injector
        private let expectations: ExpectationInjector
        private var sequence: UInt64 = 0
        private let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)

        init() throws {
            slave = try SlaveProtocol.sample()
            let kernel = ReplicaKernel(Chance(seed: 1))
            entries = try Injector(kernel, kernel)
            expectations = try ExpectationInjector(kernel)
            try receive([PacketBytes.bracket(.UPDATE, 1)])
            try receive([PacketBytes.bracket(.DELETE, 1)])
            try receive([PacketBytes.update(control, bits: MessageKind.new)])
            while try asksForInitsync() {}
        }

        deinit {
            target.deallocate()
        }

        var reason: SlaveProtocol.OutOfSync? { slave.outOfSync(now: now) }

        func receive(_ messages: [[UInt8]]) throws {
            sequence += 1
            slave.receive(
                PacketBytes.sync(sequence, messages).span.bytes, from: PacketBytes.peer, now: now,
                wallMicroseconds: 0)
            try inject()
        }

        func inject() throws {
            try entries.apply(slave.table, now: UInt32(now / Duration.second))
            try expectations.apply(slave.table, now: now)
            slave.table.assertValid { Issue.record("\($0)") }
        }

        /// Whether the next packet that is due asks for an initsync.
        func asksForInitsync() throws -> Bool {
            guard let (length, _) = slave.output(now: now, wallMicroseconds: 0, target) else {
                return false
            }
            return try PacketBytes.header(of: Array(target[..<length])).type == .SLAVE_INITSYNC
        }

        func expectation(_ port: UInt16, of control: Entry? = nil) -> Expected {
            SampleExpectations.expectation(of: control ?? self.control, port: port)
        }
    }

    @Test func oneThatWaitsOrIsRefusedIsSaid() throws {
        let bench = try Bench()
        try bench.receive([PacketBytes.update(bench.expectation(3_000))])
        #expect(bench.reason == nil)
        let absent = SampleExpectations.control("ftp", 5_000)
        let orphan = bench.expectation(3_001, of: absent)
        try bench.receive([PacketBytes.update(orphan)])
        #expect(bench.reason == .expectationsWaiting)
        for _ in 0..<110 {
            bench.now += 100 * Duration.millisecond
            try bench.inject()
        }
        try bench.receive([])
        #expect(bench.reason == .expectationsRefused)
        try bench.receive([PacketBytes.delete(orphan)])
        #expect(bench.reason == nil)
    }

    @Test func aFullTableIsSaidAndAskedForAgain() throws {
        let bench = try Bench()
        let ports = UInt16(1)...UInt16(ExpectationBook.capacity + 1)
        for first in stride(from: ports.lowerBound, through: ports.upperBound, by: 8) {
            let piece = first...min(first + 7, ports.upperBound)
            #expect(bench.reason == nil)
            try bench.receive(piece.map { PacketBytes.update(bench.expectation($0)) })
        }
        #expect(bench.reason == .expectationsFull)
        #expect(bench.slave.counters.tableFull == 1)
        #expect(try !bench.asksForInitsync())
        for port in ports { bench.slave.table.expectations.delete(bench.expectation(port), now: 1) }
        try bench.inject()
        bench.now += SlaveProtocol.fullRetry
        #expect(try bench.asksForInitsync())
        try bench.receive([PacketBytes.bracket(.UPDATE, 2)])
        try bench.receive([PacketBytes.bracket(.DELETE, 2)])
        #expect(bench.reason == nil)
    }
}
