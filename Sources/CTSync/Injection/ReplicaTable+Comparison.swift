// SPDX-License-Identifier: GPL-2.0-or-later

/// What is held beside what another node hands over.
extension ReplicaTable {
    /// The reply tuple of a replica; nil if there is none.
    func reply(_ key: Key) -> Tuple? {
        let place = book.pool.find(key)
        return place == ReplicaPool.noPlace ? nil : book.pool.reply(place)
    }

    /// Whether enough is known of a connection, whatever the kernel has of it.
    func isSufficient(_ key: Key) -> Bool {
        book.alivePlace(key).map { book.pool.replicas[Int($0)].isSufficient } ?? false
    }

    /// Whether the live stream of the master that is followed has spoken of this connection.
    func isMastersWord(_ key: Key) -> Bool { book.isMastersWord(key) }

    // MARK: Who has the later word

    /// The word of what the kernel has when the node becomes slave.
    func beginWords(adopted: Basis) { book.beginWords(adopted: adopted) }

    /// Packets of the stream are lost.
    ///
    /// - Parameter last: until when nothing of it was missing, since the last that was.
    func losePackets(after last: Basis) {
        book.lose(after: last)
        expectations.losePackets()
    }

    /// What is heard of the stream is as late as this so far.
    func goOn(to word: Basis) { book.words.goOn(to: word) }

    /// What was handed over of a connection is as late as this.
    func setHanded(_ key: Key, _ word: Basis) {
        if let place = book.alivePlace(key) { book.setHanded(place, word) }
    }

    /// What is held of a connection is what another node has, with this word.
    func confirm(_ key: Key, _ word: Basis) {
        guard let place = book.alivePlace(key), book.lateness(at: place) < word else { return }
        book.setHanded(place, word)
    }

    /// What this kernel has in a replica's place is newer than what was handed over, by a word that is so
    /// late, and stays: the replica is that one.
    func keep(_ here: Entry, _ place: UInt32, _ word: Basis, now: UInt32) {
        if !isOf(here, place) {
            var entry = here
            entry.prepareForReplication()
            book.become(place, entry, now: now)
        }
        book.setHanded(place, word)
    }

    /// The word of what the kernel had when the node became slave, but for what has an earlier one.
    var adoptedWord: Basis { book.words.unread }

    /// The word of an entry of the kernel that is not among the replicas.
    func adoptedWord(of entry: Entry) -> Basis {
        book.words.basis(of: book.adoptedWord(entry, isHeld: Self.mayBeHeld(entry)))
    }

    /// How late the word of a replica is; of what is none, that of what the kernel had.
    func lateness(_ key: Key) -> Basis {
        book.alivePlace(key).map { book.lateness(at: $0) } ?? book.words.unread
    }

    /// How late the word of an entry in the kernel is: a replica of its key may be of a later connection,
    /// which has not taken its place yet.
    func lateness(here entry: Entry) -> Basis {
        guard let place = book.alivePlace(entry.key), isOf(entry, place) else {
            return adoptedWord(of: entry)
        }
        return book.lateness(at: place)
    }

    /// Whether an entry of the kernel is a replica that has ended, as another has been said since.
    func isOver(here entry: Entry, since key: Key) -> Bool {
        guard let place = book.alivePlace(entry.key), isOf(entry, place),
            let other = book.alivePlace(key)
        else { return false }
        return isOver(place, since: other)
    }

    /// What is about to become of an entry of the kernel.
    enum Prospect {
        case stays
        /// Its deletion is asked for, or will be.
        case goes
        /// It is to be deleted for the replica in this place, if that can be made.
        case isReplaced(UInt32)
    }

    /// What is about to become of an entry of the kernel.
    func prospect(of entry: Entry) -> Prospect {
        let place = book.pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return .stays }
        switch kernel[place].state {
        case .replacing: return .isReplaced(place)
        case .removing: return .goes
        case .creating, .absent: return kernel[place].marks.contains(.askedToGo) ? .goes : .stays
        default: return .stays
        }
    }

    /// What this kernel has in the place of a replica that is to take it stays, as that one cannot be made.
    func keepReplaced(_ here: Entry, _ place: UInt32, now: UInt32) {
        keep(here, place, book.lateness(at: place), now: now)
        move(place, .keptHere)
    }

    /// Has an entry of the kernel go, as it is in the way of a later one.
    ///
    /// - Returns: whether the table sees to it; else it is nobody's replica.
    func giveUp(here entry: Entry) -> Bool {
        guard let place = book.alivePlace(entry.key) else { return false }
        // Something is about to become of it, or another of its key to take its place.
        if kernel[place].state.isTask { return true }
        // Nobody has said that it ended: another of its key may still be handed over.
        kill(place)
        return true
    }

    private func isOf(_ entry: Entry, _ place: UInt32) -> Bool {
        book.pool.reply(place) == entry.reply
    }

    // MARK: What differs

    /// How a replica is beside what another node has of its connection.
    enum Comparison {
        /// There is none, or this kernel has none of it.
        case lacking
        /// Nothing that could be handed on differs.
        case same
        case different
    }

    /// Compares what is held of a connection with what another node has.
    func comparison(with other: Entry) -> Comparison {
        guard let place = book.alivePlace(other.key), !kernel[place].state.hasNothing else {
            return .lacking
        }
        return ReplicaBook.differs(book.entry(at: place), other) ? .different : .same
    }
}
