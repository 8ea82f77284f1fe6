// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the replica table as the kernel's is read: for a node that hands over what it holds. The
/// kernel has its own entries too, and the long timeouts of replicas.
///
/// What has one word is read together: the table is gone through once for each word.
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

    init(_ table: ReplicaTable) {
        self.table = table
    }

    func start() throws(SystemError) {
        next = 0
        isAtExpectations = false
        words = table.book.words
        turn = 0
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
    }
}
