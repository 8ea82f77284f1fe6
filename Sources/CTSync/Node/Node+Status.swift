// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

extension Node {
    /// Everything `ct_sync status` shows.
    func report() -> StatusReport {
        let now = Clock.now()
        let slave = link.status
        var report = StatusReport()
        report.add("role", role.description)
        report.add("epoch", role == .master ? engine.claim.epoch : slave.master.epoch)
        report.add("node_id", configuration.nodeID)
        report.add("node_id_from", configuration.nodeIDOrigin.rawValue)
        report.add("syncdev", configuration.syncdev)
        report.add("control_file", configuration.controlFile)
        report.add("l2drop", darkness?.isClosed ?? false)
        report.add("l2drop_backend", darkness?.backend ?? "none")
        report.add("l2drop_error", darkness?.failure ?? leftDrops.failure)
        report.add("uptime_seconds", Self.elapsed(since: startedAt, now) / Duration.second)
        report.add("promotion_microseconds", engine.promotionMicroseconds)
        addSync(&report, slave, now)
        report.add("entries_held", entriesHeld(slave))
        addTraffic(&report, slave)
        addRepair(&report, slave)
        report.add(group: "bad_packets") { addBad(&$0, slave) }
        report.add(group: "injected") { injected in
            injected.add("created", slave.created)
            injected.add("updated", slave.updated)
            injected.add("deleted", slave.deleted)
            injected.add("timers_started", steps.timers.timers.startedCount)
            injected.add("windows_relaxed", steps.timers.windows.relaxedCount)
            injected.add("windows_watched_again", steps.timers.windows.watchedCount)
            injected.add("failed_batches", slave.injectionFailures)
        }
        report.add(group: "injection_errors") { errors in
            for (number, count) in slave.refusals.enumerated() where count > 0 {
                errors.add(Self.errnoName(CInt(number)), count)
            }
        }
        addRelated(&report, slave.related)
        report.add(list: "peers", peers(slave, now))
        return report
    }

    private func addSync(_ report: inout StatusReport, _ slave: SlaveStatus, _ now: Instant) {
        if role == .master {
            report.add("in_sync", true)
            report.add(
                "in_sync_since_seconds",
                Self.elapsed(since: engine.roleSince, now) / Duration.second)
            return
        }
        let reason = outOfSync(slave, now)
        report.add("in_sync", reason == nil)
        if let reason {
            report.add("not_in_sync_because", reason.rawValue)
            report.add(
                "not_in_sync_since_seconds", Self.elapsed(since: slave.since, now) / Duration.second
            )
        } else {
            report.add(
                "in_sync_since_seconds", Self.elapsed(since: slave.since, now) / Duration.second)
        }
    }

    /// Why a slave is not in sync; nil while it is.
    private func outOfSync(_ slave: SlaveStatus, _ now: Instant) -> SlaveProtocol.OutOfSync? {
        // The receiver sleeps while nothing comes: silence shows only here.
        let isSilent = now > slave.lastHeard + SlaveProtocol.silence
        return slave.outOfSync ?? (isSilent ? .silent : nil)
    }

    /// The role and how it is, in one line that changes only with them.
    func summary() -> String {
        guard role == .slave else { return "master, epoch \(engine.claim.epoch)" }
        let slave = link.status
        guard let reason = outOfSync(slave, Clock.now()) else {
            return "slave of node \(slave.master.nodeID), in sync"
        }
        return "slave, not in sync: \(reason.rawValue)"
    }

    /// Other threads may have noted an instant after `now` was read.
    private static func elapsed(since instant: Instant, _ now: Instant) -> UInt64 {
        max(now, instant) - instant
    }

    private func entriesHeld(_ slave: SlaveStatus) -> UInt64 {
        guard role == .master else { return UInt64(slave.entriesHeld) }
        do throws(SystemError) {
            return try KernelSettings.conntrackCount()
        } catch {
            return 0
        }
    }

