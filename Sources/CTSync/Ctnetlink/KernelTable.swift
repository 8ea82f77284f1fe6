// SPDX-License-Identifier: GPL-2.0-or-later

/// A node's connection-tracking table, as the engines see it: the kernel's, or a simulated one.
///
/// Everything an engine asks of the kernel goes through what is made here, so the simulated cluster
/// runs the daemon's own engines. Each of the four is used by one thread; making them may fail, and
/// is done before anything depends on it.
protocol KernelTable: Sendable {
    /// Makes a queue of requests that change the table.
    ///
    /// - Parameter isTold: whether what it changes is news for a master's slaves.
    func makeRequests(isTold: Bool) throws(SystemError) -> any KernelRequests
    /// Makes what reads single entries.
    func makeLookup() throws(SystemError) -> any EntryLookup
    /// Makes what reads the whole table.
    func makeWalk() throws(SystemError) -> any TableWalk
    /// Subscribes to events, those of expectations included.
    func openEvents() throws(SystemError) -> any EventSource
    /// Listens for lost addresses, after which the kernel deletes what was masqueraded to them.
    func openAddressLosses() throws(SystemError) -> any AddressLosses
    /// Subscribes to what others than this process change or end.
    ///
    /// - Parameter begins: also to what packets make and change; else that is left out.
    func openChanges(begins: Bool) throws(SystemError) -> any EventSource
    /// How a setting is.
    func setting(_ setting: KernelSetting) throws(SystemError) -> UInt64
    /// Changes a setting.
    func set(_ setting: KernelSetting, to value: UInt64) throws(SystemError)
}

/// Requests that change a table: queued, sent together, their refusals read afterwards.
///
/// Each queueing call returns false if the batch is full and must be sent first.
protocol KernelRequests: AnyObject {
    /// Requests in which something was replaced because no kernel takes it, since the start.
    var replacedCount: UInt64 { get }
    /// Makes an entry, its address translation included; EEXIST if tuple or reply tuple is taken,
    /// ENOENT if its parent is not there.
    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool
    /// Changes what can be changed of an entry; ENOENT if there is none, EBUSY if it cannot.
    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool
    /// Changes an entry's timeout and nothing else.
    func updateTimeout(_ key: borrowing Key, timeoutSeconds: UInt32, tag: UInt32) -> Bool
    /// Sets or clears IP_CT_TCP_FLAG_BE_LIBERAL of a TCP entry, and nothing else.
    func updateLiberal(_ key: borrowing Key, _ isLiberal: Bool, tag: UInt32) -> Bool
    /// Removes an entry, its expectations with it; ENOENT if there is none.
    func delete(_ key: borrowing Key, tag: UInt32) -> Bool
    /// Removes this very entry, by its `id`; ENOENT if it is gone, or another has its key.
    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool
    /// Makes an expectation; ENOENT if its parent is not there, EOPNOTSUPP if that has no
    /// helper, EEXIST if it is there already. It gets the timeout of the helper's policy.
    func create(_ expectation: borrowing Expectation, tag: UInt32) -> Bool
    /// Changes an expectation's timeout; ENOENT if there is none.
    func updateTimeout(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool
    /// Removes an expectation; ENOENT if there is none.
    func delete(expectation key: borrowing Key, tag: UInt32) -> Bool
    /// Sends what is queued; the queue is empty afterwards, also when it throws.
    ///
    /// - Parameter failure: called for each request that was refused, in their order.
    /// - Throws: `SystemError` of the socket; nobody knows then what the table has of it.
    @discardableResult
    func send(
        _ failure: (_ tag: UInt32, _ errno: CInt) -> Void
    ) throws(SystemError) -> BatchOutcome
}

extension KernelTable {
    /// Makes a queue of requests for what is no news.
    func makeRequests() throws(SystemError) -> any KernelRequests {
        try makeRequests(isTold: false)
    }
}

extension KernelRequests {
    /// A table that takes everything replaces nothing.
    var replacedCount: UInt64 { 0 }

