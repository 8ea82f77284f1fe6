// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync
@testable import CTSyncTests

/// A master's engine over the kernel's table of the calling thread's namespace, stepped by hand with a hand
/// clock; its link takes everything.
final class KernelMaster {
    /// A link that takes everything.
    private struct Sink: SyncLink {
        func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 { 0 }
    }

    private static let claim = MasterClaim(epoch: 100, nodeID: 1)
    let engine: MasterEngine
    private let term: MasterEngine.Term
    var now = 10 * Duration.second

    /// - Parameter packetsPerSecond: of a walk; 0 for as fast as the slaves keep up.
    init(
        _ kernel: any KernelTable = Kernel(), ringSlots: Int = 256, packetsPerSecond: UInt32 = 0
    ) throws {
        let filter = ReplicationFilter(ownAddresses: [], syncNetworks: [])
        engine = try MasterEngine(
            link: Sink(), filter: FilterBox(filter), ringSlots: ringSlots, slotByteCount: 1_400,
            packetsPerSecond: packetsPerSecond, reconcileSeconds: 0)
        term = try engine.open(Self.claim, holding: Holding(), lacks: false, kernel, now: now)
        engine.exchange.timersRun()
    }

    /// Packets sent, without announcements.
    var sent: UInt64 { engine.ring.lastSent }
    /// Walks begun, and whether one runs or is wanted.
    var walks: (begun: UInt32, isRunning: Bool) { engine.exchange.initsyncs }

    /// Takes the events that are there, and sends what they come to.
    func listen() {
        _ = engine.listen(term.events, term.sending, now: now, wallMicroseconds: 0)
    }

    /// Does the next piece of a walk, and sends it.
    ///
    /// - Returns: when the next is due; nil if none is wanted.
    func walk() -> Instant? {
        let pause = engine.initsync.step(term.walk, now: now)
        while engine.ring.lastSent < engine.ring.lastClosed {
            _ = engine.sender.step(term.sending, now: now, wallMicroseconds: 0)
        }
        return switch pause {
        case .none: now
        case .until(let instant): instant
        case .untilWoken: nil
        }
    }

    /// Hears a slave that has applied everything up to a packet.
    func hear(_ nodeID: UInt8, applied: UInt64) {
        let header = PacketHeader(
            type: .NACK, nodeID: nodeID, epoch: Self.claim.epoch, sequence: applied + 1)
        let packet = PacketBytes.sealed(header, PacketBytes.report())
        let consequence = engine.exchange.receive(
            packet.span.bytes, from: PacketBytes.peer, now: now)
        #expect(consequence == .none)
    }
}
