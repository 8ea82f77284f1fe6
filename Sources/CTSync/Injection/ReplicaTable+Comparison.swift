// SPDX-License-Identifier: GPL-2.0-or-later

/// What is held beside what another node hands over.
extension ReplicaTable {
    /// The reply tuple of a replica; nil if there is none.
    func reply(_ key: Key) -> Tuple? {
        let place = book.pool.find(key)
        return place == ReplicaPool.noPlace ? nil : book.pool.replicas[Int(place)].reply
    }

    /// Whether the live stream of the master that is followed has spoken of this connection.
    func isMastersWord(_ key: Key) -> Bool { book.isMastersWord(key) }

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
