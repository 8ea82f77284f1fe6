// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The kernel as the injector sees it.
struct KernelInjection: KernelRequests {
    private let batch: RequestBatch
    private let query: EntryQuery

    /// Opens the sockets.
    ///
    /// - Throws: `SystemError` of `RequestBatch` or `EntryQuery`.
    init() throws(SystemError) {
        batch = try RequestBatch()
        query = try EntryQuery()
    }

    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        batch.create(entry, timeoutSeconds: timeoutSeconds, tag: tag)
    }

    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        batch.update(entry, timeoutSeconds: timeoutSeconds, tag: tag)
    }

    func delete(_ key: borrowing Key, tag: UInt32) -> Bool {
        batch.delete(key, tag: tag)
    }

    func entry(_ key: borrowing Key) throws(SystemError) -> Entry? {
        try query.entry(key)
    }

    func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) {
        // The kernel dropped errors: what became of the batch is not known.
        if try batch.send(failure).lostErrors {
            throw SystemError("errors of an injected batch", errno: ENOBUFS)
        }
    }
}
