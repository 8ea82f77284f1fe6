// SPDX-License-Identifier: GPL-2.0-or-later

/// What is only counted: the object `counters` of the status.
extension Node {
    /// All of it.
    func addCounters(_ report: inout StatusReport, _ slave: SlaveStatus) {
        addTraffic(&report, slave)
        addRepair(&report, slave)
        report.add(group: "injected") { injected in
            injected.add("created", slave.created)
            injected.add("updated", slave.updated)
            injected.add("deleted", slave.deleted)
            injected.add("displaced", slave.displaced)
            injected.add("timers_started", steps.timers.timers.startedCount)
            injected.add("windows_relaxed", steps.timers.windows.relaxedCount)
            injected.add("windows_watched_again", steps.timers.windows.watchedCount)
            injected.add("failed_batches", slave.injectionFailures)
        }
        addRelated(&report, slave.related)
        report.add(group: "flush_held") { addFlush(&$0) }
    }

    /// What a master keeps from its slaves of a flush.
    private func addFlush(_ held: inout StatusReport) {
        let flush = role == .master ? master.flush.status : FlushHold.Status()
        let now = Clock.now()
        held.add("entries", flush.count)
        held.add("devices", flush.devices.joined(separator: ", "))
        held.add("seconds_left", flush.until > now ? (flush.until - now) / Duration.second : 0)
        held.add("total", master.flush.status.total)
    }

    /// What the answer to an order says besides the role: whether l2drop has followed it.
    func darknessReport() -> StatusReport {
        var report = StatusReport()
        report.add("l2drop_error", darkness?.failure ?? leftDrops.failure)
        return report
    }

    private func addTraffic(_ report: inout StatusReport, _ slave: SlaveStatus) {
        report.add("events", master.intake.eventCount)
        report.add(
            "events_filtered_by_kernel", role == .master && master.intake.isFilteredByKernel)
        report.add("whole", role == .master && master.exchange.isWhole)
        report.add("sequence", role == .master ? master.ring.lastSent : slave.applied)
    }

    private func addRepair(_ report: inout StatusReport, _ slave: SlaveStatus) {
        let heard = master.exchange.counters
        let walks = master.exchange.initsyncs
        report.add("packets_lost", slave.counters.lost)
        report.add("packets_recovered", slave.counters.recovered)
        report.add("packets_duplicate", slave.counters.duplicates + keys.seal.report.doubles)
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

    /// What became of related entries and expectations, and of comparisons.
    private func addRelated(_ report: inout StatusReport, _ related: RelatedStatus) {
        report.add(group: "related") { group in
            group.add("waiting_for_parent", UInt64(related.waiting))
            group.add("found_parent", related.found)
            group.add("without_parent_timed_out", related.timedOut)
            group.add("without_parent_crowded_out", related.crowdedOut)
        }
        report.add(group: "expectations") { group in
            group.add("held", UInt64(related.expectations))
            group.add("waiting_for_parent", UInt64(related.expectationsWaiting))
            group.add("refused", UInt64(related.expectationsRefused))
            group.add("created", related.expectationsCreated)
            group.add("deleted", related.expectationsDeleted)
        }
        report.add(group: "reconcile") { group in
            group.add("interval_seconds", UInt64(configuration.reconcileSeconds))
            group.add("walks", master.initsync.reconciliationCount)
            group.add("checks", link.status.checks)
            group.add("repaired", link.status.repaired)
        }
    }

    /// What this node lacks for a takeover.
    func lacks(_ slave: SlaveStatus) -> [NodeReport.Lack] {
        let related = slave.related
        var lacks = [
            NodeReport.Lack(what: "nat_chain", count: UInt64(natCheck.lacking)),
            NodeReport.Lack(what: "nat", count: related.untranslatable),
            NodeReport.Lack(what: "labels", count: related.labelsIgnored),
        ]
        for each in stranded {
            lacks.append(
                NodeReport.Lack(
                    what: "address", name: each.address.description,
                    count: UInt64(clamping: each.count)))
        }
        for index in 0..<related.missingHelpers.nameCount {
            let item = related.missingHelpers[index]
            lacks.append(
                NodeReport.Lack(
                    what: "helper", name: "\(item.name)", count: UInt64(clamping: item.count)))
        }
        return lacks
    }
}
