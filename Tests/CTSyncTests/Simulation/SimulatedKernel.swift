// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// A node's kernel: the table, and the sockets that the daemon's engines ask for. It refuses what the
/// kernel refuses, says in its events what the kernel says, loses events when nobody reads, and fails
/// the calls that it is told to fail.
final class SimulatedKernel: KernelTable, @unchecked Sendable {
    let table = SimulatedTable()
    let chance: Chance
    let calls = SimulatedCalls()
    /// nf_conntrack_events: 0 off, 1 on, 2 while somebody listens.
    var eventsSetting: UInt64 = 2 { didSet { settle() } }
    /// /proc/sys cannot be written.
    var isReadOnly = false
    /// How many events the socket's buffer holds.
    var eventCapacity = 64
    /// How many requests in a thousand fail for reasons of the kernel's own.
    var faults = 0
    /// Counts resizes of the hash while a walk runs.
    private(set) var resizes = 0
    /// When somebody changed the table by hand, or its settings.
    private(set) var meddledAt: Instant = 0
    /// Requests of the daemon that changed an entry's content.
    private(set) var changes = 0
    private var listeners: [Weak] = []
    private var losses: [WeakLosses] = []
    let bucket = TupleHash(seed: 1)

    private struct Weak {
        weak var source: SimulatedEvents?
    }

    private struct WeakLosses {
        weak var source: SimulatedLosses?
    }

    init(_ chance: Chance) {
        self.chance = chance
        table.emit = { [unowned self] kind, entry, cause in
            guard eventsSetting != 0 else { return }
            for listener in listeners { listener.source?.append(kind, entry, cause) }
        }
        table.emitExpectation = { [unowned self] kind, expectation in
            guard eventsSetting != 0 else { return }
            for listener in listeners { listener.source?.append(kind, expectation) }
        }
    }

    private func settle() {
        listeners.removeAll { $0.source == nil }
        table.isEventful = eventsSetting == 1 || eventsSetting == 2 && !listeners.isEmpty
    }

    /// Lets time pass.
    func advance(to now: Instant) {
        settle()
        table.advance(to: now)
    }

    // MARK: What happens to it

    /// Somebody's hand: `conntrack -F`, a changed or deleted entry, a setting.
    func meddle(_ body: (SimulatedTable) -> Void) {
        meddledAt = table.now
        body(table)
    }

    /// nf_conntrack_buckets is halved: a dump that runs skips entries, and nothing says so.
    func resize() {
        meddledAt = table.now
        resizes += 1
    }

    /// The next events are lost, as if nobody had read for long.
    func loseEvents() {
        for listener in listeners { listener.source?.lose(1 + chance.below(4)) }
    }

    // MARK: KernelTable

    func makeRequests(isTold: Bool) throws(SystemError) -> any KernelRequests {
        try calls.attempt("socket of requests")
        return SimulatedRequests(self, isTold: isTold)
    }

    func makeLookup() throws(SystemError) -> any EntryLookup {
        try calls.attempt("socket of a query")
        return SimulatedLookup(self)
    }

    func makeWalk() throws(SystemError) -> any TableWalk {
        try calls.attempt("socket of a dump")
        return SimulatedWalk(self)
    }

    func openEvents() throws(SystemError) -> any EventSource {
        try calls.attempt("event socket")
        let source = SimulatedEvents(self)
        listeners.append(Weak(source: source))
        settle()
        return source
    }

    func openAddressLosses() throws(SystemError) -> any AddressLosses {
        try calls.attempt("socket of lost addresses")
        let source = SimulatedLosses(calls)
        losses.removeAll { $0.source == nil }
        losses.append(WeakLosses(source: source))
        return source
    }

    func openChanges(begins: Bool) throws(SystemError) -> any EventSource {
        try calls.attempt("socket of changes")
        let source = SimulatedEvents(self, ofOthers: true, begins: begins)
        listeners.append(Weak(source: source))
        settle()
        return source
    }

    func setting(_ setting: KernelSetting) throws(SystemError) -> UInt64 {
        try calls.attempt("read of \(setting.rawValue)")
        return switch setting {
        case .events: eventsSetting
        case .buckets: UInt64(1_024 >> resizes.quotientAndRemainder(dividingBy: 4).remainder)
        case .count: UInt64(table.slots.count)
        case .limit: UInt64(table.capacity)
        }
    }

    func set(_ setting: KernelSetting, to value: UInt64) throws(SystemError) {
        try calls.attempt("write of \(setting.rawValue)")
        guard !isReadOnly else { throw SystemError("write of \(setting.rawValue)", errno: EROFS) }
        eventsSetting = value
    }

    /// An address is removed: what is masqueraded to it is flushed.
    func lose(_ address: Address, _ family: Family = .ipv4) {
        for loss in losses {
            loss.source?.lost.append(AddressLoss(family: family, address: address, device: "wan0"))
        }
        table.flush(.masquerade) { $0.reply.destination == address && $0.isTranslated }
    }

    // MARK: Requests

