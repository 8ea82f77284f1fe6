// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// Drops every frame in and out of every device but loopback, syncdev and the exempt ones.
///
/// Owner: one thread, which polls `events` for POLLIN and answers with `eventsArrived()`: devices
/// have appeared or changed, or somebody has flushed the rules. The rules are the kernel's: they
/// outlive this object and its process until `lift` or `L2Drop.off`.
/// A raise that fails leaves what it has already put on; nothing is ever opened by an error.
package final class L2Drop {
    /// What the names of all our tables and chains begin with.
    package static let prefix = "ct_sync_l2drop"

    private let name: String
    private let backend: any L2DropBackend
    private let monitor: DeviceMonitor
    private let rules: RulesetMonitor
    private let epoll: Descriptor
    private let wanted: [String]
    /// For looks at tables beside its own. It is kept: the kernel holds up who closes a socket of
    /// nftables until what was deleted before is freed, 10 to 350 ms after the end of a darkness.
    private var console: Nftables?
    /// What is in the kernel; nil if that is not certain.
    private var plan: DarkPlan?
    /// The same of what an opening has left without effect.
    private var resting: DarkPlan?
    /// When rules were taken away last, whose ever.
    private var removedAt: Instant?
    /// How long the kernel may take to free what was removed, on a machine that is busy.
    private static let freeing = 30 * Duration.second
    /// Whether rules have been taken away since the last look, perhaps ours.
    private var isSuspect = false
    /// Whether there has been an event since the last look for the mark of `off`.
    private var hasNews = false

    /// Whether this object has the drop on; false as well where another's rules are there.
    private(set) var isRaised = false
    /// Whether somebody at the console has said `off` since the last order to raise it.
    private(set) var isTakenOff = false

    /// Finds the backend; touches no rule.
    ///
    /// - Parameters:
    ///   - syncdev: the device of the sync link.
    ///   - exempt: devices that stay open, there already or not.
    ///   - instance: tells the groups of one node apart; empty for the only one.
    ///   - backend: the setting.
    /// - Throws: `L2DropError`: what is missing, and what to install.
    package convenience init(
        syncdev: String, exempt: [String] = [], instance: String = "",
        backend: L2DropChoice = .auto
    ) throws(L2DropError) {
        for device in [syncdev] + exempt where !NetdevRuleset.canWrite(device) {
            throw L2DropError("l2drop cannot write the device name \"\(device)\" into a rule")
        }
        let name = Self.name(of: instance)
        try self.init(
            named: name, leaving: [syncdev] + exempt, by: try Self.backend(backend, named: name))
    }

    /// The same by a backend that was found already, whose rules have this name.
    init(
        named name: String, leaving open: [String], by backend: any L2DropBackend
    ) throws(L2DropError) {
        self.name = name
        wanted = open
        self.backend = backend
        do throws(SystemError) {
            monitor = try DeviceMonitor()
            rules = try RulesetMonitor()
            epoll = try Descriptor("epoll") { ctsync_epoll() }
            for socket in [monitor.raw, rules.raw] {
                try retrying("epoll_ctl") { ctsync_epoll_add(epoll.raw, socket, 0) }
            }
        } catch {
            throw L2DropError("l2drop cannot listen for new devices: \(error)")
        }
    }

    /// Which of the two it is: never `auto`.
    var choice: L2DropChoice { backend.choice }

    /// What to poll for POLLIN; then call `eventsArrived`, raised or not.
    package var events: CInt { epoll.raw }

    /// Puts the drop on, or renews it where it is on; an earlier `off` counts no longer.
    ///
    /// - Throws: `L2DropError`; a drop that was on then still is.
    func raise() throws(L2DropError) {
        forgetOff()
        if try !wakes() { try renew(onlyIfDifferent: false) }
        isRaised = true
    }

    /// Lets frames flow, as fast as the backend can; for the moment of a takeover.
    ///
    /// It leaves rules behind that do nothing any more: call `lift` when there is time (0.2 s), and no
    /// demotion is to be expected, which is faster with them.
    ///
    /// - Throws: `L2DropError`; part of the drop may still be on.
    package func open() throws(L2DropError) {
        guard isRaised else { return try lift() }
        // It is not to be followed any more, whatever remains.
        let left = plan
        plan = nil
        isRaised = false
        let isFreeing = removedAt.map { Clock.now() < $0 + Self.freeing } ?? false
        do throws(L2DropError) {
            try backend.open(isFreeing: isFreeing)
            resting = left
        } catch {
            // Somebody has removed chains of ours: remove the rest.
            try backend.lift()
        }
    }

    /// Takes the drop off and removes all of its rules.
    ///
    /// - Throws: `L2DropError`; part of it may still be on.
    func lift() throws(L2DropError) {
        try backend.lift()
        (plan, resting) = (nil, nil)
        isRaised = false
        forgetOff()
    }

    /// Puts the rules to work again that an opening has left, if they are those for the devices of now.
    private func wakes() throws(L2DropError) -> Bool {
        guard let left = resting else { return false }
        resting = nil
        guard try !isStale(left), backend.wake() else { return false }
        // Somebody may have flushed them a moment ago, and no event has been read of it yet.
        guard try backend.isWhole(left) else { return false }
        plan = left
        return true
    }

    private func forgetOff() {
        isTakenOff = false
        do throws(L2DropError) {
            try L2DropOffMark.clear(keptConsole())
        } catch {
            // Without nftables there is none; with it the next look sees it and says so.
        }
    }

    private var isMarkedOff: Bool {
        do throws(L2DropError) {
            return L2DropOffMark.isSet(try keptConsole())
        } catch {
            return false
        }
    }

    private func keptConsole() throws(L2DropError) -> Nftables {
        if let console { return console }
        let new = try Self.console()
        console = new
        return new
    }

    /// Whether the rules that it put on are all there; false if it has none on.
    ///
    /// - Throws: `L2DropError` if they cannot be listed.
    func isWhole() throws(L2DropError) -> Bool {
        guard isRaised, let plan else { return false }
        return try backend.isWhole(plan)
    }

    /// Takes over rules of this instance that are there: those of a daemon that was killed, also
    /// where it had the other backend.
    ///
    /// - Returns: whether there were any; they have been renewed then, without a gap.
    /// - Throws: `L2DropError`; what was there is untouched then.
    func adopt() throws(L2DropError) -> Bool {
        let found = try Self.status().filter { $0.name == name }
        guard !found.isEmpty else {
            // Of a daemon that was killed soon after a takeover.
            if !(try NetdevL2Drop.tables(keptConsole()) { [name] in $0 == name }).isEmpty {
                try backend.lift()
            }
            return false
        }
        try raise()
        for other in found where other.backend != choice {
            try Self.backend(other.backend, named: name).lift()
        }
        return true
    }

    /// Answers POLLIN of `events`: covers devices that have appeared, follows what has changed, puts
    /// back what somebody has flushed, but not what `off` has taken away.
    ///
    /// - Returns: whether the rules have been renewed.
    /// - Throws: `L2DropError`; IP and ARP of a new device are dropped nevertheless. Call it again
    ///   after a while, with or without an event.
    func eventsArrived() throws(L2DropError) -> Bool {
        do throws(SystemError) {
            if try monitor.drain() { hasNews = true }
            if try rules.drain() {
                (isSuspect, hasNews, resting) = (true, true, nil)
                removedAt = Clock.now()
            }
        } catch {
            throw L2DropError("l2drop cannot hear of new devices: \(error)")
        }
        if hasNews, !isTakenOff, isMarkedOff {
            isTakenOff = true
            plan = nil
            isRaised = false
            backend.release()
        }
        hasNews = false
        guard isRaised else { return false }
        if isSuspect, let plan, try !backend.isWhole(plan) { self.plan = nil }
        isSuspect = false
        return try renew(onlyIfDifferent: true)
    }

    /// Puts the plan for the devices of now into the kernel; a device that goes meanwhile (ENOENT
    /// before Linux 6.16) makes it look again, and so does, once, what else fails: rules that are flushed
    /// meanwhile are missed by the next step.
    @discardableResult
    private func renew(onlyIfDifferent: Bool) throws(L2DropError) -> Bool {
        let attempts = 5
        var attemptsLeft = attempts
        while true {
            let now: DarkPlan
            do throws(SystemError) {
                let devices = try monitor.devices().filter { NetdevRuleset.canWrite($0.name) }
                now = DarkPlan(devices, open: wanted)
            } catch {
                throw L2DropError("l2drop cannot list the devices: \(error)")
            }
            if onlyIfDifferent, let plan, backend.hasSameRules(now, plan) { return false }
            do throws(L2DropError) {
                try backend.raise(now)
                plan = now
                return true
            } catch {
                attemptsLeft -= 1
                if attemptsLeft == attempts - 1 { continue }
                guard attemptsLeft > 0, try isStale(now) else { throw error }
            }
        }
    }

    private func isStale(_ plan: DarkPlan) throws(L2DropError) -> Bool {
        do throws(SystemError) {
            let devices = try monitor.devices().filter { NetdevRuleset.canWrite($0.name) }
            return DarkPlan(devices, open: wanted) != plan
        } catch {
            throw L2DropError("l2drop cannot list the devices: \(error)")
        }
    }

    private static func backend(
        _ choice: L2DropChoice, named name: String
    ) throws(L2DropError) -> any L2DropBackend {
        switch choice {
        case .netdev: return try NetdevL2Drop(table: name)
        case .tables: return try TablesL2Drop(name: name)
        case .auto:
            do throws(L2DropError) {
                return try NetdevL2Drop(table: name)
            } catch let netdev {
                do throws(L2DropError) {
                    return try TablesL2Drop(name: name)
                } catch let tables {
                    throw L2DropError("\(netdev); \(tables)")
                }
            }
        }
    }

    /// What the tables of an instance are called: at most 24 characters, since a chain of iptables
    /// has 28 and ends in `_out`.
    static func name(of instance: String) -> String {
        guard !instance.isEmpty else { return prefix }
        let isPlain = instance.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7A).contains($0)
                || (0x41...0x5A).contains($0)
        }
        if isPlain, instance.utf8.count < 9 { return "\(prefix)_\(instance)" }
        var hash: UInt32 = 0x811C_9DC5  // FNV-1a
        for byte in instance.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return "\(prefix)_x\(String(hash, radix: 16))"
    }
}
