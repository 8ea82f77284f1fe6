// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Logging

/// What a running daemon is made of: the role engine, and what carries its steps out.
///
/// Thread: control, which is the process's first.
final class Node {
    let configuration: Configuration
    let links: SyncLinks
    let keys: KeyUpkeep
    let filter: FilterBox
    let steps: RoleSteps
    let engine: NodeEngine
    /// Signalled when another master's higher claim has been heard.
    let superseded: WakeUp
    let log: Logger
    let leftDrops: LeftDrops
    /// Of the rules of what is replicated.
    private let fingerprint: UInt32
    let startedAt = Clock.now()
    /// The devices that `limitPackets` last saw, and their MTUs.
    private var pathDevices: [UInt32: Int] = [:]
    private(set) var natCheck = NATCheck()
    /// How often it became master, and slave.
    private(set) var roleChanges = (toMaster: UInt64(0), toSlave: UInt64(0))
    /// Why it has its role.
    private(set) var roleCause = "started"
    /// When a slave could have taken over last.
    private var readyAt: Instant = 0
    private var watch = DeviceWatch()
    private(set) var addressCheck = AddressCheck()
    private var ownAddresses: [HostAddress] = []
    private var addressesAt: Instant = 0
    private var traits = TraitsUpkeep()
    /// Packets that the network has refused: how many there were at the last look, and when there were more.
    private(set) var refusals: (count: UInt64, at: Instant?) = (0, nil)
    /// The last rehearsal of a promotion, and when it ended.
    private(set) var lastRehearsal: (at: Instant, result: Rehearsal)?

    /// Takes all memory and sockets; starts nothing but the link's thread, idle.
    ///
    /// - Throws: `SystemError` of what cannot be had.
    init(
        _ configuration: Configuration, links: SyncLinks, keys: KeyUpkeep, darkness: Darkness?,
        log: Logger
    ) throws(SystemError) {
        self.configuration = configuration
        leftDrops = LeftDrops(configuration, isManaged: darkness != nil, log: log)
        self.links = links
        self.keys = keys
        self.log = log
        let first = try Self.filter(configuration, links)
        filter = FilterBox(first)
        superseded = try WakeUp()
        steps = try RoleSteps(
            configuration, links: links, seal: keys.seal, filter: filter, darkness: darkness,
            superseded: superseded)
        fingerprint =
            RulesFingerprint(
                configuration.replicationRules, ownConnections: configuration.ownConnections
            ).value
        engine = NodeEngine(
            nodeID: configuration.nodeID, steps,
            requireSyncSeconds: configuration.requireSyncSeconds, now: startedAt)
        limitPackets()
    }

    /// The role.
    var role: Role { engine.role }
    /// Nil with `l2drop=0`.
    var darkness: Darkness? { steps.darkness }
    var master: MasterEngine { steps.threads.engine }
    var link: LinkThread { steps.link }

    // MARK: Role changes

