// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// The master's second stage: closed packets go to the socket, straight from the ring.
///
/// Thread: `ct_sync_send`, for one term as master.
///
/// 1. Seal and send the closed packets, up to 64 a system call.
/// 2. Send again what slaves have asked for, up to 16 at a time, so that live packets never starve.
/// 3. Nothing to do: announce the last sequence number every 100 ms, so that a slave notices a lost
///    last packet, and sleep.
///
/// Memory is the ring's; packets sent again are copied first, as their slots may be overwritten.
final class Sender: Sendable {
    /// How often an idle master announces itself.
    static let announceInterval = 100 * Duration.millisecond
    private static let batch = 64
    private static let againBatch = 16

    private let ring: SendRing
    private let master: MasterProtocol
    private let socket: SyncSocket
    private let stop: StopSign
    private let packets = Atomic<UInt64>(0)
    private let bytes = Atomic<UInt64>(0)
    private let again = Atomic<UInt64>(0)
    private let refused = Atomic<UInt64>(0)

    init(
        ring: SendRing, master: MasterProtocol, socket: SyncSocket, stop: StopSign
    ) {
        self.ring = ring
        self.master = master
        self.socket = socket
        self.stop = stop
    }

    /// Packets sent, of all types.
    var packetCount: UInt64 { packets.load(ordering: .relaxed) }
    /// Their bytes, without IP and UDP headers.
    var byteCount: UInt64 { bytes.load(ordering: .relaxed) }
    /// Packets sent again.
    var againCount: UInt64 { again.load(ordering: .relaxed) }
    /// Packets that the network refused.
    var refusedCount: UInt64 { refused.load(ordering: .relaxed) }

    /// Starts the thread; its first packet announces the new epoch.
    func start() throws(SystemError) -> WorkerThread {
        stop.reset()
        return try WorkerThread(named: "ct_sync_send") { [self] in run() }
    }

    /// Lets the thread end.
    func requestStop() {
        stop.stop()
    }

    /// Wakes it: there is something to send again.
    func wake() {
        stop.wake.signal()
    }

    private func run() {
        let live = DatagramBuffers(count: Self.batch, byteCount: 64)
        let copies = DatagramBuffers(count: Self.againBatch, byteCount: ring.slotByteCount)
        let announcement = DatagramBuffers(count: 1, byteCount: PacketHeader.byteCount)
        var announceAt: Instant = 0
        while !stop.isStopped {
            let sent = sendLive(live)
            let again = sendAgain(copies)
            let now = Clock.now()
            // What goes to one slave again tells the others nothing.
            if sent > 0 { announceAt = now + Self.announceInterval }
            if now >= announceAt {
                announce(announcement)
                announceAt = now + Self.announceInterval
            }
            if sent + again > 0 { continue }
            if ring.prepareToSleep(), master.hasNothingAgain { stop.sleep(until: announceAt) }
            ring.wokeUp()
        }
        while sendLive(live) > 0 {}
    }

    private func sendLive(_ buffers: DatagramBuffers) -> Int {
        var total = 0
        let count = ring.withUnsent(
            maximum: Self.batch, clockMicroseconds: Clock.wallMicroseconds()
        ) { index, packet in
            buffers.point(index, at: packet)
            total += packet.count
        }
        guard count > 0 else { return 0 }
        send(buffers, count, total, to: nil)
        ring.markSent(count)
        return count
    }

    private func sendAgain(_ buffers: DatagramBuffers) -> Int {
        var done = 0
        while done < Self.againBatch, let item = master.nextAgain() {
            let memory = buffers.own(0)
            guard let length = ring.copy(item.sequence, to: memory) else { continue }
            buffers.point(0, at: UnsafeMutableRawBufferPointer(rebasing: memory[..<length]))
            send(buffers, 1, length, to: item.peer)
            again.wrappingAdd(1, ordering: .relaxed)
            done += 1
        }
        return done
    }

    private func announce(_ buffers: DatagramBuffers) {
        let memory = buffers.own(0)
        let length = ring.writeAnnouncement(memory, clockMicroseconds: Clock.wallMicroseconds())
        buffers.point(0, at: memory)
        send(buffers, 1, length, to: nil)
    }

    private func send(
        _ buffers: DatagramBuffers, _ count: Int, _ total: Int, to peer: PeerAddress?
    ) {
        refused.wrappingAdd(socket.send(buffers, count: count, to: peer), ordering: .relaxed)
        packets.wrappingAdd(UInt64(count), ordering: .relaxed)
        bytes.wrappingAdd(UInt64(total), ordering: .relaxed)
    }
}
