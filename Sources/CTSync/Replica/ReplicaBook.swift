// SPDX-License-Identifier: GPL-2.0-or-later

/// The slave's book of the master's connections: what the master has said of each, merged from
/// partial updates. It knows nothing of this node's kernel; `ReplicaTable` puts the two together.
///
/// A replica that has ended stays in its place, dead, until its owner frees it.
struct ReplicaBook: ~Copyable {
    /// How many connections the master has.
    private(set) var aliveCount = 0
    /// Of how many of them too little is known to make a kernel's entry.
    var insufficientCount = 0
    private(set) var ledger: Ledger
    /// How late what is said is.
    var words = LaterWords()
    /// The word of what this kernel does itself now, after its table was read; nil until it does.
    private var own: Ledger.Word?
    /// How many such words there were.
    private(set) var ownCount: UInt64 = 0
    /// Of what the kernel may have still of before.
    private(set) var former = FormerWords()
    var pool: ReplicaPool

    /// Reserves the memory of a book.
    ///
    /// - Parameters:
    ///   - capacity: the most connections.
    ///   - tombstones: the most that end during an initsync and are remembered to its end.
    /// - Throws: `SystemError` of mmap(2).
    init(capacity: Int, tombstones: Int, seed: UInt64) throws(SystemError) {
        let pool = try ReplicaPool(capacity: capacity, seed: seed)
        ledger = try Ledger(tombstones: tombstones)
        self.pool = pool
    }

    // MARK: What the master says

    /// Merges what the master said of a connection.
    ///
    /// - Parameters:
    ///   - isNew: it says all there is of a connection just made.
    ///   - isCopy: an initsync read it from the table; then too it says all there is.
    ///   - now: seconds of the slave's clock.
    mutating func hear(_ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32) -> Heard {
        let place = pool.find(entry.key)
        if place == ReplicaPool.noPlace || pool.replicas[Int(place)].standing != .alive {
            if isCopy, hasEnded(entry.key) { return .nothing }
            return place == ReplicaPool.noPlace
                ? insert(entry, isNew: isNew, isCopy: isCopy, now: now)
                : .said(place, revive(place, entry, isNew: isNew, isCopy: isCopy, now: now))
        }
        let replica = pool.replicas + Int(place)
        let wasSufficient = replica.pointee.isSufficient
        var change: Heard.Change
        if isCopy, !ledger.mayCopySpeak(after: replica.pointee.word) {
            change = complete(place, entry, now: now)
        } else {
            speak(of: replica, isNew: isNew, isCopy: isCopy, entry.fields)
            change = merge(place, entry, isWhole: isNew || isCopy)
            takeTimeout(place, entry, now: now)
        }
        let isSufficient = replica.pointee.isSufficient
        if isSufficient != wasSufficient, change == .none { change = .update }
        return .said(place, change)
    }

    /// The live stream says that a connection has ended.
    ///
    /// - Returns: the place of the living replica, which is the owner's to kill, and whether an
    ///   initsync that is running will remember it.
    mutating func hearEnd(of key: Key) -> (alive: UInt32?, isRemembered: Bool) {
        let fingerprint = pool.fingerprint(key)
        let isRemembered = !ledger.isRunning || ledger.bury(fingerprint)
        let place = pool.find(key, fingerprint)
        let isAlive =
            place != ReplicaPool.noPlace && pool.replicas[Int(place)].standing == .alive
        return (isAlive ? place : nil, isRemembered)
    }

    /// Whether the live stream has ended a connection since the begin of the running initsync; it
    /// may have begun again.
    func hasEnded(_ key: Key) -> Bool {
        ledger.isBuried(pool.fingerprint(key))
    }

    /// Enters a connection that this node's kernel has and nobody has spoken of.
    ///
    /// - Parameter isHeld: whether no packet has touched it since it was held.
    /// - Returns: its place; nil if there is none.
    mutating func adopt(_ entry: Entry, isHeld: Bool, now: UInt32) -> UInt32? {
        place(Replica(entry, adoptedWord(entry, isHeld: isHeld), now: now), entry)
    }

    /// Takes from this node's kernel what the stream has left unsaid of a connection of which it has said
    /// only a part: it would be lost with the kernel's entry, and there may be no walk by its master.
    mutating func completeHalf(_ place: UInt32, _ entry: Entry, now: UInt32) {
        let replica = pool.replicas + Int(place)
        guard replica.pointee.standing == .alive, replica.pointee.isHalf,
            pool.reply(place) == entry.reply
        else { return }
        let said = replica.pointee.fields
        var whole = entry
        whole.take(said, of: self.entry(at: place))
        take(place, whole, isWhole: true)
        if !said.contains(.timeout) { takeTimeout(place, entry, now: now) }
    }