    /// Carries out a request.
    ///
    /// - Returns: 0 or errno.
    func carryOut(_ request: SimulatedRequests.Request, _ cause: SimulatedTable.Cause) -> CInt {
        if faults > 0, !isReplacement(request), chance.happens(faults) {
            return request.isDeletion ? EBUSY : ENOMEM
        }
        switch request {
        case .create(let entry, let seconds):
            changes += 1
            if entry.fields.contains(.helper), !table.hasHelpers { return EOPNOTSUPP }
            return table.insert(Self.made(of: entry), seconds: seconds, .daemon)
        case .update(let entry, let seconds):
            changes += 1
            return replace(entry, seconds)
        case .timeout(let key, let seconds):
            guard table.entry(key) != nil else { return ENOENT }
            table.watch("given \(seconds) s", key, .daemon)
            table.refresh(key, seconds: seconds, .daemon)
            return 0
        case .liberal(let key, let isLiberal):
            guard table.entry(key) != nil else { return ENOENT }
            table.change(key, saying: .protocolInfo, .daemon) { entry in
                let flag = TCPFlag.beLiberal
                let info = entry.protocolInfo
                entry.protocolInfo.originalFlags =
                    isLiberal ? info.originalFlags | flag : info.originalFlags & ~flag
                entry.protocolInfo.replyFlags =
                    isLiberal ? info.replyFlags | flag : info.replyFlags & ~flag
            }
            return 0
        case .delete(let key):
            changes += 1
            return table.remove(key, cause) == nil ? ENOENT : 0
        case .deleteExactly(let entry):
            changes += 1
            guard table.slots[entry.key]?.id == entry.id else { return ENOENT }
            return table.remove(entry.key, cause) == nil ? ENOENT : 0
        case .expect(let expectation): return table.insert(expectation)
        case .expectTimeout(let key, let seconds):
            return table.refresh(expectation: key, seconds: seconds) ? 0 : ENOENT
        case .unexpect(let key): return table.remove(Expectation(key)) ? 0 : ENOENT
        }
    }

    /// Whether it makes what was removed a moment ago: there is room for that.
    private func isReplacement(_ request: SimulatedRequests.Request) -> Bool {
        guard case .create(let entry, _) = request,
            let removal = table.removals[entry.key]
        else { return false }
        return removal.at == table.now && removal.cause == .daemon
    }

    /// What a create request makes.
    private static func made(of entry: Entry) -> Entry {
        var made = entry
        made.status = entry.status.subtracting(.notAtCreation).union(.IPS_CONFIRMED)
        if entry.fields.contains(.parent) { made.status.insert(.IPS_EXPECTED) }
        return made
    }

    private func replace(_ request: Entry, _ seconds: UInt32) -> CInt {
        guard let entry = table.entry(request.key) else { return ENOENT }
        var status = request.status.intersection(.changeable).union(.IPS_CONFIRMED)
        if request.fields.contains(.parent) { status.insert(.IPS_EXPECTED) }
        let cleared = entry.status.subtracting(status)
        let isExpected = entry.status.contains(.IPS_EXPECTED)
        guard cleared.isDisjoint(with: .onlyEverSet),
            isExpected == status.contains(.IPS_EXPECTED)
        else { return EBUSY }
        table.refresh(request.key, seconds: seconds, .daemon)
        table.change(request.key, saying: [], .daemon) { entry in
            entry.status = status
            entry.mark = request.mark
            if request.fields.contains(.protocolInfo) { entry.protocolInfo = request.protocolInfo }
            if request.fields.contains(.labels) {
                entry.extras.labelsLow = request.extras.labelsLow
                entry.fields.insert(.labels)
            }
        }
        return 0
    }
}

/// Calls that may be made to fail, counted.
final class SimulatedCalls {
    /// All kinds.
    static let kinds = [
        "sockets and memory", "threads", "thread of the timers", "event socket",
        "socket of requests", "socket of a query", "socket of a dump", "socket of lost addresses",
        "send of requests", "query of an entry", "send of a dump request", "recv of a dump",
        "recvmmsg of events",
    ]
    /// Those that only schedules of later seeds ask for.
    static let later = ["look for lost addresses", "end of begins", "socket of changes"]

    /// How many were made.
    private(set) var count = 0
    /// The number of the call that fails, from 1 on; 0 for none.
    var failing = 0
    /// Of which kind it is; nil for any.
    var kind: String?
    private var countOfKind = 0
    /// The name of the one that did.
    private(set) var failed: String?
    /// How many did.
    private(set) var failures = 0
    /// All names, in their order.
    private(set) var names: [String] = []

    /// One more is to fail: of the calls of a kind from now on, this one.
    func fail(_ call: Int, of kind: String) {
        (failing, self.kind, countOfKind) = (call, kind, 0)
    }

    /// Makes a call.
    func attempt(_ name: String) throws(SystemError) {
        count += 1
        names.append(name)
        guard kind == nil || kind == name else { return }
        countOfKind += 1
        guard countOfKind == failing else { return }
        failed = name
        failures += 1
        throw SystemError(name, errno: EMFILE)
    }
}
