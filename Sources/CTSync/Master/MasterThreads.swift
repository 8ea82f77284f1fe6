// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// The threads of a term as master: they wait, step the engine's stages, and wake each other.
///
/// `ct_sync_event` sleeps until the event socket has something; under load it sleeps through a pause
/// (`EventPace`), so that the next look finds a batch and not one event. `ct_sync_init` and
/// `ct_sync_send` sleep as long as their stage says.
final class MasterThreads {
    let engine: MasterEngine
    private let kernel: any KernelTable
    private let eventStop: StopSign
    private let walkStop: StopSign
    private let sendStop: StopSign
    private var threads: Threads?

    private struct Threads: ~Copyable {
        let event: WorkerThread
        let walk: WorkerThread
        let send: WorkerThread

        consuming func join(stopping last: StopSign) {
            walk.join()
            event.join()
            last.stop()
            send.join()
        }
    }

    /// Takes the memory of the engine; starts nothing.
    init(
        links: SyncLinks, kernel: any KernelTable, filter: FilterBox, ringSlots: Int,
        packetsPerSecond: UInt32, reconcileSeconds: UInt32, flushGraceSeconds: UInt32,
        seal: LinkSeal
    ) throws(SystemError) {
        self.kernel = kernel
        eventStop = try StopSign()
        walkStop = try StopSign()
        sendStop = try StopSign()
        engine = try MasterEngine(
            link: links, filter: filter, ringSlots: ringSlots,
            slotByteCount: links.largestByteCount, wake: sendStop.wake,
            packetsPerSecond: packetsPerSecond, reconcileSeconds: reconcileSeconds,
            flushGraceSeconds: flushGraceSeconds, sealing: try LinkSealer(seal))
    }

    /// What wakes the sender: something is to be sent again.
    var sendWake: WakeUp { sendStop.wake }
    /// What wakes the walk: one is wanted, or its rate has changed.
    var walkWake: WakeUp { walkStop.wake }

    /// Begins a term; its first packet announces it.
    ///
    /// - Throws: `SystemError` if a socket or a thread cannot be had.
    func start(
        _ claim: MasterClaim, holding: Holding, lacks: Bool
    ) throws(SystemError) {
        for stop in [eventStop, walkStop, sendStop] { stop.reset() }
        let term = try engine.open(
            claim, holding: holding, lacks: lacks, kernel, now: Clock.now())
        let parts = SendableBox(term)
        let event = try Self.startListening(engine, parts, eventStop, walkWake)
        let walk: WorkerThread
        do throws(SystemError) {
            walk = try Self.startWalking(engine, parts, walkStop)
        } catch {
            eventStop.stop()
            event.join()
            throw error
        }
        do throws(SystemError) {
            let send = try Self.startSending(engine, parts, sendStop)
            threads = Threads(event: event, walk: walk, send: send)
        } catch {
            for stop in [eventStop, walkStop] { stop.stop() }
            event.join()
            walk.join()
            throw error
        }
    }

    /// Ends a term: what the kernel has said so far is still sent.
    func stop() {
        guard let threads = threads.take() else { return }
        walkStop.stop()
        eventStop.stop()
        threads.join(stopping: sendStop)
    }

    /// Has the sockets and threads of a term, and gives them back: nothing is listened to or sent.
    ///
    /// - Throws: `SystemError` as `start`.
    func rehearse() throws(SystemError) {
        try engine.rehearse(kernel, now: Clock.now())
        for name in ["ct_sync_event", "ct_sync_init", "ct_sync_send"] {
            try WorkerThread(named: name) {}.join()
        }
    }

    private static func startListening(
        _ engine: MasterEngine, _ parts: SendableBox<MasterEngine.Term>, _ stop: StopSign,
        _ walkWake: WakeUp
    ) throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "ct_sync_event") {
            listen(engine, parts.value, stop, walkWake)
        }
    }

    private static func startWalking(
        _ engine: MasterEngine, _ parts: SendableBox<MasterEngine.Term>, _ stop: StopSign
    ) throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "ct_sync_init") { walk(engine, parts.value.walk, stop) }
    }

    private static func startSending(
        _ engine: MasterEngine, _ parts: SendableBox<MasterEngine.Term>, _ stop: StopSign
    ) throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "ct_sync_send") { send(engine, parts.value.sending, stop) }
    }

    private static func listen(
        _ engine: MasterEngine, _ term: MasterEngine.Term, _ stop: StopSign, _ walkWake: WakeUp
    ) {
        while !stop.isStopped {
            waitForEvents(term.events, stop)
            let isWalkWanted = engine.listen(
                term.events, term.sending, now: Clock.now(),
                wallMicroseconds: Clock.wallMicroseconds())
            if isWalkWanted { walkWake.signal() }
        }
        _ = engine.intake.drain(term.events, now: Clock.now(), isLast: true)
    }

    private static func waitForEvents(_ term: EventIntake.Term, _ stop: StopSign) {
        // Only the stop ends a pause.
        if case .until(let instant) = term.pause { return stop.sleep(until: instant) }
        let (due, now) = (term.due, Clock.now())
        _ = ctsync_wait(term.source.raw, stop.wake.raw, Int64(max(due, now) - now))
    }

    private static func walk(_ engine: MasterEngine, _ term: InitsyncWalk.Term, _ stop: StopSign) {
        while !stop.isStopped {
            switch engine.initsync.step(term, now: Clock.now()) {
            case .none: break
            case .until(let instant): stop.sleep(until: instant)
            case .untilWoken: stop.sleep()
            }
        }
        engine.initsync.close(term)
    }

    private static func send(_ engine: MasterEngine, _ term: Sender.Term, _ stop: StopSign) {
        while !stop.isStopped {
            let pause = engine.sender.step(
                term, now: Clock.now(), wallMicroseconds: Clock.wallMicroseconds())
            guard pause != .none else { continue }
            if let instant = engine.mayRest(pause) { stop.sleep(until: instant) }
            engine.ring.wokeUp()
        }
        engine.sender.finish(term, wallMicroseconds: Clock.wallMicroseconds()) { Clock.now() }
    }
}
