// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization
import Testing

@testable import CTSync

/// What events come to is sent by the thread that reads them; the sender is woken for the rest.
@Suite struct DirectSendingTests {
    /// A link that counts.
    private final class Port: SyncLink, Sendable {
        let count = Atomic<Int>(0)
        let ready = Atomic(true)

        var isReady: Bool { ready.load(ordering: .relaxed) }

        func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
            self.count.wrappingAdd(count, ordering: .relaxed)
            return 0
        }
    }

    private let port = Port()
    private let wake: WakeUp
    private let ring: SendRing
    private let sender: Sender
    private let term: Sender.Term

    init() throws {
        wake = try WakeUp()
        ring = try SendRing(slotCount: 64, slotByteCount: 400, wake: wake)
        ring.reset(epoch: 9, nodeID: 3)
        sender = Sender(ring: ring, master: MasterProtocol(ring: ring), link: port)
        term = sender.open()
        // The first announcement is out, and the sender sleeps.
        _ = sender.step(term, now: Duration.second, wallMicroseconds: 1)
        #expect(ring.prepareToSleep())
    }

    private var sent: Int { port.count.load(ordering: .relaxed) }

    private func close(_ count: Int = 1) {
        for number in 0..<count {
            _ = ring.appendDelete(
                Key(SampleEntries.tuple(ProtocolNumber.udp, UInt16(number + 1), 53)))
            ring.flush()
        }
    }

    private func sendClosed() {
        sender.sendClosed(term, now: Duration.second, wallMicroseconds: 1)
    }

    @Test func thePacketGoesOutAndTheSenderSleepsOn() {
        let before = sent
        ring.beginSending()
        close()
        sendClosed()
        ring.endSending()
        #expect(sent == before + 1)
        #expect(!wake.isSignalled)
        // It counts as live traffic: the next announcement is put off.
        ring.wokeUp()
        let pause = sender.step(
            term, now: Duration.second + 50 * Duration.millisecond, wallMicroseconds: 1)
        #expect(pause == .until(Duration.second + Sender.announceInterval))
    }

    @Test func otherwiseTheSenderIsWoken() {
        close()
        #expect(wake.isSignalled)
    }

    @Test func aLinkThatWouldBlockIsLeftToTheSender() {
        let before = sent
        port.ready.store(false, ordering: .relaxed)
        ring.beginSending()
        close()
        sendClosed()
        #expect(!wake.isSignalled)
        ring.endSending()
        #expect(sent == before && wake.isSignalled)
    }

    @Test func whatAnotherThreadClosesLastIsNotForgotten() {
        ring.beginSending()
        close()
        sendClosed()
        close()
        ring.endSending()
        #expect(wake.isSignalled)
    }

    @Test func aBurstWakesTheSenderAtOnce() {
        ring.beginSending()
        close(7)
        #expect(!wake.isSignalled)
        close()
        #expect(wake.isSignalled)
        ring.endSending()
    }
}
