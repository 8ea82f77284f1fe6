// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization
import Testing

@testable import CTSync

/// What the simulated cluster checks of each structure after each step can fail: here each is used as no
/// engine does. Those that cannot be misused from outside were seen to fail with planted faults.
@Suite struct AssertionTests {
    private static func faults(_ check: ((String) -> Void) -> Void) -> [String] {
        var faults: [String] = []
        check { faults.append($0) }
        return faults
    }

    private static func peer(_ link: UInt8, at instant: Instant) -> PeerList.Peer {
        PeerList.Peer(
            address: PeerAddress(
                address: Address(ipv4: 0xA9FE_0001), family: .ipv4, port: 1, link: link),
            lastHeard: instant, applied: 1)
    }

    private static func claim(_ epoch: UInt64, _ nodeID: UInt8 = 4) -> MasterClaim {
        MasterClaim(epoch: epoch, nodeID: nodeID)
    }

    @Test func aSlaveIsWhereItsPacketsComeFrom() {
        var peers = PeerList()
        peers.heard(3, Self.peer(0, at: 10))
        peers.heard(3, Self.peer(1, at: 20))
        let sound = Self.faults { peers.assertValid($0) }
        peers.heard(3, Self.peer(0, at: 15))
        let late = Self.faults { peers.assertValid($0) }
        peers.heard(5, Self.peer(9, at: 30))
        let misplaced = Self.faults { peers.assertValid($0) }
        #expect(sound.isEmpty && late == ["3 is heard by 1 only"] && misplaced.count > 1)
    }

    @Test func aSlaveHasAppliedNoMoreThanThereIs() throws {
        let ring = try SendRing(slotCount: 8, slotByteCount: 1_472, wake: nil)
        let master = MasterProtocol(ring: ring)
        ring.reset(epoch: 100, nodeID: 1)
        master.start(Self.claim(100, 1))
        #expect(Self.faults(master.assertValid).isEmpty)
        master.slaves.withLock { $0.peers.heard(3, Self.peer(0, at: 10)) }
        #expect(Self.faults(master.assertValid) == ["3 has 1 of 0 packets"])
    }

    @Test func nothingIsSentAgainBeforeItWasSent() {
        var again = Retransmission()
        let queued = again.request(
            SequenceRange(first: 5, count: 2), of: 3, at: PacketBytes.peer, kept: 1...9,
            byteCount: 100, now: 1)
        let sound = Self.faults { again.assertValid(upTo: 6, $0) }
        let early = Self.faults { again.assertValid(upTo: 5, $0) }
        #expect(queued == 2 && sound.isEmpty && early == ["6 is sent again first"])
    }

    @Test func aBeginIsOfAWalk() {
        var schedule = InitsyncSchedule()
        schedule.began(in: 7)
        #expect(Self.faults(schedule.assertValid).count == 1)
        schedule.require()
        let number = schedule.begin()
        #expect(number == 1 && Self.faults(schedule.assertValid).isEmpty)
    }

    @Test func aMasterMakesTheHighestClaimThatItHasHeard() {
        var machine = RoleMachine(nodeID: 4)
        machine.heard(Self.claim(7, 9))
        #expect(Self.faults(machine.assertValid).isEmpty)
        machine.commit(.master)
        #expect(Self.faults(machine.assertValid).count == 2)
        machine.commit(.master, Self.claim(8))
        #expect(Self.faults(machine.assertValid).isEmpty)
        machine.heard(Self.claim(9))
        #expect(Self.faults(machine.assertValid).count == 1)
        machine.commit(.slave, Self.claim(10, 9))
        #expect(Self.faults(machine.assertValid).count == 1)
    }

    @Test func whatIsMissingIsAskedFor() throws {
        var order = try PacketOrder(slotCount: 8, slotByteCount: 100)
        order.begin(at: 5)
        order.exists(6)
        let unasked = Self.faults { order.assertValid(asks: true, $0) }
        let ofAnHeir = Self.faults { order.assertValid(asks: false, $0) }
        #expect(unasked == ["nobody asks for what is missing"] && ofAnHeir.isEmpty)
        order.watchGap(now: 1)
        let asked = Self.faults { order.assertValid(asks: true, $0) }
        #expect(asked.isEmpty)
    }

    @Test func wordsAreInTheOrderOfTheirGenerations() {
        var words = LaterWords()
        words.begin(adopted: .none, 5, keepsSpans: false)
        words.hear(after: Basis(epoch: 1, sequence: 1), 8)
        #expect(Self.faults(words.assertValid).isEmpty)
        words.take(Basis(epoch: 1, sequence: 2), 7)
        #expect(Self.faults(words.assertValid) == ["a span since 7 after one since 8"])
    }

    @Test func amendedMessagesAreInTheOpenPacket() {
        let open = OpenMessages()
        let key = SampleEntries.plain[0].key
        open.set(key, PacketHeader.byteCount)
        let sound = Self.faults { open.assertValid(100, $0) }
        open.set(key, 100)
        let beyond = Self.faults { open.assertValid(100, $0) }
        #expect(sound.isEmpty && beyond == ["a message is at 100 of 100 bytes"])
    }

    @Test func aLossIsRepairedAfterWhatWasQueuedBeforeIt() {
        var losses = EventLosses()
        losses.tookOver()
        let mayWalk = losses.mayWalk(now: 1)
        losses.lost()
        losses.walkWasWhole()
        #expect(mayWalk && Self.faults(losses.assertValid).isEmpty && !losses.areRepaired)
    }
}
