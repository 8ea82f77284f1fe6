// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Several changes of one connection while a packet is open are one message.
@Suite struct AmendedMessageTests {
    private static func makeRing() throws -> SendRing {
        let ring = try SendRing(slotCount: 64, slotByteCount: 1_472, wake: nil)
        ring.reset(epoch: 9, nodeID: 3)
        return ring
    }

    private static func tcp(
        _ port: UInt16, _ state: UInt8, _ status: Status = .IPS_SEEN_REPLY
    ) -> Entry {
        var entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, port, 80), status)
        entry.protocolInfo.state = state
        entry.timeoutSeconds = 100 + UInt32(state)
        entry.fields.remove(.mark)
        entry.mark = 0
        return entry
    }

    /// What is sent, message for message.
    private static func sent(_ ring: SendRing) throws -> [Message] {
        ring.flush()
        var packets: [[UInt8]] = []
        while ring.lastSent < ring.lastClosed {
            ring.markSent(
                ring.withUnsent(maximum: 64, clockMicroseconds: 5) { _, packet in
                    packets.append(Array(packet))
                })
        }
        var messages: [Message] = []
        var message = Message()
        for packet in packets {
            var offset = PacketHeader.byteCount
            let first = messages.count
            while offset < packet.count {
                try MessageReader.read(packet.span.bytes, at: &offset, into: &message)
                messages.append(message)
            }
            #expect(try PacketBytes.header(of: packet).messageCount == messages.count - first)
        }
        return messages
    }

    private static func states(_ messages: [Message]) -> [[UInt16]] {
        messages.map {
            [$0.entry.key.tuple.sourcePort, UInt16($0.entry.protocolInfo.state)]
        }
    }

    /// A short connection, from SYN_SENT to TIME_WAIT, with another's in between: two messages of the
    /// length of the first, where twelve were.
    @Test(arguments: [false, true])
    func aShortConnectionIsOneMessage(_ isTranslated: Bool) throws {
        let ring = try Self.makeRing()
        func told(_ port: UInt16, _ state: UInt8) -> Entry {
            var entry = Self.tcp(port, state, state < 3 ? [] : [.IPS_SEEN_REPLY, .IPS_ASSURED])
            if isTranslated { entry.reply.destination = Address(ipv4: 0xCB00_7101) }
            return entry
        }
        for state in [1, 2, 3, 4, 6, 7] as [UInt8] {
            for port in [1_000, 1_001] as [UInt16] {
                let bits = state == 1 ? MessageKind.new : 0
                #expect(ring.appendUpdate(told(port, state), bits: bits) == .appended)
            }
        }
        #expect(ring.messageCount == 2)
        let messages = try Self.sent(ring)
        #expect(messages.map { $0.entry } == [told(1_000, 7), told(1_001, 7)])
        #expect(messages.allSatisfy { $0.kind.has(MessageKind.new) })
    }

    /// What a change does not say stays as it was said before.
    @Test func whatIsNotSaidStays() throws {
        let ring = try Self.makeRing()
        var entry = Self.tcp(1_000, 3)
        entry.mark = 7
        entry.fields.insert(.mark)
        _ = ring.appendUpdate(entry, bits: 0)
        var change = Self.tcp(1_000, 9, [.IPS_SEEN_REPLY, .IPS_ASSURED])
        change.fields = .status
        _ = ring.appendUpdate(change, bits: 0)
        entry.status = [.IPS_SEEN_REPLY, .IPS_ASSURED]
        #expect(try Self.sent(ring).map { $0.entry } == [entry])
    }

    /// What takes more room is a message of its own, which the next change amends.
    @Test func whatGrowsIsAppended() throws {
        let ring = try Self.makeRing()
        _ = ring.appendUpdate(Self.tcp(1_000, 1), bits: MessageKind.new)
        var marked = Self.tcp(1_000, 2)
        marked.mark = 7
        marked.fields.insert(.mark)
        _ = ring.appendUpdate(marked, bits: 0)
        _ = ring.appendUpdate(Self.tcp(1_000, 3), bits: 0)
        let messages = try Self.sent(ring)
        #expect(Self.states(messages) == [[1_000, 1], [1_000, 3]])
        #expect(messages.map { $0.entry.mark } == [0, 7])
        #expect(messages.map { $0.kind.has(MessageKind.new) } == [true, false])
    }

    /// Nothing is said before an end, a begin or a copy that it came after.
    @Test func theOrderOfAConnectionStays() throws {
        let ring = try Self.makeRing()
        let key = Self.tcp(1_000, 1).key
        _ = ring.appendUpdate(Self.tcp(1_000, 7), bits: 0)
        _ = ring.appendDelete(key)
        _ = ring.appendUpdate(Self.tcp(1_000, 2), bits: 0)
        _ = ring.appendUpdate(Self.tcp(1_000, 1), bits: MessageKind.new)
        _ = ring.appendUpdate(Self.tcp(1_000, 3), bits: MessageKind.initsync)
        _ = ring.appendUpdate(Self.tcp(1_000, 4), bits: 0)
        _ = ring.appendUpdate(Self.tcp(1_000, 5), bits: 0)
        let messages = try Self.sent(ring)
        #expect(messages.map { $0.entry.protocolInfo.state } == [7, 0, 2, 1, 3, 5])
        #expect(messages.map { $0.kind.type == .DELETE } == (0..<6).map { $0 == 1 })
    }

    /// A packet that is closed is not touched, and a new epoch begins with nothing.
    @Test func aClosedPacketStays() throws {
        let ring = try Self.makeRing()
        _ = ring.appendUpdate(Self.tcp(1_000, 1), bits: MessageKind.new)
        ring.flush()
        _ = ring.appendUpdate(Self.tcp(1_000, 2), bits: 0)
        #expect(Self.states(try Self.sent(ring)) == [[1_000, 1], [1_000, 2]])
        _ = ring.appendUpdate(Self.tcp(1_000, 3), bits: 0)
        ring.reset(epoch: 10, nodeID: 3)
        _ = ring.appendUpdate(Self.tcp(1_000, 4), bits: 0)
        #expect(Self.states(try Self.sent(ring)) == [[1_000, 4]])
    }

    // MARK: Against the events themselves

    /// A slave that reads the packets ends with what it would have of every single event, whatever
    /// order they come in; the tuples are more than `OpenMessages` has places.
    @Test func slavesEndTheSame() throws {
        let seed = Chance.anySeed
        for run in 0..<60 as Range<UInt64> {
            try Self.compare(Chance(seed: seed &+ run), "seed \(seed), run \(run)")
        }
    }

    private static func compare(_ chance: Chance, _ name: String) throws {
        let ring = try makeRing()
        let told = try ReplicaTable(capacity: 512, seed: 1)
        let read = try ReplicaTable(capacity: 512, seed: 1)
        let connections = chance.one(of: [2, 20, 300])
        var events = 0
        for round in 0..<4 {
            if round == 1 { for table in [told, read] { table.beginInitsync() } }
            for _ in 0..<chance.below(200) {
                let entry = event(chance, connections)
                events += 1
                switch chance.below(8) {
                case 0:
                    _ = ring.appendDelete(entry.key)
                    told.delete(entry.key, now: 1)
                case let kind:
                    let bits = kind == 1 ? MessageKind.initsync : kind == 2 ? MessageKind.new : 0
                    _ = ring.appendUpdate(entry, bits: bits)
                    _ = told.update(entry, isNew: kind == 2, isCopy: kind == 1, now: 1)
                }
                if chance.happens(20) { ring.flush() }
            }
            for message in try sent(ring) {
                guard message.kind.type == .UPDATE else {
                    read.delete(message.entry.key, now: 1)
                    continue
                }
                _ = read.update(
                    message.entry, isNew: message.kind.has(MessageKind.new),
                    isCopy: message.kind.has(MessageKind.initsync), now: 1)
            }
            if round == 2 { for table in [told, read] { table.endInitsync(isComplete: true) } }
            let (found, wanted) = (contents(read), contents(told))
            let wrong = Set(found.keys).union(wanted.keys).filter { found[$0] != wanted[$0] }
            #expect(wrong.count == 0, "\(name), round \(round)")
        }
        #expect(ring.messageCount <= UInt64(events))
    }

    private static func event(_ chance: Chance, _ connections: Int) -> Entry {
        let port = UInt16(chance.below(connections))
        var entry = tcp(port, UInt8(1 + chance.below(8)))
        if port % 3 == 0 { entry.reply.destination = Address(ipv4: 0xCB00_7101) }
        if chance.happens(500) { entry.status.insert(.IPS_ASSURED) }
        if chance.happens(200) {
            entry.mark = UInt32(chance.below(3))
            entry.fields.insert(.mark)
        }
        if chance.happens(200) {
            entry.protocolInfo = ProtocolInfo()
            entry.fields.remove(.protocolInfo)
        }
        if chance.happens(100) {
            entry.extras.labelsLow = chance.next()
            entry.fields.insert(.labels)
        }
        return entry
    }

    private static func contents(_ table: ReplicaTable) -> [Key: Entry] {
        var contents: [Key: Entry] = [:]
        table.forEachAlive { place, replica in
            contents[replica.key] = table.book.entry(at: place)
        }
        return contents
    }
}
