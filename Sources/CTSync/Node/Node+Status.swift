// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Gathers what is said of the node.
extension Node {
    /// Everything `ct_sync status` shows.
    func report() -> StatusReport { nodeReport().status }

    /// How far its last takeover has come.
    var takeoverFacts: TakeoverTimeline.Facts {
        TakeoverTimeline.Facts(
            role: role, isDark: darkness?.isClosed, forwarded: ForwardedPackets.count,
            progress: steps.timers.progress)
    }

    /// How the node is now.
    func nodeReport() -> NodeReport {
        let now = Clock.now()
        let slave = link.status
        var report = NodeReport()
        report.host = Self.hostName
        report.nodeID = configuration.nodeID
        report.nodeIDFrom = configuration.nodeIDOrigin.rawValue
        report.controlFile = configuration.controlFile
        report.configurationFile = configuration.path ?? ConfigurationFile.defaultPath
        report.wallMicroseconds = Clock.wallMicroseconds()
        report.uptime = NodeReport.elapsed(since: startedAt, now)
        report.role = role
        report.roleAge = NodeReport.elapsed(since: engine.roleSince, now)
        report.roleCause = roleCause
        report.epoch = role == .master ? engine.claim.epoch : slave.master.epoch
        let promotion = engine.promotionMicroseconds
        report.promotionMicroseconds = promotion == 0 ? nil : promotion
        report.isPromotionWaiting = engine.isWaiting
        report.roleChanges = roleChanges
        if role == .slave {
            report.take(slave, now: now)
        } else {
            report.take(
                master.exchange, lastSent: master.ring.lastSent, aloneSince: aloneSince, now: now)
        }
        report.link = linkReport(slave)
        report.links = linkLines(slave, now)
        report.takeDrops(slave, master.exchange, keys.seal.report, now: now)
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

    private func linkReport(_ slave: SlaveStatus) -> NodeReport.Link {
        let heard = master.exchange.counters
        let before = keys.seal.report
        let (refusal, refused) = (links.lastRefusal, refusedPackets)
        let socket = links.first
        let state = socket.device.presence
        return NodeReport.Link(
            device: configuration.syncdev, isPresent: state.isPresent, hasCarrier: state.hasCarrier,
            mtu: socket.device.mtu, port: configuration.port,
            destinations: socket.destinations.map {
                HostAddress($0.family, $0.address).description
            },
            misplaced: peerPlaces, isMulticast: socket.isMulticast,
            packetsIn: slave.counters.packets + heard.packets + before.packets,
            packetsOut: master.sender.packetCount + slave.packetsSent,
            bytesIn: slave.counters.bytes + heard.bytes + before.bytes,
            bytesOut: master.sender.byteCount + slave.bytesSent,
            largestPacket: largestPacket, messagesIn: slave.counters.messages,
            messagesOut: master.ring.messageCount,
            refused: refused,
            lastRefusal: refused == 0 || refusal == 0 ? nil : Self.errnoName(refusal),
            refusedAge: looks.refusals.at.map { NodeReport.elapsed(since: $0, Clock.now()) })
    }

    /// Where the peers are; if the addresses cannot be read nothing is said of them.
    private var peerPlaces: PeerPlaces {
        do throws(SystemError) {
            return try PeerPlaces.ofThisMachine(links)
        } catch {
            return PeerPlaces()
        }
    }

    /// Packets that the network has refused since the start, as master and as slave.
    var refusedPackets: UInt64 { master.sender.refusedCount + link.status.packetsRefused }

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
                next.heardAge = NodeReport.elapsed(since: at, now)
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

    private func entriesHeld(_ slave: SlaveStatus) -> Int {
        role == .master ? Int(clamping: kernelEntryCount) : slave.entriesHeld
    }

    /// Entries of the kernel's table; 0 if that cannot be read.
    var kernelEntryCount: UInt64 {
        do throws(SystemError) {
            return try KernelSettings.conntrackCount()
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
