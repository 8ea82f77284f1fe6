// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The master's threads, for one term: event listener, initsync walk, sender.
///
/// Their memory is taken when the daemon starts, so that a promotion takes none.
final class MasterPipeline {
    let ring: SendRing
    let master: MasterProtocol
    let sender: Sender
    let initsync: InitsyncWalk
    let listener: EventListener
    private var threads: Threads?

    private struct Threads: ~Copyable {
        let listener: WorkerThread
        let initsync: WorkerThread
        let sender: WorkerThread

        consuming func join(stopping last: Sender) {
            initsync.join()
            listener.join()
            last.requestStop()
            sender.join()
        }
    }

    init(
        socket: SyncSocket, filter: FilterBox, ringSlots: Int, packetsPerSecond: UInt32,
        reconcileSeconds: UInt32
    ) throws(SystemError) {
        let stop = try StopSign()
        ring = try SendRing(
            slotCount: ringSlots, slotByteCount: socket.packetByteCount, wake: stop.wake)
        master = MasterProtocol(ring: ring)
        sender = Sender(ring: ring, master: master, socket: socket, stop: stop)
        initsync = try InitsyncWalk(
            ring: ring, master: master, filter: filter, packetsPerSecond: packetsPerSecond,
            reconcileSeconds: reconcileSeconds)
        listener = try EventListener(
            ring: ring, master: master, initsync: initsync, filter: filter)
    }

    /// Starts a term; the first packet announces it. Initsyncs begin after `master.timersRun()`.
    ///
    /// - Throws: `SystemError` where the event socket or a thread cannot be had.
    func start(_ claim: MasterClaim) throws(SystemError) {
        ring.reset(epoch: claim.epoch, nodeID: claim.nodeID)
        master.start(claim, postponesInitsyncs: true)
        let listening = try listener.start()
        let walking = try initsync.start()
        let sending = try sender.start()
        threads = Threads(listener: listening, initsync: walking, sender: sending)
    }

    /// Ends a term: what the kernel has said so far is still sent.
    func stop() {
        guard let threads = threads.take() else { return }
        initsync.requestStop()
        listener.requestStop()
        threads.join(stopping: sender)
    }
}