    /// Takes up the first role.
    ///
    /// - Throws: `SystemError` if the master's threads or sockets cannot be had.
    func begin(as role: Role) throws(SystemError) {
        if role == .slave {
            try closeAtStart()
            leftDrops.look()
        }
        try engine.begin(
            as: role, now: Clock.now(), wallMicroseconds: Clock.wallMicroseconds())
        guard role == .master else { return }
        tookRole("started")
        leftDrops.look()
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
    func order(_ wanted: Role) throws(SystemError) -> NodeEngine.Outcome {
        let before = role
        let hadToWait = engine.isWaiting
        let outcome = try engine.order(
            wanted, now: Clock.now(), wallMicroseconds: Clock.wallMicroseconds())
        if outcome == .waits, !hadToWait {
            log.notice("the promotion waits for the end of the initsync")
        }
        if role != before { tookRole("ordered") }
        return outcome
    }

    /// Does what follows from what a master has heard of others, and what else is due.
    ///
    /// - Returns: whether the role changed, and when it is to be called again.
    func tick() throws(SystemError) -> (changed: Bool, pause: Pause) {
        superseded.clear()
        let before = role
        let wasWaiting = engine.isWaiting
        var cause = hear(link.takeNews())
        let pause = try engine.tick(
            now: Clock.now(), wallMicroseconds: Clock.wallMicroseconds())
        if role == .master, before == .slave, !wasWaiting {
            cause = "the node that it gave way to is gone, and its last order was master"
        }
        if role != before { tookRole(cause ?? "ordered") }
        return (role != before, pause)
    }

    /// Returns why the role changed, if it did.
    private func hear(_ news: LinkThread.News) -> String? {
        var cause: String?
        let own = engine.claim
        if let claim = news.higher, engine.giveWay(to: claim, now: Clock.now()) {
            cause =
                "gave way to node \(claim.nodeID), whose epoch \(claim.epoch) is above "
                + "\(own.epoch)"
        }
        if let claim = news.outbid,
            engine.outbid(
                claim, now: Clock.now(), wallMicroseconds: Clock.wallMicroseconds())
        {
            log.notice(
                """
                a slave knows of epoch \(claim.epoch) of node \(claim.nodeID), which is silent; \
                claimed \(engine.claim.epoch) above it
                """)
        }
        if news.hasBeaten { engine.hasBeaten(now: Clock.now()) }
        return cause
    }

    private func tookRole(_ cause: String) {
        roleCause = cause
        if role == .master {
            roleChanges.toMaster += 1
            leftDrops.lookLater()
        } else {
            roleChanges.toSlave += 1
        }
    }

    /// Ends everything in order: what has arrived is applied, what has happened is sent, and the
    /// timers of replicas that no packet has touched are started, for a few seconds at most.
    func end() {
        handOver()
        let opens = configuration.l2dropOpensOnExit || role == .master
        engine.end(now: Clock.now())
        if opens { darkness?.remove() }
        steps.end()
    }

    /// What packets have made here since this node gave way is handed over, if there is a master: nobody
    /// else has it, and a reboot may follow.
    private func handOver() {
        guard role == .slave, engine.promotion != nil else { return }
        let start = Clock.now()
        let isRead = start + 2 * KernelWatch.beginInterval
        while Clock.now() < start + Self.handOverTime {
            if Clock.now() >= isRead, !link.status.holding.hasMore { return }
            usleep(5_000)
        }
    }
    private static let handOverTime = 500 * Duration.millisecond

    /// Keeps what a rehearsal came to.
    func rehearsed(_ rehearsal: Rehearsal) {
        lastRehearsal = (Clock.now(), rehearsal)
        log.info("rehearsal by hand: \(rehearsal.sentence)")
    }

    // MARK: Housekeeping

    /// Since when no slave could have taken over, for a master.
    var aloneSince: Instant { max(readyAt, engine.roleSince) }

    /// Has the announcements say about how many entries there are, and notes whether a slave is ready.
    func tellAnnouncements() {
        guard role == .master else { return }
        master.sender.say(entryCount: master.initsync.estimate, rules: fingerprint)
        let now = Clock.now()
        let isReady = master.exchange.peers.contains { peer in
            peer.report.isInSync && now <= peer.lastHeard + NodeReport.Peer.patience
        }
        if isReady { readyAt = now }
    }

    /// Has the other nodes told what this kernel is set to and lacks.
    func tellTraits(_ report: NodeReport, now: Instant) {
        traits.look(now: now)
        guard let next = traits.change(report) else { return }
        master.sender.setTraits(next)
        link.visit { $0.slave.traits = next }
    }

    /// As slave, looks whether what it holds would be translated after a takeover.
    func checkNAT(now: Instant) {
        guard role == .slave else { return natCheck.reset() }
        natCheck.look(now: now, log) { link.visit { $0.table.translatedCount() } }
    }

    /// Notes when the network refuses packets.
    func lookAtRefusals(_ now: Instant) {
        let count = refusedPackets
        if count != refusals.count { refusals = (count, now) }
    }

    /// What was seen on the device lately.
    func sighting(_ now: Instant) -> Sighting? { watch.sighting(now) }

    /// Looks at the device itself while nobody is heard.
    func lookAtDevice(_ report: NodeReport) {
        watch.look(report, links.first, now: Clock.now())
    }

    /// Which addresses stay here, and which connections hang on such an address of the master's.
    func checkAddresses(now: Instant) {
        guard now >= addressesAt + 1 * Duration.second else { return }
        addressesAt = now
        let before = ownAddresses
        do throws(SystemError) {
            ownAddresses = try InterfaceAddress.hosts(except: configuration.syncdevs)
        } catch {
            return log.warning("the node's addresses cannot be read: \(error)")
        }
        if role == .slave, !before.allSatisfy(ownAddresses.contains) {
            // The kernel flushes what this node masqueraded to it, if it was master before.
            link.visit { $0.slave.requireCheck() }
        }
        let fixed = addressCheck.look(ownAddresses, isSlave: role == .slave)
        master.sender.setAddresses(fixed)
        guard role == .slave else { return addressCheck.reset() }
        addressCheck.count(link.status.announced.addresses, own: ownAddresses, now: now, log) {
            list in
            link.visit { $0.table.translated(to: list) }
        }
    }

    /// After a promotion, when the role has been reported.
    func lookForLeftDrops() {
        leftDrops.lookAfter(engine.roleSince, now: Clock.now())
    }

    /// The other nodes, as they were last heard in the present role.
    var heard: [(address: PeerAddress, at: Instant)] {
        guard role == .slave else {
            return master.exchange.peers.flatMap(\.paths).map { ($0.address, $0.lastHeard) }
        }
        let paths = link.status.paths
        return (0..<links.linkCount).compactMap { link in
            paths.address(link).map { ($0, paths.heardAt(link)) }
        }
    }

    /// Has packets fit through each sync device as it is now, with the envelope if there is one, and
    /// through a path that takes less.
    func limitPackets() {
        let devices = links.sockets.reduce(into: [UInt32: Int]()) {
            $0[$1.device.index] = $1.device.mtu
        }
        if devices != pathDevices { master.exchange.forgetPath() }
        pathDevices = devices
        master.ring.limitPackets(to: largestPacket - keys.seal.overhead)
    }

    /// Bytes of the largest packet that is sent, its envelope included.
    var largestPacket: Int { min(links.packetByteCount, master.exchange.pathLimit.byteCount) }

    /// Reads the node's own addresses again: they move with a takeover.
    func refreshAddresses() {
        do throws(SystemError) {
            filter.current = try Self.filter(configuration, links)
        } catch {
            log.warning("the node's addresses cannot be read: \(error)")
        }
    }

    private static func filter(
        _ configuration: Configuration, _ links: SyncLinks
    ) throws(SystemError) -> ReplicationFilter {
        ReplicationFilter(
            ownAddresses: try InterfaceAddress.own(), syncNetworks: links.networks,
            rules: configuration.replicationRules, replicatesOwn: configuration.ownConnections)
    }
}
