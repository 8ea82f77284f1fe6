// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Logging

/// The only place that knows the role: starts and stops what a role needs, in the right order.
///
/// Thread: control, which is the process's first. Promotion: stop receiving, apply what has arrived,
/// take a new epoch, open the event socket, announce; only then, in the background, start the
/// replicas' timers. Nothing before that depends on the size of the table.
final class Node {
    let configuration: Configuration
    let socket: SyncSocket
    let filter: FilterBox
    let pipeline: MasterPipeline
    let receiver: Receiver
    let timers: TimerStart
    let table: ReplicaTable
    /// Signalled when another master's higher claim has been heard.
    let superseded: WakeUp
    let log: Logger
    /// Nil with `l2drop=0`.
    let darkness: Darkness?
    let leftDrops: LeftDrops
    let startedAt = Clock.now()
    private(set) var machine: RoleMachine
    /// When the role was taken.
    private(set) var roleSince = Clock.now()
    /// What the last promotion took, from the order to the announcement; 0 before the first.
    private(set) var promotionMicroseconds: UInt64 = 0
    private var isDeviceMissing = false
    private var hasToLookForDrops = false
    private var receiverThread: WorkerThread?
    private(set) var natCheck = NATCheck()
    private var timerThread: WorkerThread?

    /// Takes all memory and sockets; starts nothing but the receiver, idle.
    ///
    /// - Throws: `SystemError` of what cannot be had.
    init(
        _ configuration: Configuration, socket: SyncSocket, darkness: Darkness?, log: Logger
    ) throws(SystemError) {
        self.configuration = configuration
        self.darkness = darkness
        leftDrops = LeftDrops(configuration, isManaged: darkness != nil, log: log)
        self.socket = socket
        self.log = log
        let first = try Self.filter(configuration, socket)
        filter = FilterBox(first)
        pipeline = try MasterPipeline(
            socket: socket, filter: filter, ringSlots: configuration.ringSlots,
            packetsPerSecond: configuration.initsyncRate,
            reconcileSeconds: configuration.reconcileSeconds)
        superseded = try WakeUp()
        receiver = try Receiver(
            socket: socket, master: pipeline.master, sender: pipeline.sender,
            initsync: pipeline.initsync, filter: filter, superseded: superseded)
        timers = try TimerStart()
        let capacity: Int
        if let given = configuration.maxEntries {
            capacity = given
        } else {
            capacity = Int(clamping: try KernelSettings.conntrackMax())
        }
        var random = SystemRandomNumberGenerator()
        table = try ReplicaTable(capacity: max(capacity, 1), seed: random.next())
        machine = RoleMachine(nodeID: configuration.nodeID)
        let slave = try SlaveProtocol(
            nodeID: configuration.nodeID, table: table, filter: first,
            ringSlots: configuration.ringSlots, slotByteCount: socket.packetByteCount)
        receiverThread = try receiver.start(
            slave, Kernel(), reconcileSeconds: configuration.reconcileSeconds)
    }

    /// The role.
    var role: Role { machine.role }

    // MARK: Epochs

    /// Takes note of the highest epoch of an earlier run.
    func remember(epoch: UInt64) {
        let claim = MasterClaim(epoch: epoch, nodeID: configuration.nodeID)
        guard claim.isPlausible(wallMicroseconds: Clock.wallMicroseconds()) else { return }
        machine.heard(claim)
    }

    /// The highest epoch that this node has made or followed.
    var highestEpoch: UInt64 {
        max(machine.claim, machine.highest, receiver.status.master).epoch
    }

    // MARK: Role changes

    /// Takes up the first role.
    ///
    /// - Throws: `SystemError` where the master's threads or sockets cannot be had.
    func begin(as role: Role) throws(SystemError) {
        guard role == .master else {
            try closeAtStart()
            leftDrops.look()
            receiver.becomeSlave(after: .none)
            log.info("slave, node \(configuration.nodeID), waiting for a master")
            return
        }
        try order(.master)
        lookForLeftDrops()
    }

    /// Makes a node dark that starts as slave; one that cannot be must not start: it is left as it
    /// was, wholly open or, where the last daemon was killed, dark.
    private func closeAtStart() throws(SystemError) {
        guard let darkness else { return }
        let wasClosed = darkness.isClosed
        do throws(L2DropError) {
            try darkness.close()
        } catch {
            log.critical("the node cannot be made dark: \(error)")
            if !wasClosed { darkness.remove() }
            throw SystemError("l2drop", errno: EPERM)
        }
    }

