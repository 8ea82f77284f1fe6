// SPDX-License-Identifier: GPL-2.0-or-later

/// What packets do in the kernel of a node that was master a moment ago: neighbours send to it until
/// they have learned where its addresses are now, and it forwards, if no l2drop keeps it from that. What
/// begins there meanwhile is nowhere else, and is handed over.
extension ReplicaTable {
    /// What an event of this kernel came to.
    enum OwnChange {
        /// Nothing: the master has spoken of the connection, or there is no place for it.
        case none
        /// The connection is to be read: an update alone does not describe it.
        case unknown
        /// It is held as this kernel has it.
        case taken
    }

    /// Takes what packets have made of a connection since the kernel's table was read.
    ///
    /// - Parameters:
    ///   - entry: of the event, or as it was read.
    ///   - isNew: it says all there is of the connection.
    ///   - last: the last word that the node had before the stream that it follows.
    ///   - heard: until when all of the stream was heard that is followed now.
    ///   - now: seconds of the slave's clock.
    func hearOwn(
        _ entry: Entry, isNew: Bool, after last: Basis, heard: Basis, now: UInt32
    ) -> OwnChange {
        guard let place = book.alivePlace(entry.key) else {
            guard isNew else { return .unknown }
            guard book.pool.find(entry.key) == ReplicaPool.noPlace,
                adopt(entry, isInUse: true, now: now) == .applied,
                let place = book.alivePlace(entry.key)
            else { return .none }
            book.setOwn(place, after: last, heard: heard)
            return .taken
        }
        guard !book.isConfirmed(place) else { return .none }
        _ = book.merge(place, entry, isWhole: isNew)
        book.takeTimeout(place, entry, now: now)
        // What was heard now may be older than what the kernel has.
        let isWorn = entry.key.tuple.protocolNumber == ProtocolNumber.tcp
        move(place, .changedHere(isWorn: isWorn))
        noteHelper(of: entry, place)
        book.setOwn(place, after: last, heard: heard)
        return .taken
    }

    /// How often what was not handed over before was heard first, or was told again.
    var ownCount: UInt64 { book.ownCount }

    /// What packets have made here is told by a later word than it was.
    func tellOwnAgain() {
        book.tellOwnAgain()
    }
}
