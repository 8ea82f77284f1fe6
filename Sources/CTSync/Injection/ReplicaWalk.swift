// SPDX-License-Identifier: GPL-2.0-or-later

/// Reads the replica table as the kernel's is read: for a node that hands over what it holds. The
/// kernel has its own entries too, and the long timeouts of replicas.
///
/// Thread: the link's, which owns the replica table.
final class ReplicaWalk: TableWalk {
    /// Places looked at a step.
    private static let pieceLimit = 256

    private let table: ReplicaTable
    private var next: Int?
    private var isAtExpectations = false

    init(_ table: ReplicaTable) {
        self.table = table
    }

    func start() throws(SystemError) {
        next = 0
        isAtExpectations = false
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
        let end = min(first + Self.pieceLimit, table.book.pool.highWater)
        for place in first..<max(first, end)
        where table.book.pool.replicas[place].standing == .alive {
            let entry = table.book.entry(at: UInt32(place))
            if entry.isSufficient { body(entry) }
        }
        next = end < table.book.pool.highWater ? end : nil
        return next != nil
    }

    func isHeard(_ entry: borrowing Entry) -> Bool { table.isHeard(entry.key) }

    func cancel() {
        next = nil
    }
}