    /// The word of a kernel's entry that is not among the replicas: what is held still has that of
    /// before, and the earliest if it was over then.
    func adoptedWord(_ entry: Entry, isHeld: Bool) -> Ledger.Word {
        guard isHeld, !former.isEmpty else { return words.adopted }
        if let generation = former.generation(fingerprint(entry.key, entry.reply)) {
            return Ledger.Word(generation: generation, voice: .kernel)
        }
        return former.hasOutlived(pool.fingerprint(entry.key)) ? words.earliest : words.adopted
    }

    private func fingerprint(_ key: Key, _ reply: Tuple) -> UInt64 {
        pool.fingerprint(key) &* 3 ^ pool.fingerprint(Key(reply, zone: key.zone))
    }

    /// Has what there is of the one in this place be what this kernel has made of it since its table
    /// was read.
    ///
    /// - Parameters:
    ///   - last: the last word that the node had before the stream that it follows: this is later, each
    ///     time.
    ///   - heard: until when all of the stream was heard that is followed now.
    mutating func setOwn(_ place: UInt32, after last: Basis, heard: Basis) {
        if own == nil {
            divide(after: heard)
            own = Ledger.Word(generation: ledger.generation, voice: .kernel)
            ownCount += 1
            divide(after: last.later(by: ownCount))
        }
        if let own { pool.replicas[Int(place)].word = own }
    }

    /// What this kernel does from here on has a later word.
    mutating func endOwn() { own = nil }

    /// The last word of what this kernel has done is a later one than it was.
    mutating func tellOwnAgain() { ownCount += 1 }

    // MARK: The living and the dead

    /// Marks a living replica dead.
    mutating func kill(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        aliveCount -= 1
        if !replica.pointee.isSufficient { insufficientCount -= 1 }
        replica.pointee.standing = .dead
        replica.pointee.spoken = []
    }

    /// Frees a dead replica's place.
    mutating func free(_ place: UInt32) {
        pool.remove(place)
    }

    /// Forgets everything.
    mutating func removeAll() {
        for place in 0..<UInt32(pool.highWater)
        where pool.replicas[Int(place)].standing != .free {
            pool.remove(place)
        }
        aliveCount = 0
        insufficientCount = 0
        ledger.stop()
    }

    private mutating func insert(
        _ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32
    ) -> Heard {
        var replica = Replica(entry, ledger.word(isCopy ? .copy : .live), now: now)
        if !isCopy { replica.spoken = isNew ? Replica.everything : entry.fields }
        replica.isHalf = !isNew && !isCopy
        guard let place = place(replica, entry) else { return .full }
        return .said(place, .first)
    }

    private mutating func place(_ replica: Replica, _ entry: Entry) -> UInt32? {
        guard let place = pool.insert(replica) else { return nil }
        pool.setReply(place, entry.reply)
        storeExtras(place, entry)
        aliveCount += 1
        if !replica.isSufficient { insufficientCount += 1 }
        return place
    }

    /// The same key is used again: nothing of what was known holds.
    private mutating func revive(
        _ place: UInt32, _ entry: Entry, isNew: Bool, isCopy: Bool, now: UInt32
    ) -> Heard.Change {
        let replica = pool.replicas + Int(place)
        speak(of: replica, isNew: isNew, isCopy: isCopy, entry.fields)
        replica.pointee.fields = []
        take(place, entry, isWhole: true)
        takeTimeout(place, entry, now: now)
        replica.pointee.isHalf = !isNew && !isCopy
        replica.pointee.standing = .alive
        aliveCount += 1
        if !replica.pointee.isSufficient { insufficientCount += 1 }
        return .another
    }

    /// Keeps who speaks, and of which fields.
    private func speak(
        of replica: UnsafeMutablePointer<Replica>, isNew: Bool, isCopy: Bool, _ fields: Entry.Fields
    ) {
        if ledger.mayCopySpeak(after: replica.pointee.word) { replica.pointee.spoken = [] }
        replica.pointee.word = ledger.word(isCopy ? .copy : .live)
        if !isCopy { replica.pointee.spoken.formUnion(isNew ? Replica.everything : fields) }
    }

    // MARK: Initsync

    /// What the kernel has is about to be adopted.
    mutating func beginWords(adopted: Basis) {
        // What was handed over before tells nothing of what is read now.
        ledger.divide()
        words.begin(adopted: adopted, ledger.generation, keepsSpans: !former.isEmpty)
        ledger.follow()
        (own, ownCount) = (nil, 0)
    }

