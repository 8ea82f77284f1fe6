// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What the looks after a promotion make of a TCP entry's flags.
@Suite struct WindowRemedyTests {
    private static let acked = TCPFlag.maxAckSet
    private static let liberal = TCPFlag.beLiberal

    /// A table with one established replica in the kernel, whose flags the master said.
    private func table(_ entry: Entry) throws -> ReplicaTable {
        let table = try ReplicaTable(capacity: 4, seed: 1)
        #expect(table.adopt(entry, now: 0) == .applied)
        table.forgetSeen()
        return table
    }

    private func entry(_ original: UInt8, _ reply: UInt8, state: UInt8 = 3) -> Entry {
        var entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 4000, 80))
        entry.protocolInfo.state = state
        entry.protocolInfo.originalFlags = TCPFlag.windowScale | original
        entry.protocolInfo.replyFlags = TCPFlag.windowScale | reply
        return entry
    }

    @Test func oneSidedTwiceIsRelaxedUntilBothSidesAgree() throws {
        let table = try table(entry(0, 0))
        #expect(table.windowRemedy(for: entry(Self.acked, 0)) == .suspect)
        #expect(table.windowRemedy(for: entry(Self.acked, 0)) == .relax)
        let relaxed = entry(Self.acked | Self.liberal, Self.liberal)
        #expect(table.windowRemedy(for: relaxed) == nil)
        let agreed = entry(Self.acked | Self.liberal, Self.acked | Self.liberal)
        #expect(table.windowRemedy(for: agreed) == .watch)
        #expect(table.windowRemedy(for: entry(Self.acked, Self.acked)) == nil)
    }

    /// A replica is not watched from when it is made: until both directions have spoken, or to the last
    /// look if neither has.
    @Test func aReplicaIsWatchedFromWhenItsWindowsAreKnown() throws {
        let table = try table(entry(0, 0))
        let silent = entry(Self.liberal, Self.liberal)
        let repeated = entry(Self.acked | Self.liberal, Self.liberal)
        for other in [silent, repeated, repeated] {
            #expect(table.windowRemedy(for: other) == nil)
        }
        #expect(table.windowRemedy(for: repeated, isLast: true) == nil)
        #expect(table.windowRemedy(for: silent, isLast: true) == .watch)
        let known = entry(Self.acked | Self.liberal, Self.acked | Self.liberal)
        #expect(table.windowRemedy(for: known) == .watch)
    }

    /// Of a node that was master and is so again before its entries were made anew, both directions show
    /// packets of the term before.
    @Test func whatIsOutOfStepIsNeverWatched() throws {
        let table = try ReplicaTable(capacity: 4, seed: 1)
        table.remakesWorn = true
        let known = entry(Self.acked | Self.liberal, Self.acked | Self.liberal)
        #expect(table.adopt(entry(Self.acked, Self.acked), now: 0) == .applied)
        #expect(table.windowRemedy(for: known) == nil)
        #expect(table.windowRemedy(for: known, isLast: true) == nil)
        #expect(table.windowRemedy(for: entry(Self.acked, Self.acked)) == .relax)
        // Made anew, and no packet since.
        guard let place = table.book.alivePlace(known.key) else { throw Missing() }
        table.kernel.move(place, .deletionAsked(isHalf: false))
        table.kernel.move(place, .written)
        table.remakeIfWorn(entry(0, 0))
        #expect(table.windowRemedy(for: known) == .watch)
    }

    private struct Missing: Error {}

    /// What a replica's kernel is told is not told the next one as if the connection were so.
    @Test func whetherWindowsAreWatchedIsEachNodesOwn() {
        var scaled = entry(Self.liberal, Self.acked | Self.liberal)
        scaled.prepareForReplication()
        #expect(scaled.protocolInfo.originalFlags == TCPFlag.windowScale)
        #expect(scaled.protocolInfo.replyFlags == TCPFlag.windowScale)
        // Picked up in its middle (tcp_loose): nobody knows its scales.
        var loose = entry(0, 0)
        loose.protocolInfo.originalFlags = TCPFlag.sackPermitted | Self.liberal
        loose.protocolInfo.replyFlags = loose.protocolInfo.originalFlags
        let before = loose.protocolInfo
        loose.prepareForReplication()
        #expect(loose.protocolInfo == before)
    }

    @Test func othersAreLeftAlone() throws {
        let table = try table(entry(0, 0))
        for other in [
            // No packet, or both directions.
            entry(0, 0), entry(Self.acked, Self.acked),
            // The window means nothing, or not yet.
            entry(Self.acked, 0, state: TCPState.synSent),
            entry(Self.acked, 0, state: TCPState.timeWait),
        ] {
            #expect(table.windowRemedy(for: other) == nil)
            #expect(table.windowRemedy(for: other) == nil)
        }
        // One sided, but not twice in a row.
        for _ in 0..<3 {
            #expect(table.windowRemedy(for: entry(0, Self.acked)) == .suspect)
            #expect(table.windowRemedy(for: entry(Self.acked, Self.acked)) == nil)
        }
        // This node's own connection.
        var own = entry(Self.acked, 0)
        own.key.tuple.sourcePort &+= 1
        #expect(table.windowRemedy(for: own) == nil)
        #expect(table.windowRemedy(for: own) == nil)
    }

    @Test func dataThatNobodyAcknowledges() throws {
        let table = try table(entry(0, 0))
        let waits = TCPFlag.dataUnacknowledged
        #expect(table.placeOfUnacknowledged(entry(Self.acked | waits, Self.acked)) != nil)
        #expect(table.placeOfUnacknowledged(entry(Self.acked, Self.acked | waits)) != nil)
        let liberal = waits | Self.liberal
        for other in [
            entry(Self.acked, Self.acked), entry(Self.acked | liberal, Self.acked),
            entry(Self.acked | waits, Self.acked, state: TCPState.timeWait),
        ] {
            #expect(table.placeOfUnacknowledged(other) == nil)
        }
        var own = entry(Self.acked | waits, Self.acked)
        own.key.tuple.sourcePort &+= 1
        #expect(table.placeOfUnacknowledged(own) == nil)
    }

    @Test func aMasterThatWasLiberalStaysIt() throws {
        let table = try table(entry(Self.liberal, Self.liberal))
        for flags in [Self.acked | Self.liberal, Self.liberal] {
            let seen = entry(flags, Self.acked | Self.liberal)
            #expect(table.windowRemedy(for: seen) == nil)
            #expect(table.windowRemedy(for: seen) == nil)
        }
    }
}
