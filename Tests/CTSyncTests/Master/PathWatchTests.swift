// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A path that swallows large packets is noticed by what slaves ask for, and by nothing else.
@Suite struct PathWatchTests {
    private let ring: SendRing
    private let master: MasterProtocol

    /// Packets 1 to 8 have been sent: the fourth and the seventh large, the others small.
    init() throws {
        ring = try SendRing(slotCount: 16, slotByteCount: 8_952, wake: nil)
        ring.reset(epoch: 100, nodeID: 5)
        master = MasterProtocol(ring: ring)
        master.start(MasterClaim(epoch: 100, nodeID: 5))
        for number in 1...8 { append(number == 4 || number == 7 ? 300 : 1) }
        send()
    }

    private func append(_ count: Int) {
        for port in 1...count {
            let key = Key(SampleEntries.tuple(ProtocolNumber.udp, UInt16(port), 53))
            #expect(ring.appendDelete(key) == .appended)
        }
        ring.flush()
    }

    private func send() {
        ring.markSent(ring.withUnsent(maximum: 64, clockMicroseconds: 1) { _, _ in })
    }

    /// A slave asks for these packets so many times.
    private func ask(
        _ missing: [UInt64], _ times: Int, silentMilliseconds: UInt32 = 50, from id: UInt8 = 2,
        isAnswered: Bool = true
    ) {
        let now: Instant = 1
        for _ in 0..<times {
            var header = PacketHeader(
                type: .NACK, nodeID: id, epoch: 100, sequence: missing[0])
            header.messageCount = UInt16(missing.count)
            var content: [UInt8] = []
            for number in missing {
                withUnsafeBytes(of: number.bigEndian) { content += Array($0) }
                content += [0, 0, 0, 1]
            }
            var report = SlaveReport()
            report.known = MasterClaim(epoch: 100, nodeID: 5)
            report.silentMilliseconds = silentMilliseconds
            let packet = PacketBytes.sealed(header, content + PacketBytes.report(report))
            _ = master.receive(packet.span.bytes, from: PacketBytes.peer, now: now)
            while isAnswered, master.nextAgain(now: now) != nil {}
        }
    }

    private func announcedOldest() throws -> UInt64 {
        var target = [UInt8](repeating: 0, count: SendRing.announcementByteCount)
        _ = target.withUnsafeMutableBytes {
            ring.writeAnnouncement(Announcement(), $0, clockMicroseconds: 1)
        }
        return try PacketBytes.header(of: target).oldest
    }

    @Test func largePacketsThatNeverArriveAreGivenUpAndSmallerOnesMade() throws {
        #expect(try announcedOldest() == 1)
        ask([4, 7], PathWatch.attempts)
        #expect(master.pathLimit.byteCount == .max)
        ask([4, 7], 1)
        #expect(master.pathLimit == PathLimit(byteCount: 1_452, nodeID: 2))
        #expect(try announcedOldest() == 9)
        append(300)
        var lengths: [Int] = []
        ring.markSent(
            ring.withUnsent(maximum: 64, clockMicroseconds: 1) { lengths.append($1.count) })
        #expect(lengths.count == 4 && lengths.allSatisfy { $0 <= 1_452 })
        // These do not arrive either: the next size.
        ask([9, 10, 11], PathWatch.attempts + 1)
        #expect(master.pathLimit.byteCount == 1_232)
    }

    @Test func whatIsAppendedMeanwhileIsGivenUpToo() throws {
        for port in 1...300 {
            _ = ring.appendDelete(
                Key(SampleEntries.tuple(ProtocolNumber.udp, UInt16(port), 53)))
        }
        ask([4, 7], PathWatch.attempts + 1)
        var headers: [PacketHeader] = []
        ring.markSent(
            ring.withUnsent(maximum: 64, clockMicroseconds: 1) { _, packet in
                do {
                    headers.append(try PacketHeader.read(packet.bytes, nil))
                } catch {
                    Issue.record("\(error)")
                }
            })
        #expect(headers.map(\.sequence) == [9] && headers.map(\.oldest) == [9])
        #expect(try announcedOldest() == 10)
    }

    /// Whatever keeps it from the slave: one that is sealed with a key which it has not any more.
    @Test func whatIsSentAgainInVainIsGivenUp() throws {
        ask([5], PathWatch.mostAttempts)
        ask([5], 3 * PathWatch.mostAttempts, silentMilliseconds: 500)
        // What the sender does not come to send is not in vain.
        ask([6], 3 * PathWatch.mostAttempts, from: 3, isAnswered: false)
        while master.nextAgain(now: 1) != nil {}
        #expect(try announcedOldest() == 1)
        ask([5], 1)
        #expect(try announcedOldest() == 9 && master.pathLimit == PathLimit())
        // Each packet, and each slave, for itself.
        append(1)
        append(1)
        send()
        for _ in 0..<3 * PathWatch.mostAttempts {
            ask([9], 1)
            ask([10], 1)
        }
        ask([9], PathWatch.mostAttempts)
        ask([9], PathWatch.mostAttempts, from: 3)
        #expect(try announcedOldest() == 9)
        ask([9], 1, from: 3)
        #expect(try announcedOldest() == 11)
    }

    @Test func otherReasonsAreNoReason() {
        // A large one came: it is loss.
        ask([4, 6, 8], 3 * PathWatch.attempts)
        // One direction is cut: the master is not heard.
        ask([4, 7], 3 * PathWatch.attempts, silentMilliseconds: 500)
        // Small packets are missing.
        ask([5], 3 * PathWatch.attempts)
        // Another packet each time.
        for _ in 0..<3 * PathWatch.attempts {
            ask([4, 7], 1)
            ask([7], 1)
        }
        #expect(master.pathLimit.byteCount == .max)
    }

    @Test func aNewDeviceHasANewPathAndANewEpochCountsAnew() {
        ask([4, 7], PathWatch.attempts)
        master.start(MasterClaim(epoch: 100, nodeID: 5))
        ask([4, 7], PathWatch.attempts)
        #expect(master.pathLimit.byteCount == .max)
        ask([4, 7], 1)
        #expect(master.pathLimit.byteCount == 1_452)
        master.forgetPath()
        #expect(master.pathLimit == PathLimit())
    }

    /// Where an older master writes zeros.
    @Test func whatIsAnnouncedOfIt() throws {
        for (path, bytes) in [
            (PathLimit(), [UInt8](repeating: 0, count: 3)),
            (PathLimit(byteCount: 1_452, nodeID: 255), [255, 0x05, 0xAC]),
        ] {
            let place = PacketHeader.byteCount
            var packet = [UInt8](repeating: 9, count: place + Announcement.byteCount)
            packet.withUnsafeMutableBytes { raw in
                var span = raw.mutableBytes
                Announcement(path: path).write(&span)
            }
            #expect(Array(packet[(place + 27)..<(place + 30)]) == bytes)
            #expect(packet[(place + 30)...].allSatisfy { $0 == 0 })
            #expect(try Announcement.read(packet.span.bytes) == Announcement(path: path))
        }
    }

    @Test func theSmallestSizeHasRoomForAnyMessage() {
        #expect(PathWatch.sizes.last == SyncSocket.smallestMTU - 48)
        #expect(PathWatch.size(below: 100) == nil)
        #expect(PathWatch.sizes == PathWatch.sizes.sorted(by: >))
    }
}
