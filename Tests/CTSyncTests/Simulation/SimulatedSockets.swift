// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// A batch of requests to a simulated kernel.
final class SimulatedRequests: KernelRequests {
    enum Request {
        case create(Entry, UInt32)
        case update(Entry, UInt32)
        case timeout(Key, UInt32)
        case liberal(Key, Bool)
        case delete(Key)
        case deleteExactly(Entry)
        case expect(Expectation)
        case expectTimeout(Key, UInt32)
        case unexpect(Key)

        var isDeletion: Bool {
            switch self {
            case .delete, .deleteExactly: true
            default: false
            }
        }
    }

    /// So few requests fit a batch that replicas often take several.
    private static let limit = 5

    private let kernel: SimulatedKernel
    private let cause: SimulatedTable.Cause
    private var queue: [(Request, UInt32)] = []

    /// - Parameter isTold: whether what it deletes is news.
    init(_ kernel: SimulatedKernel, isTold: Bool = false) {
        self.kernel = kernel
        cause = isTold ? .hand : .daemon
    }

    private func enqueue(_ request: Request, _ tag: UInt32) -> Bool {
        guard queue.count < Self.limit else { return false }
        queue.append((request, tag))
        return true
    }

    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        enqueue(.create(copy entry, timeoutSeconds), tag)
    }
    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        enqueue(.update(copy entry, timeoutSeconds), tag)
    }
    func updateTimeout(_ key: borrowing Key, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        enqueue(.timeout(copy key, timeoutSeconds), tag)
    }
    func updateLiberal(_ key: borrowing Key, _ isLiberal: Bool, tag: UInt32) -> Bool {
        enqueue(.liberal(copy key, isLiberal), tag)
    }
    func delete(_ key: borrowing Key, tag: UInt32) -> Bool { enqueue(.delete(copy key), tag) }
    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool {
        enqueue(.deleteExactly(copy entry), tag)
    }
    func create(_ expectation: borrowing Expectation, tag: UInt32) -> Bool {
        enqueue(.expect(copy expectation), tag)
    }
    func updateTimeout(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool {
        enqueue(.expectTimeout(expectation.key, timeoutSeconds), tag)
    }
    func delete(expectation key: borrowing Key, tag: UInt32) -> Bool {
        enqueue(.unexpect(copy key), tag)
    }

    func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) -> BatchOutcome {
        var outcome = BatchOutcome()
        guard !queue.isEmpty else { return outcome }
        let requests = queue
        queue = []
        try kernel.calls.attempt("send of requests")
        outcome.requests = requests.count
        for (request, tag) in requests {
            let errno = kernel.carryOut(request, cause)
            guard errno != 0 else { continue }
            kernel.refused(request, errno)
            outcome.failures += 1
            failure(tag, errno)
        }
        return outcome
    }
}

/// A query of single entries.
final class SimulatedLookup: EntryLookup {
    private let kernel: SimulatedKernel

    init(_ kernel: SimulatedKernel) {
        self.kernel = kernel
    }

    func entry(_ key: borrowing Key) throws(SystemError) -> Entry? {
        try kernel.calls.attempt("query of an entry")
        return kernel.shown(copy key)
    }

    func entry(withReplyOf entry: borrowing Entry) throws(SystemError) -> Entry? {
        try kernel.calls.attempt("query of an entry")
        return kernel.table.key(replying: Key(entry.reply, zone: entry.key.zone))
            .flatMap { kernel.shown($0) }
    }
}

extension SimulatedKernel {
    /// Tells who watches of a refusal.
    fileprivate func refused(_ request: SimulatedRequests.Request, _ errno: CInt) {
        switch request {
        case .create(let entry, _): table.watch("creation refused: \(errno)", entry.key, .daemon)
        case .update(let entry, _): table.watch("change refused: \(errno)", entry.key, .daemon)
        case .delete(let key): table.watch("deletion refused: \(errno)", key, .daemon)
        case .deleteExactly(let entry):
            table.watch("deletion refused: \(errno)", entry.key, .daemon)
        default: break
        }
    }

    /// An entry as a dump or a query shows it.
    func shown(_ key: Key) -> Entry? {
        guard let slot = table.slots[key] else { return nil }
        var entry = slot.entry
        entry.id = slot.id
        entry.timeoutSeconds = table.secondsLeft(key)
        entry.fields.formUnion([.id, .timeout])
        entry.fields.remove(.mark)
        if entry.mark != 0 { entry.fields.insert(.mark) }
        return entry
    }
}

/// A dump of the table, the entries by their buckets. The kernel has filled each piece before the
/// last one was read, so what is handed out may be old.
final class SimulatedWalk: TableWalk {
    private let kernel: SimulatedKernel
    private var piece: [Entry] = []
    private var cursor: UInt64?
    private var expectations: [Expectation]?
    private var resizes = 0

    init(_ kernel: SimulatedKernel) {
        self.kernel = kernel
    }

    func start() throws(SystemError) {
        try kernel.calls.attempt("send of a dump request")
        expectations = nil
        cursor = 0
        resizes = kernel.resizes
        fill()
    }

    func startExpectations() throws(SystemError) {
        try kernel.calls.attempt("send of a dump request")
        cursor = nil
        expectations = kernel.table.shownExpectations
    }

