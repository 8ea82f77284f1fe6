// SPDX-License-Identifier: GPL-2.0-or-later

/// What the messages of a stream do to the replica table. A slave takes its master's word; a master
/// that takes a table over, or hears its predecessor out, takes only what it does not know better.
///
/// The brackets of an initsync are not its business.
final class MessageIntake {
    /// What became of a message.
    enum Outcome {
        /// The table has it, or what the table has is better.
        case taken
        /// This node's own filter leaves it out.
        case leftOut
        /// An update of an unknown connection says too little to create it.
        case insufficient
        /// The replica table has no place.
        case full
        /// The table of expectations has no place.
        case expectationsFull
    }

    /// As what the node listens.
    private enum Stance {
        /// As slave: it follows the master of the highest claim.
        case slave
        /// As master that lacks something: it takes over what another node holds.
        case taker(ReceivedHandover)
        /// As master that hears its predecessor out.
        case heir
    }

    /// What the node holds of the master.
    let table: ReplicaTable
    /// Which connections are this node's own and are left alone.
    var filter: ReplicationFilter
    /// Whether this kernel's entry of a connection is newer than what is handed over, by a word that is
    /// so late.
    var isKeptHere: (Entry, Basis) -> Bool = { _, _ in false }
    /// Whether this kernel has no entry of a connection.
    var isGoneHere: (Key) -> Bool = { _ in false }
    /// Whether this kernel's entry of a connection is newer than what a predecessor still says of it.
    var hasMovedOn: (Key) -> Bool = { _ in false }
    private var stance = Stance.slave

    /// Of a slave.
    init(_ table: ReplicaTable, _ filter: ReplicationFilter) {
        self.table = table
        self.filter = filter
    }

    // MARK: As what it listens

    /// What is being taken over; nil for a slave, and for a master that takes nothing over.
    var handover: ReceivedHandover? {
        get { if case .taker(let handover) = stance { handover } else { nil } }
        set { stance = newValue.map { .taker($0) } ?? .slave }
    }

    /// Whether it is master, and hears its predecessor out.
    var isHeir: Bool { if case .heir = stance { true } else { false } }

    /// Listens as slave from now on.
    func beSlave() {
        stance = .slave
    }

    /// Listens as the successor of the master that it followed.
    func beHeir() {
        stance = .heir
    }

    // MARK: Messages

    /// Takes one.
    ///
    /// - Parameter now: the monotonic clock's seconds.
    func take(_ message: Message, now: UInt32) -> Outcome {
        guard let resource = message.kind.resource, let type = message.kind.type else {
            return .taken
        }
        let isCopy = message.kind.has(MessageKind.initsync)
        switch (resource, type) {
        case (.CONNTRACK, .UPDATE):
            return update(message, isCopy: isCopy, now)
        case (.CONNTRACK, .DELETE):
            if isHeir, hasMovedOn(message.entry.key) { return .taken }
            return table.delete(message.entry.key, now: now) == .full ? .full : .taken
        case (.EXPECT, .UPDATE):
            guard filter.mayAdmit(message.expectation) else { return .leftOut }
            let hasPlace = table.expectations.update(
                message.expectation, isCopy: isCopy, now: now)
            return hasPlace ? .taken : .expectationsFull
        case (.EXPECT, .DELETE):
            let hasPlace = table.expectations.delete(message.expectation, now: now)
            return hasPlace ? .taken : .expectationsFull
        case (.INITSYNC, _):
            return .taken
        }
    }

    private func update(_ message: Message, isCopy: Bool, _ now: UInt32) -> Outcome {
        guard filter.mayAdmit(message.entry) else { return .leftOut }
        let word = handover?.word(of: message)
        if let word, isNewerHere(message.entry, word) { return .taken }
        if isHeir, hasMovedOn(message.entry.key) { return .taken }
        switch table.update(
            message.entry, isNew: word == nil && message.kind.has(MessageKind.new),
            isCopy: isCopy, now: now)
        {
        case .applied:
            if let word { table.setHanded(message.entry.key, word) }
            return .taken
        case .insufficient: return .insufficient
        case .full: return .full
        }
    }

    /// Whether a message would end, or replace, what this node holds, and the master may never have
    /// had: it has not spoken of the connection before, or speaks of an older one.
    func takesAway(_ message: Message) -> Bool {
        switch (message.kind.resource, message.kind.type) {
        case (.CONNTRACK, .DELETE): return !table.isMastersWord(message.entry.key)
        case (.EXPECT, .DELETE): return !table.expectations.isMastersWord(message.expectation)
        case (.CONNTRACK, .UPDATE):
            guard !message.kind.has(MessageKind.new) else { return false }
            let reply = table.reply(message.entry.key)
            return reply != nil && reply != message.entry.reply
        default: return false
        }
    }

    /// Whether what is handed over, and is the same as what is held here, may be another connection, which
    /// began there after this one has ended here: no replica of a master says that it has.
    ///
    /// It is not if it was heard in the same term, and no later; nor what was heard of this master. Two
    /// masters of a split are at work at the same time: which of their terms is later says nothing.
    private func mayBeAnother(_ handed: Entry, _ word: Basis) -> Bool {
        let here = table.lateness(handed.key)
        return word != .none && (word > here || word.epoch != here.epoch)
    }

    /// Whether what this master has of a connection is to stay as it is: it is what it is handed, or
    /// packets have passed since the promotion.
    private func isNewerHere(_ handed: Entry, _ word: Basis) -> Bool {
        switch table.comparison(with: handed) {
        // One that the kernel has not taken yet is tried again in the end.
        case .lacking:
            return table.isSufficient(handed.key) && word < table.lateness(handed.key)
        case .same:
            if mayBeAnother(handed, word), isGoneHere(handed.key) {
                table.isLost(handed.key)
                return false
            }
            table.confirm(handed.key, word)
            return true
        case .different:
            guard isKeptHere(handed, word) else { return false }
            // The same connection, whatever it has become here.
            if table.reply(handed.key) == handed.reply { table.confirm(handed.key, word) }
            return true
        }
    }
}
