// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What a message does to the replica table, by what the node is.
@Suite struct MessageIntakeTests {
    private static let entry = SampleEntries.plain[0]
    private let table: ReplicaTable
    private let intake: MessageIntake

    init() throws {
        table = try ReplicaTable(capacity: 4, seed: 1)
        intake = MessageIntake(table, ReplicationFilter(ownAddresses: [], syncNetworks: []))
        table.beginWords(adopted: .none)
    }

    private static func kind(_ type: MessageKind.MessageType, _ bits: UInt8 = 0) -> MessageKind {
        MessageKind(rawValue: MessageKind(.CONNTRACK, type).rawValue | bits)
    }

    private func take(
        _ type: MessageKind.MessageType, _ entry: Entry = entry, bits: UInt8 = 0
    ) -> MessageIntake.Outcome {
        var message = Message()
        message.kind = Self.kind(type, bits)
        message.entry = entry
        return intake.take(message, now: 10)
    }

    @Test func aSlaveTakesItsMastersWord() {
        #expect(take(.UPDATE, bits: MessageKind.new) == .taken)
        #expect(table.aliveCount == 1)
        #expect(take(.DELETE) == .taken && table.aliveCount == 0)
    }

    @Test func aFullTableIsTold() {
        for port in UInt16(1)...4 {
            let other = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53))
            #expect(take(.UPDATE, other, bits: MessageKind.new) == .taken)
        }
        #expect(take(.UPDATE, bits: MessageKind.new) == .full)
    }

    @Test mutating func itsOwnFilterLeavesOutItsOwnConnections() {
        intake.filter = ReplicationFilter(
            ownAddresses: [Self.entry.key.tuple.source], syncNetworks: [])
        #expect(take(.UPDATE, bits: MessageKind.new) == .leftOut && table.aliveCount == 0)
    }

    /// Packets have passed here since: what the predecessor says of it is older.
    @Test mutating func anHeirKeepsWhatHasMovedOn() {
        #expect(take(.UPDATE, bits: MessageKind.new) == .taken)
        intake.beHeir()
        #expect(intake.isHeir && intake.handover == nil)
        intake.hasMovedOn = { $0 == Self.entry.key }
        #expect(take(.DELETE) == .taken && table.aliveCount == 1)
        intake.beSlave()
        #expect(take(.DELETE) == .taken && table.aliveCount == 0)
    }

    /// What is handed over has its donor's word, and does not replace what has a later one here.
    @Test mutating func aTakerKeepsWhatIsLater() {
        let word = Basis(epoch: 6, sequence: 5)
        intake.handover = ReceivedHandover(
            from: MasterClaim(epoch: 7, nodeID: 2), LastWords(donor: word, own: .none), now: 0)
        #expect(take(.UPDATE, bits: MessageKind.heard) == .taken)
        #expect(table.aliveCount == 1 && table.lateness(Self.entry.key) == word)
        var other = Self.entry
        other.reply.destinationPort += 1
        intake.handover?.begin(Bracket(number: 1, basis: Basis(epoch: 6, sequence: 4)))
        #expect(take(.UPDATE, other) == .taken)
        #expect(table.reply(Self.entry.key) == Self.entry.reply)
        #expect(take(.UPDATE, other, bits: MessageKind.heard) == .taken)
        #expect(table.reply(Self.entry.key) == other.reply)
        intake.beSlave()
        #expect(intake.handover == nil)
    }

    /// A master that is not whole takes away only what it has spoken of.
    @Test func aPartialMasterTakesNothingAway() {
        var message = Message()
        message.kind = Self.kind(.DELETE)
        message.entry = Self.entry
        #expect(intake.takesAway(message))
        #expect(take(.UPDATE, bits: MessageKind.new) == .taken)
        #expect(!intake.takesAway(message))
        message.kind = Self.kind(.UPDATE)
        message.entry.reply.destinationPort += 1
        #expect(intake.takesAway(message))
        message.kind = Self.kind(.UPDATE, MessageKind.new)
        #expect(!intake.takesAway(message))
    }
}
