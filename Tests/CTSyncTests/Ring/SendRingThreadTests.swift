// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization
import Testing

@testable import CTSync

/// The ring between its three threads, for the thread sanitizer above all: listener and initsync
/// append, the sender takes what they close and looks into the backlog.
@Suite struct SendRingThreadTests {
    private static let messages = 20_000

    /// Appends deletions of one source address, with ascending numbers in the ports.
    private static func append(_ ring: SendRing, _ source: UInt32) {
        for number in 0..<messages {
            var tuple = SampleEntries.tuple(
                ProtocolNumber.udp, UInt16(number >> 8), UInt16(number & 0xFF))
            tuple.source = Address(ipv4: source)
            while ring.appendDelete(Key(tuple)) == .full { sched_yield() }
            if number % 7 == 0 { ring.flush() }
        }
        ring.flush()
    }

    /// The numbers of each source's messages in the order in which they were sent.
    private static func read(_ packets: [[UInt8]]) throws -> [UInt64: [Int]] {
        var numbers: [UInt64: [Int]] = [:]
        var message = Message()
        for packet in packets {
            var offset = PacketHeader.byteCount
            while offset < packet.count {
                try MessageReader.read(packet.span.bytes, at: &offset, into: &message)
                let tuple = message.entry.key.tuple
                let number = Int(tuple.sourcePort) << 8 | Int(tuple.destinationPort)
                numbers[tuple.source.low, default: []].append(number)
            }
        }
        return numbers
    }

    /// Sends until both have ended; sleeps as the sender does, where a lost wake-up would be for ever.
    private static func send(_ ring: SendRing, _ wake: WakeUp, until ended: Ended) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        var copy = [UInt8](repeating: 0, count: ring.slotByteCount)
        while true {
            let isLast = ended.count.load(ordering: .acquiring) == 2
            let first = packets.count
            ring.markSent(
                ring.withUnsent(maximum: 16, clockMicroseconds: 1) { _, packet in
                    packets.append(Array(packet))
                })
            if let newest = packets.last, packets.count > first {
                // Nil if it has been overwritten meanwhile.
                if let length = copy.withUnsafeMutableBytes({ ring.copy(ring.lastSent, to: $0) }) {
                    #expect(Array(copy[..<length]) == newest)
                }
                continue
            }
            if isLast { return packets }
            if ring.prepareToSleep(), !ended.isSignalled(wake) {
                Issue.record("nobody woke the sender")
                return packets
            }
            ring.wokeUp()
        }
    }

    /// How many of the appending threads have ended.
    private final class Ended: Sendable {
        let count = Atomic<Int>(0)

        func add(_ wake: WakeUp) {
            count.add(1, ordering: .releasing)
            wake.signal()
        }

        /// Waits at most 10 s.
        func isSignalled(_ wake: WakeUp) -> Bool {
            var polled = pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0)
            return count.load(ordering: .acquiring) == 2 || poll(&polled, 1, 10_000) == 1
        }
    }

    @Test func nothingIsLostDoubledOrOutOfOrder() throws {
        let wake = try WakeUp()
        let ring = try SendRing(slotCount: 64, slotByteCount: 1_472, wake: wake)
        ring.reset(epoch: 9, nodeID: 3)
        let ended = Ended()
        let listener = try WorkerThread(named: "listener") {
            Self.append(ring, 1)
            ended.add(wake)
        }
        let initsync = try WorkerThread(named: "initsync") {
            Self.append(ring, 2)
            ended.add(wake)
        }
        let packets = Self.send(ring, wake, until: ended)
        listener.join()
        initsync.join()
        let numbers = try Self.read(packets)
        #expect(numbers[1] == Array(0..<Self.messages))
        #expect(numbers[2] == Array(0..<Self.messages))
    }
}
