// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave holds of the master's table (`book`), and what of it the slave's kernel has
/// (`kernel`).
///
/// 1. Messages change the book: `update` merges, `delete` marks dead. What the book then says is an
///    event for the replica's kernel state, which asks for something or not; it is queued once,
///    however often it changes.
/// 2. The injector takes the requests of what is queued, all deletions first, sends them, and gives
///    back the kernel's answers.
/// 3. An initsync (`beginInitsync` to `endInitsync`) confirms replicas; its end marks dead what it
///    has not confirmed, if it proves that.
///
/// One thread owns it at a time: the receiver while slave, the timer start after a promotion. When
/// all places are in use an update answers `.full` and nothing changes.
package final class ReplicaTable {
    /// What a message came to.
    enum Outcome: Sendable {
        /// It is merged.
        case applied
        /// It is merged, but the connection was unknown and too little is known of it.
        case insufficient
        /// There is no place for it.
        case full
    }

    /// Seconds a replica's kernel entry is given.
    package static let holdSeconds = StandbyTime.seconds
    /// A replica that was given its time longer ago is given it again.
    static let renewSeconds = StandbyTime.renewal
    /// The least room for connections that end during an initsync.
    private static let leastTombstones = 1 << 16

    /// What the master has said.
    var book: ReplicaBook
    /// What this node's kernel has of it.
    var kernel: KernelBook
    /// While a master takes a table over: what its kernel has already is newer and stays.
    var isCreateOnly = false
    /// Whether the master that is followed lacks something: what it says takes away nothing that it may never
    /// have had.
    var isMasterPartial = false
    /// Whether adopted TCP entries that packets have passed are made again without waiting for the
    /// master: after a demotion, when no packet passes here any more. Its next word may come too late
    /// for the next promotion, as a transfer makes no events.
    var remakesWorn = false
    /// Whether some of what the kernel had when its table was read may have been made while it sent no events:
    /// its end would be told to nobody, so each is made again with the master's next word.
    var hasMute = false
    /// Whether an entry of the kernel found no place: nobody would remove it.
    private(set) var isAdoptionPartial = false
    /// Whether what is still to be read of the kernel goes: all was to be forgotten before it was read.
    private var forgetsUnread = false
    /// Whether the last initsync named all that the master has, and what it did not name was kept.
    private var keepsUnnamed = false
    /// When entries were last made again for the sake of a helper, in seconds.
    var helpersTriedAt: UInt32 = 0

    /// Entries that wait for their parent, and what became of those that did.
    var waiting: ParentWait
    /// Entries made without it: they are made again if it comes after all.
    var orphans: ParentWait
    /// The expectations of the master: they come and go with its entries.
    let expectations: ExpectationTable
    /// The helpers that this node lacks.
    var missingHelpers = MissingHelpers()
    /// Changes of labels that no rule here has a use for.
    var labelsIgnored: UInt64 = 0
    /// Whether this kernel was seen to have labels: a rule of the node uses them.
    var hasSeenLabels = false
    /// Whether the kernel has room for what is deleted to be made again.
    var hasRoom: () -> Bool = { true }
    /// Where the next renewal begins to look.
    var renewalCursor: UInt32 = 0

    /// Reserves the memory of a table.
    ///
    /// - Parameters:
    ///   - capacity: the most connections.
    ///   - tombstones: the most connections that end during an initsync and are remembered to its
    ///     end; nil for as many as may be alive, or 65,536.
    ///   - seed: of the hash; a random number outside tests.
    /// - Throws: `SystemError` of mmap(2).
    init(capacity: Int, tombstones: Int? = nil, seed: UInt64) throws(SystemError) {
        book = try ReplicaBook(
            capacity: capacity, tombstones: tombstones ?? max(capacity, Self.leastTombstones),
            seed: seed)
        kernel = try KernelBook(capacity: capacity)
        waiting = try ParentWait()
        orphans = try ParentWait()
        expectations = try ExpectationTable(seed: seed)
    }

    /// The most connections it holds.
    var capacity: Int { book.pool.capacity }
    /// How many connections of the master are held.
    var aliveCount: Int { book.aliveCount }
    /// How many of them lack what a kernel entry needs.
    var insufficientCount: Int { book.insufficientCount }
    /// How many the kernel has refused.
    var refusedCount: Int { kernel.refusedCount }
    /// Whether the kernel is to be asked for anything.
    var isDirty: Bool { kernel.queuedCount > 0 }
    /// Whether anything is to be looked at again soon.
    var isWaiting: Bool { waiting.count > 0 || expectations.waitingCount > 0 }

    // MARK: Messages

    /// Merges what the master said of a connection.
    ///
    /// - Parameters:
    ///   - entry: the message's entry.
    ///   - isNew: it says all there is of a connection just made.
    ///   - isCopy: an initsync read it from the table; then too it says all there is.
    ///   - now: seconds of the slave's clock.
    func update(_ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32) -> Outcome {
        switch book.hear(entry, isNew: isNew, isCopy: isCopy, now: now) {
        case .nothing: return .applied
        case .full: return .full
        case .said(let place, let change):
            if change == .first { kernel.reset(place) }
            kernel[place].attempts = 0
            kernel.isCopying = isCopy
            move(place, KernelState.Event(change))
            if kernel[place].parenthood == .leftOut { reconsiderParent(place, isNew, change) }
            if isDue(kernel[place], now: now) { move(place, .changed) }
            kernel.isCopying = false
            return book.pool.replicas[Int(place)].isSufficient ? .applied : .insufficient
        }
    }

    /// Marks a connection dead.
    ///
    /// - Returns: `.full` if an initsync is running that cannot remember it to its end.
    @discardableResult
    func delete(_ key: Key, now: UInt32) -> Outcome {
        let (place, isRemembered) = book.hearEnd(of: key)
        if let place { kill(place) }
        return isRemembered ? .applied : .full
    }

    /// Takes over an entry that the slave's kernel has already, unconfirmed: the next initsync
    /// keeps or removes it. What the stream has said of it meanwhile stands, and the kernel follows.
    ///
    /// A TCP entry that packets have passed is made again with the master's next word, or at once
    /// (`remakesWorn`): the windows that the kernel remembers of it may be those of a time when this
    /// node was master, and ctnetlink can set a window in no other way.
    ///
    /// - Parameters:
    ///   - entry: from a dump; its timeout is the kernel's.
    ///   - isTouched: whether packets have passed since the entry was made.
    ///   - isInUse: whether packets pass now: it is not made again before the master's next word.
    func adopt(
        _ entry: Entry, isTouched: Bool = true, isInUse: Bool = false, now: UInt32
    ) -> Outcome {
        let isWorn = isTouched && entry.key.tuple.protocolNumber == ProtocolNumber.tcp
        let isRemade = isWorn && remakesWorn && !isInUse
        let mustBeMade = isWorn || hasMute
        let known = book.pool.find(entry.key)
        guard known == ReplicaPool.noPlace else {
            discover(known, entry, mustBeMade: mustBeMade, now: now)
            if isRemade { setOutOfStep(known) }
            return .applied
        }
        guard let place = book.adopt(entry, isHeld: Self.mayBeHeld(entry), now: now) else {
            isAdoptionPartial = true
            return .full
        }
        let age = Self.holdSeconds - min(Self.holdSeconds, entry.timeoutSeconds)
        kernel.adopt(place, as: mustBeMade ? .replace : .change, heldAtSeconds: now &- age)
        noteHelper(of: entry, place)
        if isRemade {
            kernel.move(place, .confirmed)
            setOutOfStep(place)
        }
        if book.hasEnded(entry.key) || forgetsUnread && !isInUse { kill(place) }
        return .applied
    }

    /// The kernel has one that the stream has spoken of already. What is still not known well enough to
    /// be made again is not removed for that: it may be the only one that there is.
    private func discover(_ place: UInt32, _ entry: Entry, mustBeMade: Bool, now: UInt32) {
        book.completeHalf(place, entry, now: now)
        let replica = book.pool.replicas[Int(place)]
        let isAlive = replica.standing == .alive
        let isToBeMade = mustBeMade && replica.isSufficient
        let isAnother =
            isAlive && (isToBeMade || Self.mustBecomeAnother(entry, request(at: place)))
        noteHelper(of: entry, place)
        move(place, .found(isAnother: isAnother))
        if !isAlive { move(place, .ended) }
    }

    /// Begins again: what the kernel has is to be read.
    ///
    /// - Parameters:
    ///   - last: the last word of what is held so far.
    ///   - adopted: that of what the kernel has, but for the replicas that no packet has touched, and for what
    ///     could not be deleted when they took its place.
    func beginAnew(after last: Basis, adopted: Basis) {
        goOn(to: last)
        book.keepWords { kernel[$0].state.isOutlived }
        removeAll()
        beginWords(adopted: adopted)
    }

    /// What the kernel had is read, all of it.
    func endAdoption() {
        book.forgetWords()
        forgetsUnread = false
    }

    /// Forgets everything, queued or not; the kernel's entries stay as they are.
    func removeAll() {
        kernel.removeAll(highWater: book.pool.highWater)
        book.removeAll()
        isAdoptionPartial = false
        forgetsUnread = false
        keepsUnnamed = false
        renewalCursor = 0
        waiting.removeAll()
        orphans.removeAll()
        expectations.removeAll()
    }

    /// Marks everything dead, so that the kernel's entries of it go with the next batches.
    ///
    /// - Parameter isAllRead: whether the kernel's table was read whole; if not, what is read of it from here
    ///   on goes too.
    /// - Returns: how many were alive.
    func killAll(isAllRead: Bool = true) -> Int {
        forgetsUnread = !isAllRead
        let count = aliveCount
        for place in places where book.pool.replicas[Int(place)].standing == .alive { kill(place) }
        expectations.killAll()
        // What begins from here on is news, also if it was not handed over before.
        book.endOwn()
        return count
    }

    // MARK: Initsync

    /// Begins the stream of another master.
    ///
    /// - Parameters:
    ///   - last: the last word that the node had before the stream that ends.
    ///   - epoch: of the one that begins.
    func follow(after last: Basis = .none, to epoch: UInt64 = 0) {
        book.follow(after: last, to: epoch)
        expectations.follow()
        keepsUnnamed = false
    }

    /// From here on copies confirm replicas; one that was running is forgotten.
    func beginInitsync() {
        book.beginInitsync()
        expectations.beginInitsync()
        keepsUnnamed = false
    }

    /// Whether there is anything that nobody has spoken of since the last begin.
    var hasUnconfirmed: Bool {
        places.contains { place in
            let replica = book.pool.replicas[Int(place)]
            return replica.standing == .alive && !book.ledger.isConfirmed(replica.word)
        }
    }

    /// Ends an initsync.
    ///
    /// - Parameter isComplete: whether every packet of it arrived; only then are unconfirmed
    ///   replicas marked dead.
    /// - Returns: how many were.
    @discardableResult
    func endInitsync(isComplete: Bool) -> Int {
        expectations.endInitsync(isComplete: isComplete)
        let verdict = book.endInitsync(isComplete: isComplete)
        var removed = 0
        for place in places {
            let replica = book.pool.replicas[Int(place)]
            guard replica.standing == .alive else { continue }
            if verdict == .purges, !book.ledger.isConfirmed(replica.word) {
                kill(place)
                removed += 1
            } else if kernel[place].state.isRefused || kernel[place].parenthood == .awaited {
                tryAgain(place, verdict)
            }
        }
        return removed
    }

    /// An initsync has named all that the master has, and what it has not named is kept all the same: the
    /// kernel's entries. Of what is in no kernel, and too little is known to be made, nobody will say more.
    func keepUnnamed() {
        keepsUnnamed = true
        guard book.insufficientCount > 0 else { return }
        for place in places where book.pool.replicas[Int(place)].isAliveInsufficient {
            guard kernel[place].state.hasNothing, !book.isConfirmed(place) else { continue }
            kill(place)
        }
    }

    /// A replica is in the way of another: no kernel has both, so if the master has named that one only, or
    /// has said it since, this one goes.
    func yield(_ place: UInt32, to other: UInt32) {
        let isUnnamed = keepsUnnamed && book.isConfirmed(other) && !book.isConfirmed(place)
        guard isUnnamed || isOver(place, since: other) else { return }
        kill(place)
    }

    /// Has a replica made in the place of what this kernel has of its key, which is in the way of something, if
    /// that is another connection: it has ended.
    ///
    /// - Returns: whether it is.
    func remake(_ place: UInt32, insteadOf here: Entry) -> Bool {
        guard book.pool.reply(place) != here.reply else { return false }
        move(place, .found(isAnother: true))
        return true
    }

    /// Whether a replica has ended, as its master has said another since that cannot be there beside it.
    func isOver(_ place: UInt32, since other: UInt32) -> Bool {
        !isMasterPartial && book.isNews(other, after: place)
    }

    // MARK: Pieces

    /// The places that may be in use.
    var places: Range<UInt32> { 0..<UInt32(book.pool.highWater) }

    /// Has an event happen to a replica, and frees its place if nothing is left of it.
    func move(_ place: UInt32, _ event: KernelState.Event) {
        kernel.move(place, event)
        release(place)
    }

    /// Frees the place of a replica of which neither the master nor the kernel has anything.
    func release(_ place: UInt32) {
        guard kernel[place].state == .absent, !kernel[place].marks.contains(.queued),
            book.pool.replicas[Int(place)].standing == .dead
        else { return }
        kernel.reset(place)
        book.free(place)
    }

    /// Has a living replica end, though the stream may not have said so: a copy may bring it back.
    func kill(_ place: UInt32) {
        forgetParenthood(place)
        kernel[place].marks.remove(.helperless)
        book.kill(place)
        move(place, .ended)
    }

    /// Calls `body` with each replica that the master has, in no order.
    func forEachAlive(_ body: (UInt32, Replica) -> Void) {
        book.forEachAlive(body)
    }

    /// How many replicas have their addresses translated; looks at all of them.
    func translatedCount() -> Int {
        var count = 0
        forEachAlive { place, _ in if book.pool.isTranslated(place) { count += 1 } }
        return count
    }
}

extension KernelState.Event {
    /// What a change in the book is for the kernel.
    init(_ change: Heard.Change) {
        switch change {
        case .none: self = .confirmed
        case .first, .update: self = .changed
        case .another, .anotherParent: self = .becameAnother
        }
    }
}
