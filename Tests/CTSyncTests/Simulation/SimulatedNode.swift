// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// A node: the daemon's own state machines over a simulated kernel, with `step` in the place of the
/// threads. What a restart loses is made anew by `boot`.
final class SimulatedNode {
    static let epochStart: UInt64 = 1_700_000_000_000_000
    static let slotByteCount = 400

    let index: Int
    let kernel: SimulatedKernel
    let filter: ReplicationFilter
    let wire: SimulatedWire
    let chance: Chance
    let ringSlots: Int
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 2_048, alignment: 8)

    private(set) var machine: RoleMachine
    private(set) var slave: SlaveProtocol
    private(set) var injector: Injector
    let ring: SendRing
    let master: MasterProtocol
    var walk: SimulatedWalk?
    var announceAt: Instant = 0
    private var higher: MasterClaim?
    private var renewAt: Instant = 0
    private var adoption: Adopting?
    /// What restarts have made unreachable, for the statistics.
    private var past = SlaveCounters()

    private struct Adopting {
        var read: [Entry] = []
        var next: UInt64? = 0
    }

    init(
        index: Int, own: Address, wire: SimulatedWire, chance: Chance, ringSlots: Int
    ) throws {
        self.index = index
        self.wire = wire
        self.chance = chance
        self.ringSlots = ringSlots
        kernel = SimulatedKernel(chance)
        filter = ReplicationFilter(ownAddresses: [own], syncNetworks: [])
        machine = RoleMachine(nodeID: UInt8(index + 1))
        ring = try SendRing(
            slotCount: ringSlots, slotByteCount: Self.slotByteCount, wake: nil)
        master = MasterProtocol(ring: ring)
        slave = try Self.makeSlave(index, filter, ringSlots, chance)
        injector = Injector(kernel, kernel)
        becomeSlave(after: .none)
    }

    deinit {
        target.deallocate()
    }

    var id: UInt8 { UInt8(index + 1) }
    var role: Role { machine.role }
    var address: PeerAddress { Self.address(index) }

    static func address(_ index: Int) -> PeerAddress {
        PeerAddress(address: Address(ipv4: 0xA9FE_0001 + UInt32(index)), family: .ipv4, port: 1)
    }

    /// What has been counted since the beginning, as slave.
    var counters: [UInt64] {
        [
            past.recovered + slave.counters.recovered, past.lost + slave.counters.lost,
            past.initsyncs + slave.counters.initsyncs, past.purged + slave.counters.purged,
            past.insufficient + slave.counters.insufficient,
            past.beyond + slave.counters.beyond, past.stale + slave.counters.stale,
        ]
    }

    private static func makeSlave(
        _ index: Int, _ filter: ReplicationFilter, _ slots: Int, _ chance: Chance
    ) throws -> SlaveProtocol {
        try SlaveProtocol(
            nodeID: UInt8(index + 1), table: try ReplicaTable(capacity: 256, seed: chance.next()),
            filter: filter, ringSlots: slots / 2, slotByteCount: slotByteCount)
    }

    private static func seconds(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now / Duration.second)
    }

    /// The refused replicas, for a failure's report.
    var refused: String {
        var text = ""
        slave.table.forEachAlive { place, replica in
            guard replica.flags.contains(.refused) else { return }
            text += "\n\(slave.table.entry(at: place)) \(replica.flags)"
        }
        return text
    }

    static func wall(_ now: Instant) -> UInt64 {
        epochStart + now / Duration.microsecond
    }

    // MARK: Roles, as Node does

    /// The daemon is killed and started again; the kernel's table stays.
    func restart(as role: Role, now: Instant) throws {
        past.add(slave.counters)
        kernel.listen(false)
        walk = nil
        machine = RoleMachine(nodeID: id)
        slave = try Self.makeSlave(index, filter, ringSlots, chance)
        injector = Injector(kernel, kernel)
        higher = nil
        if role == .master {
            order(.master, now: now)
        } else {
            becomeSlave(after: .none)
        }
    }

    /// The cluster manager has spoken.
    func order(_ wanted: Role, now: Instant) {
        if role == .slave { machine.heard(slave.master) }
        carryOut(machine.order(wanted, wallMicroseconds: Self.wall(now)), now)
    }

    private func carryOut(_ change: RoleMachine.Change, _ now: Instant) {
        switch change {
        case .none: return
        case .promote(let claim):
            adoption = nil
            inject(now)
            ring.reset(epoch: claim.epoch, nodeID: claim.nodeID)
            master.start(claim)
            kernel.listen(true)
            announceAt = now
            higher = nil
        case .demote(let claim):
            if walk != nil {
                walk = nil
                master.initsyncEnded()
            }
            drainEvents(maximum: .max)
            while sendLive(maximum: 64, now) > 0 {}
            kernel.listen(false)
            becomeSlave(after: claim)
        }
    }

    private func becomeSlave(after claim: MasterClaim) {
        slave.table.removeAll()
        slave.restart(after: claim)
        slave.hasAdopted = false
        adoption = Adopting()
    }

    // MARK: The receiver

    func deliver(_ packet: [UInt8], from source: Int, now: Instant) {
        packet.withUnsafeBytes { bytes in
            if role == .slave {
                slave.receive(
                    bytes.bytes, from: Self.address(source), now: now,
                    wallMicroseconds: Self.wall(now))
            } else if case .superseded(let claim) = master.receive(
                bytes.bytes, from: Self.address(source), now: now)
            {
                higher = max(higher ?? claim, claim)
            }
        }
    }

    func step(_ now: Instant) {
        if let claim = higher {
            higher = nil
            carryOut(machine.superseded(by: claim), now)
        }
        if role == .master {
            if chance.happens(800) { drainEvents(maximum: chance.one(of: [1, 3, 8, 500])) }
            if chance.happens(900) { walkOn(now) }
            if chance.happens(900) { sendSome(now) }
        } else {
            inject(now)
            adopt(now)
            output(now)
        }
    }

    func inject(_ now: Instant) {
        do throws(SystemError) {
            try injector.apply(slave.table, now: Self.seconds(now))
        } catch {
            becomeSlave(after: slave.master)
        }
    }

    /// The kernel has filled each piece of the dump before the last one was read.
    private func adopt(_ now: Instant) {
        guard let running = adoption else { return }
        for dumped in running.read {
            var entry = dumped
            guard filter.admits(entry) else { continue }
            entry.prepareForReplication()
            _ = slave.table.adopt(entry, now: Self.seconds(now))
        }
        guard let next = running.next else {
            adoption = nil
            slave.hasAdopted = true
            return
        }
        let piece = kernel.dump(after: next, 1 + chance.below(12))
        adoption = Adopting(read: piece.entries, next: piece.next)
    }

    private func output(_ now: Instant) {
        while let (length, peer) = slave.output(
            now: now, wallMicroseconds: Self.wall(now), target)
        {
            let to = Int(peer.address.low - Self.address(0).address.low)
            wire.send(
                UnsafeRawBufferPointer(rebasing: target[..<length]), from: index, to: to, now: now)
        }
        if now >= renewAt {
            renewAt = now + Receiver.renewInterval
            slave.table.renew(budget: 64, now: Self.seconds(now))
            inject(now)
        }
    }

    // MARK: The state, to be compared

    /// What keeps the kernel's table of this slave from being the master's; nil where it is.
    func difference(from other: SimulatedNode) -> String? {
        let mine = kernel.entries.values.filter { filter.admits($0) }
        let theirs = other.kernel.entries.values.filter {
            other.filter.admits($0) && !filter.isOwn($0)
        }
        for entry in mine where other.kernel.entries[entry.key] == nil {
            return "slave \(id) has \(entry.key), master \(other.id) has not"
        }
        for entry in theirs {
            guard let held = kernel.entries[entry.key] else {
                return "slave \(id) lacks \(entry.key) of master \(other.id)"
            }
            if let reason = Self.difference(held, entry, other.kernel) {
                return "slave \(id), master \(other.id): \(reason) of \(entry.key)"
            }
        }
        return nil
    }

    private static func difference(
        _ held: Entry, _ said: Entry, _ kernel: SimulatedKernel
    ) -> String? {
        let bits: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]
        if held.reply != said.reply { return "reply" }
        if held.mark != said.mark { return "mark \(held.mark) instead of \(said.mark)" }
        if held.protocolInfo != said.protocolInfo { return "protocol state" }
        if held.status.intersection(bits) != said.status.intersection(bits) { return "status" }
        if held.extras.labelsLow != said.extras.labelsLow { return "labels" }
        let isRelated = said.fields.contains(.parent)
        if held.fields.contains(.parent) != isRelated {
            guard isRelated, kernel.orphans.contains(said.key) else { return "master" }
        }
        return nil
    }
}

extension SlaveCounters {
    fileprivate mutating func add(_ other: SlaveCounters) {
        recovered += other.recovered
        lost += other.lost
        initsyncs += other.initsyncs
        purged += other.purged
        insufficient += other.insufficient
        beyond += other.beyond
        stale += other.stale
    }
}
