// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Gathers what is said of the node.
extension Node {
    /// Everything `ct_sync status` shows.
    func report() -> StatusReport { nodeReport().status }

    /// How the node is now.
    func nodeReport() -> NodeReport {
        let now = Clock.now()
        let slave = link.status
        var report = NodeReport()
        report.host = Self.hostName
        report.nodeID = configuration.nodeID
        report.nodeIDFrom = configuration.nodeIDOrigin.rawValue
        report.controlFile = configuration.controlFile
        report.wallMicroseconds = Clock.wallMicroseconds()
        report.uptime = Self.elapsed(since: startedAt, now)
        report.role = role
        report.roleAge = Self.elapsed(since: engine.roleSince, now)
        report.roleCause = roleCause
        report.epoch = role == .master ? engine.claim.epoch : slave.master.epoch
        let promotion = engine.promotionMicroseconds
        report.promotionMicroseconds = promotion == 0 ? nil : promotion
        report.isPromotionWaiting = engine.isWaiting
        report.roleChanges = roleChanges
        if role == .slave { addSlave(&report, slave, now) } else { addMaster(&report, now) }
        report.link = linkReport(slave)
        report.links = linkLines(slave, now)
        report.drops = drops(slave, now)
        report.stranger = stranger(slave, now)
        report.sighting = sighting(now)
        report.entriesHeld = entriesHeld(slave)
        report.entriesLimit = entriesLimit
        report.refusedEntries = slave.refusedEntries
        report.injectionErrors = slave.refusals.enumerated().compactMap { number, count in
            count > 0 ? (Self.errnoName(CInt(number)), count) : nil
        }
        report.l2drop.isOn = darkness?.isClosed ?? false
        report.l2drop.backend = darkness?.backend
        let failure = darkness?.failure ?? leftDrops.failure
        report.l2drop.failure = failure.isEmpty ? nil : failure
        report.lacks = lacks(slave)
        addCounters(&report.counters, slave)
        report.seal = sealReport(now)
        return report
    }

    private func addSlave(_ report: inout NodeReport, _ slave: SlaveStatus, _ now: Instant) {
        report.outOfSync = outOfSync(slave, now)
        report.syncAge = Self.elapsed(since: slave.since, now)
        report.initsync.isRunning = slave.progress.isRunning
        report.initsync.done = slave.progress.count
        report.initsync.age = Self.elapsed(since: slave.progress.beganAt, now)
        report.initsync.unansweredRequests = slave.unansweredRequests
        if slave.proof.at > 0 {
            report.verified = NodeReport.Verified(
                age: Self.elapsed(since: slave.proof.at, now), entries: slave.proof.entries,
                differed: slave.proof.differed, added: slave.proof.added)
        }
        let count = slave.announced.entryCount
        report.entriesOfMaster = count > 0 ? Int(count) : nil
        guard let address = slave.masterAddress else { return }
        report.clockOffsetMicroseconds = slave.lagMicroseconds
        report.peers = [
            NodeReport.Peer(
                nodeID: slave.master.nodeID, role: .master,
                address: HostAddress(address.family, address.address).description,
                heardAge: Self.elapsed(since: slave.lastHeard, now),
                traits: slave.announced.traits)
        ]
    }

    private func addMaster(_ report: inout NodeReport, _ now: Instant) {
        let sent = master.ring.lastSent
        report.peers = master.exchange.peers.map { peer in
            NodeReport.Peer(
                nodeID: peer.nodeID, role: .slave,
                address: HostAddress(peer.address.family, peer.address.address).description,
                heardAge: Self.elapsed(since: peer.lastHeard, now),
                isInSync: peer.report.isInSync, entries: Int(peer.report.entryCount),
                behindPackets: sent > peer.applied ? sent - peer.applied : 0,
                traits: peer.traits)
        }
        report.isWhole = master.exchange.isWhole
        report.areEventsOff = master.exchange.areEventsOff
        report.aloneAge = report.readySlaves > 0 ? nil : Self.elapsed(since: aloneSince, now)
    }

    private func linkReport(_ slave: SlaveStatus) -> NodeReport.Link {
        let heard = master.exchange.counters
        let before = keys.seal.report
        let refusal = links.lastRefusal
        let socket = links.first
        let state = socket.device.presence
        return NodeReport.Link(
            device: configuration.syncdev, isPresent: state.isPresent, hasCarrier: state.hasCarrier,
            mtu: socket.device.mtu, port: configuration.port,
            destinations: socket.destinations.map {
                HostAddress($0.family, $0.address).description
            },
            isMulticast: socket.isMulticast,
            packetsIn: slave.counters.packets + heard.packets + before.packets,
            packetsOut: master.sender.packetCount + slave.packetsSent,
            bytesIn: slave.counters.bytes + heard.bytes + before.bytes,
            bytesOut: master.sender.byteCount + slave.bytesSent,
            largestPacket: largestPacket, messagesIn: slave.counters.messages,
            messagesOut: master.ring.messageCount,
            refused: master.sender.refusedCount,
            lastRefusal: refusal == 0 ? nil : Self.errnoName(refusal))
    }

