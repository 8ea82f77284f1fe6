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
    /// For Node+Links.swift.
    var looks = LinkLooks()
    let startedAt = Clock.now()
    private(set) var natCheck = NATCheck()
    /// How often it became master, and slave.
    private(set) var roleChanges = (toMaster: UInt64(0), toSlave: UInt64(0))
    /// Why it has its role.
    private(set) var roleCause = "started"
    /// When a slave could have taken over last.
    private var readyAt: Instant = 0
    private var addresses = AddressUpkeep()
    private var traits = TraitsUpkeep()
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
            cause = "nobody is master, and its last order was that"
        }
        if role != before { tookRole(cause ?? "ordered") }
        return (role != before, pause)
    }

    /// Returns why the role changed, if it did.
    private func hear(_ news: MasterNews) -> String? {
        var cause: String?
        let own = engine.claim
        let followed = engine.hear(
            news, now: Clock.now(), wallMicroseconds: Clock.wallMicroseconds())
        if let claim = followed.gaveWayTo {
            cause =
                "gave way to node \(claim.nodeID), whose epoch \(claim.epoch) is above "
                + "\(own.epoch)"
        }
        if let claim = followed.outbid {
            let known =
                "a slave knows of epoch \(claim.epoch) of node \(claim.nodeID), which is silent"
            if let failure = followed.failure {
                cause = "\(known), and no term above it could begin: \(failure)"
            } else {
                log.notice("\(known); claimed \(engine.claim.epoch) above it")
            }
        }
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

    /// Waits until it may end.
    private func handOver() {
        let start = Clock.now()
        while !engine.mayEnd(orderedAt: start, now: Clock.now()) { usleep(5_000) }
    }

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
        master.sender.say(entryCount: master.initsync.estimate(of: kernelEntryCount))
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

    /// Which addresses stay here, and which connections hang on such an address of the master's.
    func checkAddresses(now: Instant) { addresses.look(self, now: now) }

    /// What would not survive a takeover, as it is translated to an address that does not move.
    var stranded: [Stranded] { addresses.stranded }

    /// After a promotion, when the role has been reported.
    func lookForLeftDrops() {
        leftDrops.lookAfter(engine.roleSince, now: Clock.now())
    }
}
