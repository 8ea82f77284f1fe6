// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What a master would send of its kernel's table, for `ct_sync dump`, 8 KiB of it at a time: what the kernel
/// does for a piece, the threads of the data wait for.
final class KernelDump: ControlStream {
    private let dump: TableDump
    private let filter: ReplicationFilter
    private let criteria: ReplicationRule

    init(_ node: Node, _ criteria: ReplicationRule) throws(SystemError) {
        dump = try TableDump(stepBytes: TableDump.smallestStep)
        filter = node.filter.current
        self.criteria = criteria
        try dump.start()
    }

    func next(_ reply: inout TextBuffer) -> CInt? {
        do throws(SystemError) {
            let isMore = try dump.step { dumped in
                var entry = copy dumped
                guard filter.admits(entry), criteria.holds(for: entry) else { return }
                entry.prepareForReplication()
                EntryLine.appendLine(of: entry, to: &reply)
            }
            return isMore ? nil : 0
        } catch {
            reply.append(ControlLine("error", "the table cannot be read: \(error)"))
            return error.errno
        }
    }
}

/// Deletes what a master replicates from its own kernel, for `ct_sync flush --yes`, 32 KiB of a dump
/// at a time. The slaves hear of it as of any other deletion. Where the client goes away it ends.
final class KernelFlush: ControlStream {
    private let node: Node
    private let began: Instant
    private let dump: TableDump
    private let batch: RequestBatch
    private var deleted = 0

    init(_ node: Node) throws(SystemError) {
        self.node = node
        began = node.engine.roleSince
        dump = try TableDump()
        batch = try RequestBatch(isTold: true)
        try dump.start()
    }

    func next(_ reply: inout TextBuffer) -> CInt? {
        guard node.role == .master, node.engine.roleSince == began else {
            reply.append(ControlLine("error", "the role changed after \(deleted) deletions"))
            return ECANCELED
        }
        do throws(SystemError) {
            let filter = node.filter.current
            let isMore = try dump.step { entry in
                guard filter.admits(entry) else { return }
                // A step holds fewer entries than a batch has room for.
                if batch.delete(entry.key, tag: 0) { deleted += 1 }
            }
            // Refused is only what has gone meanwhile.
            let outcome = try batch.send { _, _ in }
            deleted -= outcome.failures
            guard !isMore else { return nil }
            let connections = Words.count(deleted, "connection", "connections")
            reply.append(ControlLine("done", "\(connections) deleted"))
            return 0
        } catch {
            reply.append(ControlLine("error", "after \(deleted) deletions: \(error)"))
            return error.errno
        }
    }
}