    /// Obeys the cluster manager.
    func order(_ wanted: Role) throws(SystemError) {
        if role == .slave { machine.heard(receiver.status.master) }
        try carryOut(machine.order(wanted, wallMicroseconds: Clock.wallMicroseconds()))
    }

    /// Gives way to a higher claim, if one was heard.
    ///
    /// - Returns: whether the role changed.
    func giveWay() throws(SystemError) -> Bool {
        superseded.clear()
        guard let claim = receiver.takeSuperseded() else { return false }
        let change = machine.superseded(by: claim)
        guard change != .none else { return false }
        log.warning(
            "node \(claim.nodeID) is master with epoch \(claim.epoch), above ours; giving way")
        try carryOut(change)
        return true
    }

    private func carryOut(_ change: RoleMachine.Change) throws(SystemError) {
        switch change {
        case .none: return
        case .promote(let claim): try promote(claim)
        case .demote(let claim): demote(claim)
        }
        roleSince = Clock.now()
    }

    private func promote(_ claim: MasterClaim) throws(SystemError) {
        let began = Clock.now()
        receiver.becomeMaster()
        let (master, initsync) = (pipeline.master, pipeline.initsync)
        try pipeline.start(claim)
        darkness?.open(now: Clock.now())
        timerThread = try timers.start(SendableBox(table)) {
            master.timersRun()
            initsync.wake()
        }
        promotionMicroseconds = (Clock.now() - began) / Duration.microsecond
        log.notice("master, epoch \(claim.epoch), after \(promotionMicroseconds) us")
        hasToLookForDrops = true
    }

    private func demote(_ claim: MasterClaim) {
        darkness?.closeOrRetry()
        stopTimers()
        pipeline.stop()
        receiver.becomeSlave(after: claim)
        log.notice("slave, after epoch \(claim.epoch)")
    }

    private func stopTimers() {
        guard let thread = timerThread.take() else { return }
        timers.requestStop()
        thread.join()
    }

    /// Ends everything in order: what has arrived is applied, what has happened is sent, and the
    /// timers of a slave's replicas are started, for a few seconds at most.
    func end() {
        if role == .master {
            stopTimers()
            pipeline.stop()
        }
        if configuration.l2dropOpensOnExit || role == .master { darkness?.remove() }
        receiver.stop()
        receiverThread.take()?.join()
        if role == .slave {
            timers.walk(table, until: Clock.now() + 3 * Duration.second)
        }
    }

    // MARK: Housekeeping

    /// As slave, looks whether what it holds would be translated after a takeover.
    func checkNAT(now: Instant) {
        guard role == .slave else { return natCheck.reset() }
        natCheck.look(now: now, log) { receiver.visit { $0.table.translatedCount() } }
    }

    /// After a promotion, when the role has been reported: it takes 40 ms.
    func lookForLeftDrops() {
        guard hasToLookForDrops else { return }
        hasToLookForDrops = false
        leftDrops.look()
    }

    /// Follows the sync device where it was removed and made anew.
    func followDevice() {
        do throws(SystemError) {
            switch try socket.followDevice() {
            case .none: isDeviceMissing = false
            case .gone:
                if !isDeviceMissing { log.warning("syncdev \(configuration.syncdev) is gone") }
                isDeviceMissing = true
            case .followed:
                isDeviceMissing = false
                log.notice("syncdev \(configuration.syncdev) is another device now; using that")
            }
        } catch {
            if !isDeviceMissing { log.warning("syncdev cannot be used: \(error)") }
            isDeviceMissing = true
        }
    }

    /// Reads the node's own addresses again: they move with a takeover.
    func refreshAddresses() {
        do throws(SystemError) {
            filter.current = try Self.filter(configuration, socket)
        } catch {
            log.warning("the node's addresses cannot be read: \(error)")
        }
    }

    private static func filter(
        _ configuration: Configuration, _ socket: SyncSocket
    ) throws(SystemError) -> ReplicationFilter {
        ReplicationFilter(
            ownAddresses: try InterfaceAddress.own(), syncNetworks: socket.device.networks,
            rules: configuration.replicationRules, replicatesOwn: configuration.ownConnections)
    }
}
