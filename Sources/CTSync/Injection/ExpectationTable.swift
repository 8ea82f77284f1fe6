// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What a slave holds of the master's expectations (`book`), and what of it the slave's kernel has
/// (`kernel`), as `ReplicaTable` holds its entries.
///
/// An expectation whose parent, or that one's helper, is not there yet is tried again for a while,
/// as a related entry is.
final class ExpectationTable {
    /// How long one is tried again ...
    static let patience = UInt64(ParentWait.patienceSeconds) * Duration.second
    /// ... and how often.
    static let retryInterval = 50 * Duration.millisecond

    /// What the master has said.
    private(set) var book: ExpectationBook
    /// What this node's kernel has of it.
    private(set) var kernel: KernelBook
    private let retries: UnsafeMutablePointer<Retry>
    private let retryMemory: MappedMemory

    /// When one that waits is tried again, and when no more; 0 before it was refused.
    private struct Retry: BitwiseCopyable {
        var at: Instant = 0
        var until: Instant = 0
    }

    /// Reserves the memory of a table.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(seed: UInt64) throws(SystemError) {
        let capacity = ExpectationBook.capacity
        book = try ExpectationBook(seed: seed)
        kernel = try KernelBook(capacity: capacity)
        retryMemory = try MappedMemory(byteCount: capacity * MemoryLayout<Retry>.stride)
        retries = retryMemory.base.bindMemory(to: Retry.self, capacity: capacity)
    }

    /// How many of the master are held.
    var aliveCount: Int { book.aliveCount }
    /// How many wait for their parent.
    var waitingCount: Int { kernel.waitingCount }
    /// How many the kernel has refused.
    var refusedCount: Int { kernel.refusedCount }
    /// Updates for which there was no place.
    var fullCount: UInt64 { book.fullCount }
    /// Whether the kernel is to be asked for anything.
    var isDirty: Bool { kernel.queuedCount > 0 }
    /// Places from here on are free.
    var highWater: Int { book.highWater }

    // MARK: Messages

    /// Takes what the master said of an expectation.
    ///
    /// - Parameter isCopy: an initsync read it from the table.
    /// - Returns: false if there is no place for it.
    @discardableResult
    func update(_ expectation: Expectation, isCopy: Bool, now: UInt32) -> Bool {
        switch book.hear(expectation, isCopy: isCopy, now: now) {
        case .nothing: return true
        case .full: return false
        case .said(let place, let change):
            if change == .first { kernel.reset(place) }
            // One that waited in vain is tried again: its parent may have come since.
            let isRefused = kernel[place].state.isRefused
            if change != .none || isRefused { retries[Int(place)] = Retry() }
            move(place, isRefused ? .retried : .confirmed)
            if change != .none { move(place, KernelState.Event(change)) }
            return true
        }
    }

    /// Takes that an expectation is gone: come true, timed out or removed.
    ///
    /// - Returns: false if an initsync is running that cannot remember it to its end.
    @discardableResult
    func delete(_ expectation: Expectation, now: UInt32) -> Bool {
        let (place, isRemembered) = book.hearEnd(of: expectation)
        if let place { kill(place) }
        return isRemembered
    }

    /// Takes over one that the slave's kernel has already, unconfirmed. Whatever time it has left,
    /// it is held from now on. What the stream has said of it meanwhile stands, and the kernel follows.
    func adopt(_ expectation: Expectation, now: UInt32) {
        if let known = book.place(of: expectation) {
            discover(known, expectation)
            return
        }
        guard let place = book.adopt(expectation, now: now) else { return }
        kernel.reset(place)
        retries[Int(place)] = Retry()
        move(place, .found(isAnother: false))
        if book.hasEnded(expectation) { kill(place) }
    }

    /// The kernel has one that the stream has spoken of already: it may wait for its parent, which was not
    /// read yet.
    private func discover(_ place: UInt32, _ expectation: Expectation) {
        let said = book.said[Int(place)]
        let isAlive = said.standing == .alive
        move(place, .found(isAnother: isAlive && !said.expectation.isSame(as: expectation)))
        if !isAlive { move(place, .ended) }
    }

    /// Marks all dead, as if the master had removed them.
    func killAll() {
        for place in places where standing(place) == .alive { kill(place) }
    }

    /// Forgets everything; the kernel's expectations stay as they are.
    func removeAll() {
        kernel.removeAll(highWater: book.highWater)
        book.removeAll()
    }

    // MARK: Initsync

    /// Begins the stream of another master.
    func follow() { book.follow() }

    /// Packets of the stream are lost.
    func losePackets() { book.losePackets() }

    /// Whether the live stream of the master that is followed has spoken of it.
    func isMastersWord(_ expectation: Expectation) -> Bool { book.isMastersWord(expectation) }

    /// From here on copies confirm.
    func beginInitsync() { book.beginInitsync() }

    /// Ends an initsync; a complete one removes what it has not confirmed.
    func endInitsync(isComplete: Bool) {
        guard book.endInitsync(isComplete: isComplete) == .purges else { return }
        for place in places where standing(place) == .alive {
            if !book.ledger.isConfirmed(book.said[Int(place)].word) { kill(place) }
        }
    }

    // MARK: Time and parents

    /// Gives those their long timeout again that were given it long ago, or not when it was asked for, and
    /// deletes those again whose deletion was refused.
    func renew(now: UInt32) {
        if refusedCount > 0 {
            for place in places {
                switch kernel[place].state {
                case .refused(.change), .refused(.remove), .refused(.replace): move(place, .retried)
                default: break
                }
            }
        }
        for place in places where isHeld(place) {
            guard now &- kernel[place].heldAtSeconds > ReplicaTable.renewSeconds else { continue }
            move(place, .changed)
        }
    }

    /// Tries those again that wait and whose time has come.
    func wakeWaiting(now: Instant) {
        guard waitingCount > 0 else { return }
        for place in places where kernel[place].state == .waiting {
            if retries[Int(place)].at <= now { move(place, .retried) }
        }
    }

    /// Calls this with the parent of each that the kernel would not create.
    func visitRefused(_ body: (Key) -> Void) {
        for place in places where kernel[place].state == .refused(.create) {
            body(book.said[Int(place)].expectation.parentKey)
        }
    }

    /// Tries those of a parent again that the kernel would not create.
    func retryRefused(of parent: Key) {
        for place in places where kernel[place].state == .refused(.create) {
            let expectation = book.said[Int(place)].expectation
            guard expectation.parent == parent.tuple, expectation.key.zone == parent.zone else {
                continue
            }
            retries[Int(place)] = Retry()
            move(place, .retried)
        }
    }

    /// The slave's kernel is told to remove a parent: it removes that one's expectations as well.
    ///
    /// - Parameter isRecreated: the entry comes again at once, and they are to follow.
    func lostParent(_ key: Key, isRecreated: Bool) {
        for place in places where standing(place) != .free && !kernel[place].state.hasNothing {
            let expectation = book.said[Int(place)].expectation
            guard expectation.parent == key.tuple, expectation.key.zone == key.zone else {
                continue
            }
            move(place, isRecreated ? .missing : .lostWithParent)
        }
    }

    /// The time that one which the kernel has would have had at the master; nil for others.
    func remainingTime(at place: UInt32, now: UInt32) -> (Expectation, seconds: UInt32)? {
        guard isHeld(place) else { return nil }
        let said = book.said[Int(place)]
        return (said.expectation, said.remainingSeconds(now: now))
    }

    // MARK: Requests and answers

    /// The next request of a round, with its place; nil at its end. What is created is given the long
    /// timeout besides, and what is to change is given nothing else.
    func nextRequest(_ round: inout KernelBook.Round, now: UInt32) -> (InjectOperation, UInt32)? {
        // Deletions first: a helper may expect only so many at a time.
        while let place = kernel.nextToLookAt(&round) {
            guard let request = kernel[place].state.firstRequest else { continue }
            if kernel[place].state == .replacing { move(place, .deletionAsked(isHalf: false)) }
            kernel[place].marks.insert(.askedToGo)
            return (request, place)
        }
        while let place = kernel.dequeue(&round) {
            release(place)
            guard let request = kernel[place].state.secondRequest else {
                kernel.keepForNextRound(place)
                continue
            }
            kernel[place].heldAtSeconds = now
            return (request, place)
        }
        return nil
    }

    /// Takes that the kernel would not delete one.
    func deletionFailed(_ place: UInt32) { move(place, .deletionRefused) }

    /// Takes that the kernel has done as it was asked, or has none of what it was to delete.
    func done(_ operation: InjectOperation, _ place: UInt32) {
        move(place, operation == .delete ? .deleted : .written)
        if kernel[place].state == .held { retries[Int(place)] = Retry() }
    }

    /// Takes that the kernel would not give one its time; nothing follows for one that it has not created.
    func timeRefused(_ place: UInt32) {
        move(place, .writingRefused(.refused))
    }

    /// Takes that the kernel did not create one.
    ///
    /// - Returns: what is done about it: it waits, or it is refused.
    func creationFailed(_ place: UInt32, now: Instant) -> InjectRemedy {
        let until = retries[Int(place)].until
        guard until == 0 || now < until else {
            retries[Int(place)] = Retry()
            move(place, .writingRefused(.refused))
            return .refused
        }
        retries[Int(place)] = Retry(
            at: now + Self.retryInterval, until: until == 0 ? now + Self.patience : until)
        move(place, .writingRefused(.waitForParent))
        return .waitForParent
    }

    // MARK: Pieces

    /// The places that may be in use.
    var places: Range<UInt32> { 0..<UInt32(book.highWater) }

    private func standing(_ place: UInt32) -> Replica.Standing { book.said[Int(place)].standing }

    /// Whether the master has it, and the kernel.
    func isHeld(_ place: UInt32) -> Bool {
        standing(place) == .alive && !kernel[place].state.hasNothing
    }

    private func kill(_ place: UInt32) {
        book.kill(place)
        retries[Int(place)] = Retry()
        move(place, .ended)
    }

    /// Has an event happen to an expectation, and frees its place if nothing is left of it.
    func move(_ place: UInt32, _ event: KernelState.Event) {
        kernel.move(place, event)
        release(place)
    }

    private func release(_ place: UInt32) {
        guard kernel[place].state == .absent, !kernel[place].marks.contains(.queued),
            standing(place) == .dead
        else { return }
        kernel.reset(place)
        book.free(place)
    }

    /// Calls `fault` with what is not as it must be between two calls of an injector.
    func assertValid(_ fault: (String) -> Void = { fatalError($0) }) {
        book.assertValid(fault)
        kernel.assertValid(highWater: book.highWater, standing, fault)
        for place in places where kernel[place].state == .waiting {
            if retries[Int(place)].until == 0 { fault("expectation \(place) waits for ever") }
        }
    }
}
