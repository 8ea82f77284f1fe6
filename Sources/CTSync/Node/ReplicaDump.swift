// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A slave's replicas for `ct_sync dump`, a few hundred at a time.
///
/// The receiver's thread owns them: it copies each piece between two batches, some 30 us, into room
/// that is here; the words are made by the calling thread, control. A replica that is deleted and
/// made again while the dump runs may be missed or seen twice.
final class ReplicaDump: ControlStream {
    private let node: Node
    private let criteria: ReplicationRule
    private let began: Instant
    private let piece = SendableBox(DumpPiece())

    init(_ node: Node, _ criteria: ReplicationRule) {
        self.node = node
        self.criteria = criteria
        began = node.engine.roleSince
    }

    func next(_ reply: inout TextBuffer) -> CInt? {
        guard node.role == .slave, node.engine.roleSince == began else {
            reply.append(ControlLine("error", "the role changed while the table was shown"))
            return ECANCELED
        }
        let (piece, criteria) = (piece, criteria)
        node.link.visit { slave in
            let now = UInt32(truncatingIfNeeded: Clock.now() / Duration.second)
            piece.value.fill(from: slave.table.book, criteria, now: now)
        }
        for replica in piece.value.replicas {
            EntryLine.appendLine(of: replica, to: &reply)
        }
        return piece.value.next == nil ? 0 : nil
    }
}