    func step(
        _ body: (borrowing Entry) -> Void, expectation: (borrowing Expectation) -> Void
    ) throws(SystemError) -> Bool {
        if let found = expectations {
            expectations = nil
            try kernel.calls.attempt("recv of a dump")
            for each in found { expectation(each) }
            return false
        }
        guard cursor != nil || !piece.isEmpty else { return false }
        do throws(SystemError) {
            try kernel.calls.attempt("recv of a dump")
        } catch {
            cancel()
            throw error
        }
        let old = piece
        fill()
        for entry in old { body(entry) }
        return cursor != nil || !piece.isEmpty
    }

    func cancel() {
        piece = []
        cursor = nil
        expectations = nil
    }

    func conditions() throws(SystemError) -> WalkConditions { try WalkConditions(of: kernel) }

    private func fill() {
        piece = []
        guard let from = cursor else { return }
        if resizes != kernel.resizes {
            // Halved: the walk goes on at a bucket's number that now lies behind much of the rest.
            resizes = kernel.resizes
            cursor = UInt64(UInt32.max) / 4 * 3
            return
        }
        let following = kernel.table.slots.keys
            .map { (UInt64(kernel.bucket($0)) + 1, $0) }
            .filter { $0.0 > from }
            .sorted { $0.0 < $1.0 }
        let count = 1 + kernel.chance.below(12)
        piece = following.prefix(count).compactMap { kernel.shown($0.1) }
        cursor = following.count > count ? following[count - 1].0 : nil
    }
}

/// A socket of lost addresses.
final class SimulatedLosses: AddressLosses {
    var lost: [AddressLoss] = []
    private let calls: SimulatedCalls

    init(_ calls: SimulatedCalls) {
        self.calls = calls
    }

    func look(_ body: (AddressLoss) -> Void) throws(SystemError) {
        try calls.attempt("look for lost addresses")
        for loss in lost { body(loss) }
        lost = []
    }
}

/// The event socket.
final class SimulatedEvents: EventSource {
    private enum Event {
        case entry(CtnetlinkKind, Entry, SimulatedTable.Cause)
        case expectation(CtnetlinkKind, Expectation)
    }

    private let kernel: SimulatedKernel
    private var events: [Event] = []
    private var hasLost = false
    let malformed: UInt64 = 0
    private(set) var causedBy: UInt32 = 0
    private(set) var isOwnDoing = false
    let raw: CInt = -1
    /// What other threads do while this one reads.
    var meanwhile: () -> Void = {}

    /// Only what others than the daemon do is heard ...
    private let isOfOthers: Bool
    /// ... and of what begins, or packets change, nothing.
    private var hearsBegins: Bool

    init(_ kernel: SimulatedKernel, ofOthers: Bool = false, begins: Bool = true) {
        self.kernel = kernel
        isOfOthers = ofOthers
        hearsBegins = begins
    }

    func endBegins() throws(SystemError) {
        try kernel.calls.attempt("end of begins")
        hearsBegins = false
    }

    /// Whether there is something to read.
    var isReadable: Bool { hasLost || !events.isEmpty }

    func keepBack(_ rules: [ReplicationRule]) throws(SystemError) -> Bool { false }

    func append(_ kind: CtnetlinkKind, _ said: Entry, _ cause: SimulatedTable.Cause) {
        if isOfOthers {
            let isHeard = kind == .destroy || kind == .update && cause != .traffic
            guard isHeard || hearsBegins, cause != .daemon else { return }
        }
        guard events.count < kernel.eventCapacity else {
            hasLost = true
            return
        }
        var event = said
        event.fields.insert(.id)
        if said.mark != 0, kind != .destroy { event.fields.insert(.mark) }
        if kind == .destroy { event.fields = [.status, .id] }
        if kind == .destroy, said.timeoutSeconds > 0 { event.fields.insert(.timeout) }
        events.append(.entry(kind, event, cause))
    }

    func append(_ kind: CtnetlinkKind, _ expectation: Expectation) {
        // The simulated table does not say who removes one.
        guard !isOfOthers else { return }
        guard events.count < kernel.eventCapacity else {
            hasLost = true
            return
        }
        events.append(.expectation(kind, expectation))
    }

    /// The last events are lost.
    func lose(_ count: Int) {
        hasLost = true
        events.removeLast(min(events.count, count))
    }

    func receive(
        _ body: (CtnetlinkKind, borrowing Entry) -> Void,
        expected: (CtnetlinkKind, borrowing Expectation) -> Void
    ) throws(SystemError) -> EventDrain {
        var drain = EventDrain()
        try kernel.calls.attempt("recvmmsg of events")
        meanwhile()
        if hasLost {
            // The error comes before the events that were queued.
            hasLost = false
            drain.overrun = true
            return drain
        }
        let count = min(events.count, 8)
        for event in events.prefix(count) {
            drain.messages += 1
            switch event {
            case .entry(let kind, let entry, let cause):
                causedBy = cause == .hand ? 4_711 : 0
                isOwnDoing = cause == .daemon
                body(kind, entry)
            case .expectation(let kind, let expectation):
                (causedBy, isOwnDoing) = (0, false)
                expected(kind, expectation)
            }
        }
        events.removeFirst(count)
        drain.isDrained = events.isEmpty
        return drain
    }
}