    /// The replicas are about to be forgotten and the kernel's table to be read: their words are kept
    /// until it is.
    ///
    /// - Parameter isOutlived: whether the kernel has something else in the place of the one in this place.
    mutating func keepWords(isOutlived: (UInt32) -> Bool) {
        former.reserve(aliveCount)
        for place in 0..<UInt32(pool.highWater)
        where pool.replicas[Int(place)].standing != .free {
            let replica = pool.replicas[Int(place)]
            if isOutlived(place) { former.outlive(pool.fingerprint(replica.key)) }
            guard replica.standing == .alive else { continue }
            former.insert(
                fingerprint(replica.key, pool.reply(place)), replica.word.generation)
        }
    }

    /// The kernel's table is read.
    mutating func forgetWords() { former.removeAll() }

    /// Begins the stream of another master.
    ///
    /// - Parameters:
    ///   - last: the last word of the one that ends.
    ///   - epoch: of the one that begins.
    mutating func follow(after last: Basis, to epoch: UInt64) {
        ledger.follow()
        words.hear(after: last, ledger.begun)
        words.hear(after: Basis(epoch: epoch, sequence: 0), ledger.generation)
        endOwn()
    }

    /// Packets of the stream are lost.
    ///
    /// - Parameter last: until when nothing of it was missing, since the last that was.
    mutating func lose(after last: Basis) {
        ledger.lose()
        words.hear(after: last, ledger.generation)
    }

    private mutating func divide(after last: Basis) {
        ledger.divide()
        words.hear(after: last, ledger.generation)
    }

    /// From here on copies confirm replicas.
    mutating func beginInitsync() { ledger.begin() }

    /// Ends an initsync: what the verdict means for a replica is the owner's to carry out.
    mutating func endInitsync(isComplete: Bool) -> Ledger.Verdict {
        ledger.end(isComplete: isComplete)
    }

    // MARK: Reading

    /// The place of a connection that the master has; nil if it has none of this key.
    func alivePlace(_ key: Key) -> UInt32? {
        let place = pool.find(key)
        guard place != ReplicaPool.noPlace, pool.replicas[Int(place)].standing == .alive else {
            return nil
        }
        return place
    }

    /// Whether the live stream of the master that is followed has spoken of this connection.
    func isMastersWord(_ key: Key) -> Bool {
        guard let place = alivePlace(key) else { return false }
        return ledger.isOwnWord(pool.replicas[Int(place)].word)
    }

    /// Whether a master has spoken of the one in this place since the last begin.
    func isConfirmed(_ place: UInt32) -> Bool {
        ledger.isConfirmed(pool.replicas[Int(place)].word)
    }

    /// Whether the master that is followed has this one as an event says, which came no earlier than the last
    /// word of the other.
    func isNews(_ place: UInt32, after other: UInt32) -> Bool {
        ledger.isNews(pool.replicas[Int(place)].word, after: pool.replicas[Int(other)].word)
    }

    /// How late what is known of the one in this place is.
    func lateness(at place: UInt32) -> Basis { words.basis(of: pool.replicas[Int(place)].word) }

    /// What there is of the one in this place was handed over, and is as late as this.
    mutating func setHanded(_ place: UInt32, _ word: Basis) {
        var generation = words.generation(of: word)
        if generation == nil {
            ledger.divide()
            words.take(word, ledger.generation)
            generation = ledger.generation
        }
        pool.replicas[Int(place)].word.generation = generation ?? 0
    }

    /// The one in this place is another: what the kernel has.
    mutating func become(_ place: UInt32, _ entry: Entry, now: UInt32) {
        take(place, entry, isWhole: true)
        takeTimeout(place, entry, now: now)
    }

    /// The entry as the master described it.
    func entry(at place: UInt32) -> Entry {
        let replica = pool.replicas[Int(place)]
        var entry = Entry(replica.key)
        entry.reply = pool.reply(place)
        entry.fields = replica.fields
        entry.status = Status(rawValue: UInt32(replica.status))
        entry.timeoutSeconds = replica.timeoutSeconds
        entry.mark = replica.mark
        entry.protocolInfo = replica.protocolInfo
        if let extras = pool.extras(place) { entry.extras = extras }
        return entry
    }

    /// Calls `body` with each replica that the master has, in no order.
    func forEachAlive(_ body: (UInt32, Replica) -> Void) {
        for place in 0..<UInt32(pool.highWater) {
            let replica = pool.replicas[Int(place)]
            if replica.standing == .alive { body(place, replica) }
        }
    }

    /// Calls `fault` with what is not as it must be.
    func assertValid(_ fault: (String) -> Void) {
        pool.assertValid(fault)
        ledger.assertValid(fault)
        words.assertValid(fault)
        var alive = 0
        var insufficient = 0
        forEachAlive { _, replica in
            alive += 1
            if !replica.isSufficient { insufficient += 1 }
        }
        if alive != aliveCount { fault("\(alive) alive, \(aliveCount) counted") }
        if insufficient != insufficientCount {
            fault("\(insufficient) insufficient, \(insufficientCount) counted")
        }
    }
}
