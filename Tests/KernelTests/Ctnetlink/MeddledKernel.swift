// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync
@testable import CTSyncTests

/// The kernel's table of the calling thread's namespace, with a test's hand in it.
struct MeddledKernel: KernelTable {
    /// Asked of the kernel for the event socket.
    var eventBufferBytes = Kernel.eventBufferBytes
    /// Called when a piece of a walk was read, with the number of its entries, before anything is asked of
    /// the kernel because of it; what it throws ends the walk.
    var afterPiece: @Sendable (Int) throws(SystemError) -> Void = { _ throws(SystemError) in }
    /// Called before requests are sent; what it throws is the socket's error, and they are lost.
    var beforeRequests: @Sendable () throws(SystemError) -> Void = { () throws(SystemError) in }
    private let kernel = Kernel()

    init() {}

    func makeRequests(isTold: Bool) throws(SystemError) -> any KernelRequests {
        MeddledRequests(try RequestBatch(isTold: isTold), isTold, beforeRequests)
    }

    func makeLookup() throws(SystemError) -> any EntryLookup { try kernel.makeLookup() }

    func makeWalk() throws(SystemError) -> any TableWalk {
        MeddledWalk(try TableDump(), afterPiece)
    }

    func openEvents() throws(SystemError) -> any EventSource {
        try EventSocket(receiveBufferBytes: eventBufferBytes, expectations: true)
    }

    func openAddressLosses() throws(SystemError) -> any AddressLosses {
        try kernel.openAddressLosses()
    }

    func openChanges(begins: Bool) throws(SystemError) -> any EventSource {
        try kernel.openChanges(begins: begins)
    }

    func setting(_ setting: KernelSetting) throws(SystemError) -> UInt64 {
        try kernel.setting(setting)
    }

    func set(_ setting: KernelSetting, to value: UInt64) throws(SystemError) {
        try kernel.set(setting, to: value)
    }
}

/// A dump after each piece of which something is done.
private final class MeddledWalk: TableWalk {
    private let dump: TableDump
    private let afterPiece: @Sendable (Int) throws(SystemError) -> Void

    init(
        _ dump: TableDump, _ afterPiece: @escaping @Sendable (Int) throws(SystemError) -> Void
    ) {
        self.dump = dump
        self.afterPiece = afterPiece
    }

    func start() throws(SystemError) { try dump.start() }
    func startExpectations() throws(SystemError) { try dump.startExpectations() }
    func cancel() { dump.cancel() }
    func conditions() throws(SystemError) -> WalkConditions { try dump.conditions() }

    func step(
        _ body: (borrowing Entry) -> Void, expectation: (borrowing Expected) -> Void
    ) throws(SystemError) -> Bool {
        var count = 0
        let isMore = try dump.step(
            { entry in
                count += 1
                body(entry)
            }, expectation: expectation)
        try afterPiece(count)
        return isMore
    }
}

/// Requests before which something is done when they are sent.
private final class MeddledRequests: KernelRequests {
    private var batch: RequestBatch
    private let isTold: Bool
    private let beforeRequests: @Sendable () throws(SystemError) -> Void

    init(
        _ batch: RequestBatch, _ isTold: Bool,
        _ beforeRequests: @escaping @Sendable () throws(SystemError) -> Void
    ) {
        self.batch = batch
        self.isTold = isTold
        self.beforeRequests = beforeRequests
    }

    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        batch.create(entry, timeoutSeconds: timeoutSeconds, tag: tag)
    }

    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        batch.update(entry, timeoutSeconds: timeoutSeconds, tag: tag)
    }

    func updateTimeout(_ key: borrowing Key, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        batch.updateTimeout(key, timeoutSeconds: timeoutSeconds, tag: tag)
    }

    func updateLiberal(_ key: borrowing Key, _ isLiberal: Bool, tag: UInt32) -> Bool {
        batch.updateLiberal(key, isLiberal, tag: tag)
    }

    func delete(_ key: borrowing Key, tag: UInt32) -> Bool { batch.delete(key, tag: tag) }

    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool {
        batch.delete(exactly: entry, tag: tag)
    }

    func create(_ expectation: borrowing Expected, tag: UInt32) -> Bool {
        batch.create(expectation, tag: tag)
    }

    func updateTimeout(
        _ expectation: borrowing Expected, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool {
        batch.updateTimeout(expectation, timeoutSeconds: timeoutSeconds, tag: tag)
    }

    func delete(expectation key: borrowing Key, tag: UInt32) -> Bool {
        batch.delete(expectation: key, tag: tag)
    }

    func send(
        _ failure: (_ tag: UInt32, _ errno: CInt) -> Void
    ) throws(SystemError) -> BatchOutcome {
        do throws(SystemError) {
            try beforeRequests()
        } catch {
            batch = try RequestBatch(isTold: isTold)
            throw error
        }
        return try batch.send(failure)
    }
}