    private func addTraffic(_ report: inout StatusReport, _ slave: SlaveStatus) {
        let heard = master.exchange.counters
        report.add("packets_in", slave.counters.packets + heard.packets)
        report.add("packets_out", master.sender.packetCount + slave.packetsSent)
        report.add("bytes_in", slave.counters.bytes + heard.bytes)
        report.add("bytes_out", master.sender.byteCount + slave.bytesSent)
        report.add("messages_in", slave.counters.messages)
        report.add("messages_out", master.ring.messageCount)
        report.add("events", master.intake.eventCount)
        report.add(
            "events_filtered_by_kernel", role == .master && master.intake.isFilteredByKernel)
        report.add("sends_refused", master.sender.refusedCount)
        report.add("lag_microseconds", slave.lagMicroseconds.magnitude)
        report.add("sequence", role == .master ? master.ring.lastSent : slave.applied)
    }

    private func addRepair(_ report: inout StatusReport, _ slave: SlaveStatus) {
        let heard = master.exchange.counters
        let walks = master.exchange.initsyncs
        report.add("packets_lost", slave.counters.lost)
        report.add("packets_recovered", slave.counters.recovered)
        report.add("packets_duplicate", slave.counters.duplicates)
        report.add("packets_beyond", slave.counters.beyond)
        report.add("nacks_sent", slave.counters.nacks)
        report.add("nacks_received", heard.nacks)
        report.add("retransmitted", master.sender.againCount)
        report.add("initsync_rate", master.initsync.packetsPerSecond)
        report.add("initsync_running", role == .master && walks.isRunning)
        report.add("initsyncs_sent", UInt64(walks.begun))
        report.add("initsyncs_requested", slave.counters.initsyncRequests)
        report.add("initsyncs_received", slave.counters.initsyncs)
        report.add("initsync_entries_sent", master.initsync.entryCount)
        report.add("purged", slave.counters.purged)
        report.add("overruns", master.intake.overrunCount)
        report.add("ring_overruns", master.intake.ringOverrunCount)
        report.add("incomplete_entries", slave.insufficient)
        report.add("refused_entries", slave.refusedEntries)
        report.add("table_full", slave.counters.tableFull)
        report.add("left_out", slave.counters.leftOut)
    }

    private func addBad(_ bad: inout StatusReport, _ slave: SlaveStatus) {
        let heard = master.exchange.counters
        for error in WireError.allCases {
            bad.add("\(error)", slave.counters.bad[error.index] + heard.bad[error.index])
        }
        bad.add("own_id", slave.counters.ownID + heard.ownID)
        bad.add("stale", slave.counters.stale + heard.stale)
    }

    private func peers(_ slave: SlaveStatus, _ now: Instant) -> [StatusReport] {
        var list: [StatusReport] = []
        if role == .slave {
            guard let address = slave.masterAddress else { return [] }
            var master = StatusReport()
            master.add("id", slave.master.nodeID)
            master.add("role", Role.master.description)
            master.add("address", HostAddress(address.family, address.address).description)
            master.add(
                "heard_milliseconds_ago",
                Self.elapsed(since: slave.lastHeard, now) / Duration.millisecond)
            return [master]
        }
        for peer in master.exchange.peers {
            var line = StatusReport()
            line.add("id", peer.nodeID)
            line.add("role", Role.slave.description)
            line.add(
                "address", HostAddress(peer.address.family, peer.address.address).description)
            line.add(
                "heard_milliseconds_ago",
                Self.elapsed(since: peer.lastHeard, now) / Duration.millisecond)
            line.add("applied_sequence", peer.applied)
            list.append(line)
        }
        return list
    }

    /// The C name of the errors of ctnetlink and the network.
    static func errnoName(_ number: CInt) -> String {
        ctsync_errno_name(number).map { String(cString: $0) } ?? "errno_\(number)"
    }
}
