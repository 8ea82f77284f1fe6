// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A node: the daemon's own engines over a simulated kernel, link, clock and disk, with a step of each
/// of the daemon's threads in turn.
///
/// What is here and not in the engines is what the daemon's thread loops do: wait, hand over, wake.
final class SimulatedNode {
    let index: Int
    let own: Address
    let kernel: SimulatedKernel
    let port: SimulatedPort
    let clock: SimulatedClock
    let storage = SimulatedStorage()
    let settings: SimulatedSettings
    let chance: Chance
    let filter: FilterBox
    /// The rules that its next daemon reads.
    var rules: [ReplicationRule] = []
    /// The running daemon; nil while there is none.
    private(set) var daemon: SimulatedDaemon?
    /// When it was started.
    private(set) var startedAt: Instant = 0
    /// What daemons that are gone have counted.
    private(set) var past = SlaveCounters()
    private(set) var now: Instant = 0
    var isTraced = false
    /// By which its threads get no processor now and then; nil if they always do.
    var stalls: Chance?
    /// What began here after it gave way, a moment ago: its master may not have spoken of it yet.
    var begunLate: Set<Key> = []
    /// How long its control thread sleeps at most, if nothing wakes it.
    var controlPause: UInt64 = 0

    init(
        index: Int, own: Address, wires: [SimulatedWire], chance: Chance,
        settings: SimulatedSettings
    ) {
        self.index = index
        self.own = own
        self.chance = chance
        self.settings = settings
        port = SimulatedPort(wires, index)
        kernel = SimulatedKernel(chance)
        clock = SimulatedClock()
        filter = FilterBox(ReplicationFilter(ownAddresses: [own], syncNetworks: []))
    }

    var id: UInt8 { UInt8(index + 1) }
    /// The role that the node reports; nil while no daemon runs.
    var role: Role? { daemon?.engine.role }
    /// Its engine as slave, if that is its role.
    var slave: SlaveEngine? { role == .slave ? daemon?.slave : nil }

    // MARK: Life

    /// Lets time pass.
    func advance(to now: Instant) {
        self.now = now
        port.now = now
        clock.advance(to: now)
        kernel.advance(to: now)
    }

    /// Starts the daemon.
    ///
    /// - Throws: `SystemError` where it refuses to start.
    func start(_ state: Role? = nil) throws {
        filter.current = ReplicationFilter(ownAddresses: [own], syncNetworks: [], rules: rules)
        let started = try SimulatedDaemon(self)
        daemon = started
        startedAt = now
        do {
            try started.begin(as: state ?? storage.role ?? .slave)
        } catch {
            daemon = nil
            throw error
        }
    }

    /// The daemon is killed: the kernel's table, /run and the disk stay.
    func kill() {
        guard let daemon else { return }
        past.add(daemon.slave.slave.counters)
        self.daemon = nil
    }

    /// The daemon is told to end in order.
    ///
    /// - Returns: whether it has; until then it is to be told again.
    func stop() -> Bool {
        guard let daemon else { return true }
        guard daemon.mayEnd() else { return false }
        daemon.end()
        past.add(daemon.slave.slave.counters)
        self.daemon = nil
        storage.role = nil
        return true
    }

    /// Whether its daemon was told to end, and has not yet.
    var isStopping: Bool { daemon?.endsSince != nil }
    /// What its next daemon is to be, if one was started while this one ends.
    var startsAs: Role??

    /// The machine boots: what is not on the disk is gone.
    func reboot() {
        kill()
        storage.reboot()
        kernel.table.powerCycle()
    }

    /// Whether what its kernel has of these ends, or what its daemon has removed of them, was made before
    /// the daemon began.
    func isOlderThanDaemon(_ key: Key, _ reply: Tuple) -> Bool {
        let table = kernel.table
        let other = table.key(replying: Key(reply, zone: key.zone)) ?? key
        var made = [table.slots[key]?.madeAt, table.slots[other]?.madeAt]
        if let removal = table.removals[key], removal.at >= startedAt {
            made.append(removal.madeAt)
        }
        return made.contains { $0.map { $0 < startedAt } ?? false }
    }

    // MARK: Time

    func step() {
        daemon?.step()
    }

    func deliver(_ packet: [UInt8], from source: Int, by link: UInt8) {
        daemon?.deliver(packet, from: SimulatedWire.address(source, link: link))
    }
}

/// What a simulated cluster's nodes are set to.
struct SimulatedSettings {
    var ringSlots = 32
    var packetsPerSecond: UInt32 = 1_000
    var reconcileSeconds: UInt32 = 0
    var requireSyncSeconds: UInt32 = 0
    /// Of the largest packet that the devices take.
    var slotByteCount = 400
    /// For which slaves keep what their master's kernel flushes.
    var flushGraceSeconds: UInt32 = 0
}

/// A wall clock that may be off by years, step, or stand still.
final class SimulatedClock {
    /// Microseconds by which it is off.
    var offset: Int64 = 0
    var isStopped = false
    private static let start: Int64 = 1_700_000_000_000_000
    private var microseconds: Int64 = 0

    func advance(to now: Instant) {
        if !isStopped { microseconds = Int64(now / Duration.microsecond) }
    }

    /// Microseconds since 1970, as this clock has it.
    var wallMicroseconds: UInt64 { UInt64(max(Self.start + offset + microseconds, 1)) }
}

/// What outlives a daemon: /run until the next boot, the disk beyond.
final class SimulatedStorage {
    /// The control file's word.
    var role: Role?
    /// The lock file's epoch.
    var epoch: UInt64 = 0
    /// The lock file's last word of what the node saw as master ...
    var last = Basis.none
    /// ... and whether nobody else may have that.
    var hasMore = false
    /// The epoch's file on the disk.
    var diskEpoch: UInt64 = 0
    /// Nothing can be written, to either.
    var isFull = false

    func reboot() {
        role = nil
        isFull = false
        (epoch, last, hasMore) = (0, .none, false)
    }
}

extension SlaveCounters {
    mutating func add(_ other: SlaveCounters) {
        recovered += other.recovered
        lost += other.lost
        initsyncs += other.initsyncs
        purged += other.purged
        insufficient += other.insufficient
        beyond += other.beyond
        stale += other.stale
    }
}
