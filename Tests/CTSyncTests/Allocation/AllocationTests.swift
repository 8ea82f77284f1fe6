// SPDX-License-Identifier: GPL-2.0-or-later

import AllocationCounter
import Testing

@testable import CTSync

/// After start the data path allocates nothing: not per event, not per message, not for a packet
/// that is malformed or stale. Each path is gone once before it is counted.
@Suite(.serialized, .enabled(if: allocation_counter_works())) struct AllocationTests {
    static func allocations(_ body: () -> Void) -> UInt64 {
        allocation_counter_start()
        body()
        return allocation_counter_stop()
    }

    @Test func theCounterCounts() {
        var kept: [[Int]] = []
        kept.reserveCapacity(8)
        let count = Self.allocations {
            for size in 1...3 { kept.append(Array(repeating: size, count: size)) }
        }
        #expect(count == 3)
        #expect(Self.allocations {} == 0)
        #expect(kept.count == 3)
    }

    // MARK: The master

    @Test func noneForAnEvent() throws {
        let ring = try SendRing(slotCount: 64, slotByteCount: 1_400, wake: nil)
        ring.reset(epoch: 1, nodeID: 1)
        let filter = ReplicationFilter(
            ownAddresses: [Address(ipv4: 1), Address(ipv4: 9)],
            syncNetworks: [
                .init(address: Address(ipv4: 0xA9FE_0001), prefixLength: 16, family: .ipv4)
            ])
        let events = (SampleEntries.plain + SampleEntries.translated).map(WrittenMessages.told)
        var entry = Entry(Key(.none))
        var appended = 0
        var sent = 0
        func goThrough() {
            for event in events {
                do throws(NetlinkError) {
                    guard try EntryCodec.read(event.span.bytes, into: &entry) == .update else {
                        return
                    }
                } catch {
                    return
                }
                guard filter.admits(entry) else { return }
                entry.prepareForReplication()
                if ring.appendUpdate(entry, bits: 0) == .appended { appended += 1 }
                if ring.appendUpdate(entry, bits: 0) == .appended { appended += 1 }
                if ring.appendDelete(entry.key) == .appended { appended += 1 }
            }
            ring.flush()
            let count = ring.withUnsent(maximum: 64, clockMicroseconds: 1) { _, packet in
                sent += packet.count
            }
            ring.markSent(count)
        }
        goThrough()
        #expect(appended == 3 * events.count)
        #expect(ring.messageCount == 2 * UInt64(events.count))
        #expect(Self.allocations { for _ in 0..<20 { goThrough() } } == 0)
        #expect(appended == 63 * events.count)
        #expect(sent > 0)
    }

    /// Rules of every kind, none of which decides for all.
    static var rules: [ReplicationRule] {
        let changes: [(inout ReplicationRule) -> Void] = [
            { $0.protocolNumber = 99 },
            {
                $0.source = .init(
                    address: Address(ipv4: 0xC000_0200), prefixLength: 24, family: .ipv4)
            },
            {
                $0.destination = .init(
                    address: Address(high: 0x2001_0DB8_FFFF_0000, low: 0), prefixLength: 48,
                    family: .ipv6)
            },
            { $0.zone = 6 },
            {
                $0.protocolNumber = ProtocolNumber.tcp
                $0.tcpStates = 1 << UInt16(TCPState.timeWait)
            },
            { ($0.markMask, $0.markValue) = (0xFFFF, 53) },
            { $0.needsAssured = true },
        ]
        return changes.enumerated().map { index, change in
            var rule = ReplicationRule(isAccept: index == changes.count - 1)
            change(&rule)
            return rule
        }
    }

    @Test func noneForANackOrARequest() throws {
        let ring = try SendRing(slotCount: 16, slotByteCount: 1_400, wake: nil)
        ring.reset(epoch: 100, nodeID: 1)
        let master = MasterProtocol(ring: ring)
        master.start(MasterClaim(epoch: 100, nodeID: 1))
        for _ in 0..<10 {
            _ = ring.appendDelete(SampleEntries.plain[0].key)
            ring.flush()
        }
        ring.markSent(ring.withUnsent(maximum: 64, clockMicroseconds: 1) { _, _ in })
        var nack = PacketHeader(type: .NACK, nodeID: 2, epoch: 100, sequence: 2)
        nack.messageCount = 1
        let range: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5]
        let request = PacketHeader(type: .SLAVE_INITSYNC, nodeID: 2, epoch: 100, sequence: 9)
        let packets = [
            PacketBytes.sealed(nack, range + PacketBytes.report()),
            PacketBytes.sealed(request, PacketBytes.report()),
            PacketBytes.sealed(nack), PacketBytes.announcement(1, epoch: 99),
            PacketBytes.announcement(1, from: 3, epoch: 101), [1, 2, 3],
            PacketBytes.sync(1, [[9, 9]], epoch: 101),
        ]
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)
        defer { target.deallocate() }
        var now: Instant = 0
        var again = 0
        func goThrough() {
            now += Duration.second
            for packet in packets {
                _ = master.receive(packet.span.bytes, from: PacketBytes.peer, now: now)
            }
            while let item = master.nextAgain(now: now) {
                if ring.copy(item.sequence, to: target) != nil { again += 1 }
            }
            _ = ring.writeAnnouncement(Announcement(), target, clockMicroseconds: 1)
            if let number = master.beginInitsync(now: 1),
                let begin = ring.append(Bracket(number: number), .UPDATE)
            {
                master.initsyncBegan(in: begin)
                master.initsyncEnded(isWhole: true)
            }
            master.lostEvents()
            _ = master.caughtUp()
        }
        goThrough()
        #expect(Self.allocations { for _ in 0..<5 { goThrough() } } == 0)
        #expect(again == 30)
    }

    // MARK: The slave

    private final class NoKernel: EntriesOnly {
        private var created: [UInt32] = []
        private var updated: [UInt32] = []

        init() {
            created.reserveCapacity(1_024)
            updated.reserveCapacity(1_024)
        }

        func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
            created.append(tag)
            return true
        }
        func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
            updated.append(tag)
            return true
        }
        func delete(_ key: borrowing Key, tag: UInt32) -> Bool { true }
        func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool { true }
        func entry(_ key: borrowing Key) -> Entry? { nil }
        func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) -> BatchOutcome {
            // Of every kind of refusal a few.
            for tag in created.prefix(1) { failure(tag, 17) }
            for tag in updated.prefix(2) { failure(tag, 2) }
            created.removeAll(keepingCapacity: true)
            updated.removeAll(keepingCapacity: true)
            return BatchOutcome()
        }
    }

    /// A stream of packets, with those of a dead master and broken ones between, some out of order.
    private static func stream(_ count: Int) -> [[UInt8]] {
        let entries = SampleEntries.plain + SampleEntries.translated
        var packets: [[UInt8]] = []
        for index in 0..<count {
            var messages: [[UInt8]] = []
            if index % 40 == 0 { messages.append(PacketBytes.bracket(.UPDATE, UInt32(index / 40))) }
            for step in 0..<8 {
                let entry = entries[(index * 8 + step) % entries.count]
                let bits = [MessageKind.new, 0, MessageKind.initsync][step % 3]
                messages.append(PacketBytes.update(entry, bits: bits))
                if step % 4 == 3 { messages.append(PacketBytes.delete(entry.key)) }
            }
            if index % 40 == 39 {
                messages.append(PacketBytes.bracket(.DELETE, UInt32(index / 40)))
            }
            packets.append(PacketBytes.sync(UInt64(index + 1), messages, epoch: 100))
            if index % 7 == 6 { packets.swapAt(packets.count - 1, packets.count - 4) }
            if index % 9 == 8 { packets.append(PacketBytes.sync(3, messages, epoch: 99)) }
            if index % 9 == 7 { packets.append(Array(packets[0].prefix(70))) }
            if index % 9 == 6 { packets.append(PacketBytes.sync(9_999, [[0, 9, 9]], epoch: 100)) }
            if index % 9 == 5 { packets.append(PacketBytes.announcement(UInt64(index + 1))) }
        }
        return packets
    }

    @Test func noneForAMessage() throws {
        let table = try ReplicaTable(capacity: 1_024, seed: 5)
        let slave = try SlaveProtocol(
            nodeID: 2, table: table,
            filter: ReplicationFilter(ownAddresses: [Address(ipv4: 1)], syncNetworks: []),
            ringSlots: 64, slotByteCount: 1_400)
        let kernel = NoKernel()
        let injector = try Injector(kernel, kernel)
        let packets = Self.stream(800)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_400, alignment: 8)
        defer { target.deallocate() }
        var now = Duration.second
        var outputs = 0
        func take(_ packets: ArraySlice<[UInt8]>) {
            for packet in packets {
                now += 3 * Duration.millisecond
                guard Self.take(packet, slave, injector, now: now) else { return }
                while slave.output(now: now, wallMicroseconds: 0, target) != nil { outputs += 1 }
                table.renew(budget: 8, now: UInt32(now / Duration.second))
                _ = slave.outOfSync(now: now)
            }
        }
        take(packets[..<200])
        #expect(Self.allocations { take(packets[200...]) } == 0)
        // All of it has happened.
        #expect(slave.counters.messages > 5_000)
        #expect(slave.counters.initsyncs > 10)
        #expect(slave.counters.stale > 50)
        #expect(slave.counters.bad[WireError.message.index] > 50)
        #expect(slave.counters.bad[WireError.length.index] > 50)
        #expect(slave.counters.nacks > 10)
        #expect(injector.created > 500)
        #expect(outputs > 10)
    }

    /// Has a slave take a packet and give the kernel what it changed; false where that fails.
    private static func take(
        _ packet: [UInt8], _ slave: SlaveProtocol, _ injector: Injector, now: Instant
    ) -> Bool {
        slave.receive(packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
        do throws(SystemError) {
            try injector.apply(slave.table, now: UInt32(now / Duration.second))
            return true
        } catch {
            return false
        }
    }

    /// A slave with rules of its own, and expectations among the messages.
    @Test func noneForAFilteredMessage() throws {
        let table = try ReplicaTable(capacity: 1_024, seed: 5)
        let slave = try SlaveProtocol(
            nodeID: 2, table: table,
            filter: ReplicationFilter(
                ownAddresses: [Address(ipv4: 1)], syncNetworks: [], rules: Self.rules),
            ringSlots: 64, slotByteCount: 1_400)
        let kernel = NoKernel()
        let injector = try Injector(kernel, kernel)
        let entries = SampleEntries.plain + SampleEntries.translated
        let packets = (0..<400).map { index in
            let controls = [Family.ipv4, .ipv6].map {
                SampleExpectations.control("ftp", UInt16(4_000 + index % 8), family: $0, zone: 5)
            }
            let left = SampleExpectations.control("ftp", 4_000, zone: 6)
            let messages = (controls + [left]).flatMap { control in
                let expectation = SampleExpectations.expectation(
                    of: control, port: UInt16(3_000 + index % 5))
                return [
                    PacketBytes.update(control, bits: 0), PacketBytes.update(expectation),
                    PacketBytes.update(entries[index % entries.count], bits: 0),
                ] + (index % 3 == 0 ? [PacketBytes.delete(expectation)] : [])
            }
            return PacketBytes.sync(UInt64(index + 1), messages, epoch: 100)
        }
        var now = Duration.second
        func take(_ packets: ArraySlice<[UInt8]>) {
            for packet in packets {
                now += 3 * Duration.millisecond
                guard Self.take(packet, slave, injector, now: now) else { return }
            }
        }
        take(packets[..<100])
        #expect(Self.allocations { take(packets[100...]) } == 0)
        #expect(slave.counters.messages > 3_600 && slave.counters.leftOut >= 800)
        #expect(table.expectations.aliveCount > 4)
    }

    @Test func noneForAnAdoptedEntry() throws {
        let table = try ReplicaTable(capacity: 1_024, seed: 5)
        let entries = SampleEntries.plain + SampleEntries.translated
        let count = Self.allocations {
            for entry in entries { _ = table.adopt(entry, now: 1) }
            for entry in entries { _ = table.fate(of: entry, now: 2) }
            table.removeAll()
        }
        #expect(count == 0)
    }
}
