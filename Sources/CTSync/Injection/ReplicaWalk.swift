// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the replica table as the kernel's is read: for a node that hands over what it holds. The
/// kernel has its own entries too, and the long timeouts of replicas.
///
/// What has one word is read together: the table is gone through once for each word. What was taken
/// before is left out.
///
/// Thread: the link's, which owns the replica table.
final class ReplicaWalk: TableWalk {
    /// Places looked at a step, at most, and replicas handed out.
    private static let placeLimit = 8_192
    private static let pieceLimit = 256

    private let table: ReplicaTable
    private var next: Int?
    private var isAtExpectations = false
    /// The words as they were at the begin, and the one whose turn it is.
    private var words = LaterWords()
    private var turn = 0
    private(set) var word: Basis?
    /// Up to which generation all was taken by who asks; nil for nothing.
    private var taken: UInt16?
    /// The generation at the begin, and how many own words there were.
    private var begun: (generation: UInt16, ownCount: UInt64) = (0, 0)
    /// Whether one has begun of which it is not known that it was taken.
    private var isOpen = false

    /// - Parameter taken: up to which generation all was taken by who asks; nil for nothing.
    init(_ table: ReplicaTable, after taken: UInt16? = nil) {
        self.table = table
        self.taken = taken
    }

    /// Whether there is something since the begin that nobody else may have, and what was read is not taken.
    var isOutdated: Bool { isOpen && begun.ownCount != table.ownCount }

    /// All that was read has been taken.
    ///
    /// - Returns: up to which generation, and whether it is all that there is.
    func wasTaken() -> (generation: UInt16, isAll: Bool) {
        taken = begun.generation
        isOpen = false
        return (begun.generation, begun.ownCount == table.ownCount)
    }

    func start() throws(SystemError) {
        isAtExpectations = false
        table.book.endOwn()
        begun = (table.book.ledger.generation, table.ownCount)
        isOpen = true
        words = table.book.words
        turn = taken.map { words.firstPlace(after: $0) } ?? 0
        next = turn < words.count ? 0 : nil
    }

    func startExpectations() throws(SystemError) {
        next = 0
        isAtExpectations = true
    }

    func step(
        _ body: (borrowing Entry) -> Void, expectation: (borrowing Expectation) -> Void
    ) throws(SystemError) -> Bool {
        guard let first = next else { return false }
        guard !isAtExpectations else {
            next = nil
            table.expectations.book.forEachAlive { expectation($0) }
            return false
        }
        word = words.handed(turn)
        let end = min(first + Self.placeLimit, table.book.pool.highWater)
        var (place, count) = (first, 0)
        while place < end, count < Self.pieceLimit {
            let replica = table.book.pool.replicas[place]
            if replica.standing == .alive, words.place(of: replica.word) == turn {
                let entry = table.book.entry(at: UInt32(place))
                if entry.isSufficient { body(entry) }
                count += 1
            }
            place += 1
        }
        next = place
        if place >= table.book.pool.highWater {
            turn += 1
            next = turn < words.count ? 0 : nil
        }
        return next != nil
    }

    func cancel() {
        next = nil
        isOpen = false
    }
}