    /// A line for each link and node that is heard by it, or for a link alone.
    private func linkLines(_ slave: SlaveStatus, _ now: Instant) -> [NodeReport.LinkLine] {
        let peers = role == .master ? master.exchange.peers : []
        return links.sockets.flatMap { socket in
            let state = socket.device.presence
            let line = NodeReport.LinkLine(
                device: socket.device.name, isPresent: state.isPresent,
                hasCarrier: state.hasCarrier, mtu: socket.device.mtu,
                carriesStream: role == .master
                    ? links.linkCount == 1 || master.exchange.links.contains(link: socket.place)
                    : nil)
            var lines: [NodeReport.LinkLine] = []
            func add(_ nodeID: UInt8, _ address: PeerAddress, _ at: Instant, isHeard: Bool?) {
                var next = line
                next.nodeID = nodeID
                next.address = HostAddress(address.family, address.address).description
                next.heardAge = Self.elapsed(since: at, now)
                next.hears = isHeard
                lines.append(next)
            }
            if role == .slave, let address = slave.paths.address(socket.place) {
                add(
                    slave.master.nodeID, address, slave.paths.heardAt(socket.place), isHeard: nil)
            }
            for peer in peers {
                let hears = peer.report.links
                for path in peer.paths where Int(path.address.link) == socket.place {
                    add(
                        peer.nodeID, path.address, path.lastHeard,
                        isHeard: hears.isEmpty || hears.contains(link: socket.place))
                }
            }
            return lines.isEmpty ? [line] : lines
        }
    }

    private func drops(_ slave: SlaveStatus, _ now: Instant) -> [NodeReport.Drop] {
        let heard = master.exchange.counters
        let before = keys.seal.report
        let record = slave.drops.merged(with: master.exchange.drops).merged(with: before.drops)
        func drop(_ reason: String, _ place: Int, _ count: UInt64) -> NodeReport.Drop {
            let last = record[place]
            return NodeReport.Drop(
                reason: reason, count: count,
                address: last.map {
                    HostAddress($0.peer.family, $0.peer.address).description
                },
                age: last.map { Self.elapsed(since: $0.at, now) }, detail: last?.version ?? 0)
        }
        return WireError.allCases.map { error in
            drop(
                "\(error)", error.index,
                slave.counters.bad[error.index] + heard.bad[error.index]
                    + before.bad[error.index])
        } + [
            drop(
                "own_id", DropRecord.ownID, slave.counters.ownID + heard.ownID + before.ownID),
            drop("same_id", DropRecord.sameID, slave.counters.sameID + heard.sameID),
            drop("stale", DropRecord.stale, slave.counters.stale + heard.stale),
            drop("unsealed", DropRecord.unsealed, before.unsealed),
            drop("another_key", DropRecord.anotherKey, before.anotherKey),
            drop("tag", DropRecord.tag, before.tag),
            drop("replayed", DropRecord.replayed, before.replayed),
            drop("unproven", DropRecord.unproven, before.unproven),
        ]
    }

    private func stranger(_ slave: SlaveStatus, _ now: Instant) -> NodeReport.Stranger? {
        let stranger = role == .slave ? slave.stranger : master.exchange.stranger
        return stranger.map {
            NodeReport.Stranger(
                nodeID: $0.nodeID,
                address: HostAddress($0.address.family, $0.address.address).description,
                age: Self.elapsed(since: $0.lastHeard, now))
        }
    }

    /// Why a slave is not in sync; nil while it is.
    private func outOfSync(_ slave: SlaveStatus, _ now: Instant) -> SlaveProtocol.OutOfSync? {
        // The receiver sleeps while nothing comes: silence shows only here.
        let isSilent = now > slave.lastHeard + SlaveProtocol.silence
        return slave.outOfSync.map { isSilent && $0 != .noMaster ? .silent : $0 }
            ?? (isSilent ? .silent : nil)
    }

    /// Other threads may have noted an instant after `now` was read.
    static func elapsed(since instant: Instant, _ now: Instant) -> UInt64 {
        max(now, instant) - instant
    }

    private func entriesHeld(_ slave: SlaveStatus) -> Int {
        guard role == .master else { return slave.entriesHeld }
        do throws(SystemError) {
            return Int(clamping: try KernelSettings.conntrackCount())
        } catch {
            return 0
        }
    }

    /// What the kernel's table may hold; of a slave what the replica table may, if that is less.
    private var entriesLimit: Int? {
        do throws(SystemError) {
            let limit = Int(clamping: try KernelSettings.conntrackMax())
            return role == .slave ? min(limit, steps.table.capacity) : limit
        } catch {
            return nil
        }
    }

    /// The name of the machine.
    static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(
            decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The C name of the errors of ctnetlink and the network.
    static func errnoName(_ number: CInt) -> String {
        ctsync_errno_name(number).map { String(cString: $0) } ?? "errno_\(number)"
    }
}
