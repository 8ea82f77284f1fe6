// SPDX-License-Identifier: GPL-2.0-or-later

import AllocationCounter
import Testing

@testable import CTSync

/// Sealing and opening allocate nothing: not for a packet, not for a forged one, not for a session
/// that nobody knows, and libcrypto does not either.
@Suite(.serialized, .enabled(if: allocation_counter_works())) struct SealAllocationTests {
    private static func allocations(_ body: () -> Void) -> UInt64 {
        allocation_counter_start()
        body()
        return allocation_counter_stop()
    }

    @Test func noneForAPacket() throws {
        let keys = try SealTests.ring([1])
        let sealer = try Sealer(SealSession(nodeID: 1, salt: 5, keys: keys))
        let opener = try SealOpener(keys)
        let datagram = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_472, alignment: 8)
        defer { datagram.deallocate() }
        var opened = 0
        func goThrough() {
            sealer.seal(datagram)
            do {
                let envelope = try SealEnvelope.read(datagram.bytes)
                try opener.open(datagram, envelope, isProven: true)
                opened += 1
            } catch {
                opened -= 1_000
            }
        }
        goThrough()
        #expect(Self.allocations { for _ in 0..<100 { goThrough() } } == 0)
        #expect(opened == 101)
    }

    @Test func noneForAForgedOneOrAnUnknownSession() throws {
        let keys = try SealTests.ring([1])
        let opener = try SealOpener(keys)
        let packets = try (1...20).map { number in
            SealTests.sealed(
                [UInt8](repeating: 1, count: 100),
                by: try Sealer(SealSession(nodeID: 1, salt: number, keys: keys)))
        }
        let datagram = UnsafeMutableRawBufferPointer.allocate(byteCount: 140, alignment: 8)
        defer { datagram.deallocate() }
        let own = SealSessionID(nodeID: 2, salt: 9)
        let gate = try SessionGate(own: own, reach: 1_000) { 77 }
        var (opened, refused, questions) = (0, 0, 0)
        func goThrough(_ packet: [UInt8], spoiled: Bool, now: Instant) {
            datagram.copyBytes(from: packet)
            if spoiled { datagram[139] ^= 1 }
            do throws(WireError) {
                let envelope = try SealEnvelope.read(datagram.bytes)
                do throws(SealError) {
                    try opener.open(datagram, envelope, isProven: false)
                    opened += 1
                } catch {
                    refused += 1
                    return
                }
                if case .unproven(.some) = gate.take(
                    envelope.session, envelope.counter, now: now)
                {
                    questions += 1
                }
            } catch {
                opened -= 1_000
            }
        }
        func all(_ now: Instant) {
            for packet in packets {
                goThrough(packet, spoiled: false, now: now)
                goThrough(packet, spoiled: true, now: now)
            }
        }
        all(0)
        #expect(
            Self.allocations {
                for step in 1...5 as ClosedRange<UInt64> { all(step * Duration.second) }
            } == 0)
        #expect(opened == 120 && refused == 120 && questions > 0)
    }

    /// A packet from the ring of one node through the opener of another, sealed and not, and a copy
    /// of it, and what is dropped.
    @Test(arguments: [SealMode.off, .permissive, .strict])
    func noneOnTheWayOfAPacket(_ mode: SealMode) throws {
        let keys: [UInt8] = mode == .off ? [] : [1]
        let (one, two) = (try SealedNode(1, keys: keys, mode), try SealedNode(2, keys: keys, mode))
        let start = 10 * Duration.second
        SealedNode.meet(one, two, now: start)
        let ring = try SendRing(slotCount: 16, slotByteCount: 1_400, wake: nil)
        ring.reset(epoch: 1, nodeID: 1)
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: ring.copyByteCount, alignment: 8)
        defer { buffer.deallocate() }
        let key = Key(SampleEntries.tuple(ProtocolNumber.udp, 1, 53))
        var (opened, dropped) = (0, 0)
        func open(_ length: Int, _ now: Instant) {
            let datagram = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
            let packet = two.opener.open(datagram, from: one.peer, now: now)
            if packet == nil { dropped += 1 } else { opened += 1 }
        }
        func goThrough(_ now: Instant) {
            for _ in 0..<40 { _ = ring.appendDelete(key) }
            ring.flush()
            let count = ring.withUnsent(
                maximum: 64, clockMicroseconds: 1, sealer: one.sealer.sealer(to: nil, now: now)
            ) { _, packet in
                buffer.copyMemory(from: UnsafeRawBufferPointer(packet))
                open(packet.count, now)
            }
            ring.markSent(count)
            guard let length = ring.copy(ring.lastSent, to: buffer) else { return }
            buffer[44] ^= 1
            open(length, now)
            open(length - 1, now)
            two.opener.publish()
        }
        goThrough(start)
        #expect(
            Self.allocations {
                for step in 1...20 as ClosedRange<UInt64> { goThrough(start + step) }
            } == 0)
        #expect(opened == 21 && dropped == 42)
    }
}