    /// Appends a request; a batch that has no room for it is sent first.
    ///
    /// - Parameters:
    ///   - failure: takes what the sending throws; from then on nothing is appended.
    ///   - refused: takes what of that batch was refused.
    ///   - append: one of the functions above.
    /// - Returns: whether it was appended.
    func append(
        sending failure: inout SystemError?,
        refused: (_ tag: UInt32, _ errno: CInt) -> Void = { _, _ in }, _ append: () -> Bool
    ) -> Bool {
        if append() { return true }
        guard failure == nil else { return false }
        do throws(SystemError) {
            _ = try send(refused)
        } catch {
            failure = error
            return false
        }
        return append()
    }
}

/// Reads single entries.
protocol EntryLookup: AnyObject {
    /// The entry of this key as it is now, or nil.
    func entry(_ key: borrowing Key) throws(SystemError) -> Entry?
    /// The entry that has the reply tuple of this one, in either direction, or nil.
    func entry(withReplyOf entry: borrowing Entry) throws(SystemError) -> Entry?
}

extension EntryLookup {
    /// A table that cannot be asked so.
    func entry(withReplyOf entry: borrowing Entry) throws(SystemError) -> Entry? { nil }
}

/// Reads the whole table, a piece at a time; a piece is read before the next is asked for.
protocol TableWalk: AnyObject {
    /// Asks for the entries; a walk that is still running is given up.
    func start() throws(SystemError)
    /// Asks for the expectations.
    func startExpectations() throws(SystemError)
    /// Hands out the next piece.
    ///
    /// - Returns: false when the walk is complete, or none was started.
    func step(
        _ body: (borrowing Entry) -> Void, expectation: (borrowing Expectation) -> Void
    ) throws(SystemError) -> Bool
    /// Of a table of replicas: how late the word is of what the last step has handed out.
    var word: Basis? { get }
    /// Gives up a running walk.
    func cancel()
    /// What a walk rests on, as it is now.
    func conditions() throws(SystemError) -> WalkConditions
}

extension TableWalk {
    /// A table that nobody else changes.
    func conditions() throws(SystemError) -> WalkConditions { WalkConditions() }

    /// A kernel's table.
    var word: Basis? { nil }

    /// The same for a walk of the entries.
    func step(_ body: (borrowing Entry) -> Void) throws(SystemError) -> Bool {
        try step(body, expectation: { _ in })
    }
}

/// Where events come from, in the order in which they happened.
protocol EventSource: AnyObject {
    /// What to poll for POLLIN; -1 if there is nothing to poll.
    var raw: CInt { get }
    /// Messages that could not be read, since it was opened: lost events.
    var malformed: UInt64 { get }
    /// The netlink port of whoever caused the event that is being handed out; 0 for nobody: packets,
    /// time, or the kernel itself.
    var causedBy: UInt32 { get }
    /// Whether this process has caused it.
    var isOwnDoing: Bool { get }
    /// Has the kernel keep back what it can tell that the rules leave out.
    ///
    /// - Returns: false if it can tell nothing.
    /// - Throws: `SystemError` if it refuses; everything comes then.
    func keepBack(_ rules: [ReplicationRule]) throws(SystemError) -> Bool
    /// Hears no more of what begins, and what packets change.
    ///
    /// - Throws: `SystemError` of setsockopt(2); it is heard on then.
    func endBegins() throws(SystemError)
    /// Takes some events and hands each to one of the bodies.
    ///
    /// - Throws: `SystemError` but for ENOBUFS, which is `EventDrain.overrun`.
    func receive(
        _ body: (CtnetlinkKind, borrowing Entry) -> Void,
        expected: (CtnetlinkKind, borrowing Expectation) -> Void
    ) throws(SystemError) -> EventDrain
}

/// The kernel's table of the calling thread's network namespace.
struct Kernel: KernelTable {
    func makeRequests(isTold: Bool) throws(SystemError) -> any KernelRequests {
        try RequestBatch(isTold: isTold)
    }
    func makeLookup() throws(SystemError) -> any EntryLookup { try EntryQuery() }
    func makeWalk() throws(SystemError) -> any TableWalk { try TableDump() }

    func openEvents() throws(SystemError) -> any EventSource {
        try EventSocket(receiveBufferBytes: Self.eventBufferBytes, expectations: true)
    }

    func openAddressLosses() throws(SystemError) -> any AddressLosses { try AddressMonitor() }

    func openChanges(begins: Bool) throws(SystemError) -> any EventSource {
        let socket = try EventSocket(
            receiveBufferBytes: Self.changeBufferBytes, expectations: true, begins: begins)
        try socket.attach(
            SocketFilter(droppingCausesOf: OwnPorts.all, passingTraffic: begins))
        return socket
    }

    func setting(_ setting: KernelSetting) throws(SystemError) -> UInt64 {
        try KernelSettings.read(setting.rawValue)
    }

    func set(_ setting: KernelSetting, to value: UInt64) throws(SystemError) {
        try KernelSettings.write(setting.rawValue, value)
    }

    /// Asked of the kernel for the event socket.
    static let eventBufferBytes = 32 * 1024 * 1024
    /// ... and for the socket of what others change.
    static let changeBufferBytes = 4 * 1024 * 1024
}

extension RequestBatch: KernelRequests {}
extension EntryQuery: EntryLookup {}
extension EventSocket: EventSource {
    func keepBack(_ rules: [ReplicationRule]) throws(SystemError) -> Bool {
        guard let program = SocketFilter(rules) else { return false }
        try attach(program)
        return true
    }
}
extension TableDump: TableWalk {
    /// Begins to walk the connections of both families.
    package func start() throws(SystemError) { try start(family: nil) }

    func conditions() throws(SystemError) -> WalkConditions { try WalkConditions(of: Kernel()) }
}
