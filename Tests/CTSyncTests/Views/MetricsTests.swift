// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct MetricsTests {
    /// A status as the daemon would send it, with counters.
    private static func status(
        _ report: NodeReport, _ change: (inout NodeReport) -> Void = { _ in }
    ) throws -> StatusReport {
        var report = report
        report.counters.add("packets_lost", 3)
        report.counters.add("events", 1_000)
        report.counters.add(group: "injected") { $0.add("created", 7) }
        report.drops = [
            NodeReport.Drop(reason: "version", count: 0),
            NodeReport.Drop(reason: "stale", count: 5),
        ]
        change(&report)
        return try #require(StatusReport.parse(report.status.lines))
    }

    private static func lines(_ status: StatusReport?) -> Set<String> {
        Set(Metrics.text(status).split(separator: "\n").map { String($0) })
    }

    @Test func aSlaveThatIsWell() throws {
        let lines = Self.lines(try Self.status(SampleReport.slave))
        let expected = [
            "# HELP ct_sync_up Whether the daemon answers.", "# TYPE ct_sync_up gauge",
            "ct_sync_up 1", "ct_sync_role{role=\"master\"} 0", "ct_sync_role{role=\"slave\"} 1",
            "ct_sync_in_sync 1", "ct_sync_well 1", "ct_sync_entries 104382",
            "ct_sync_entries_limit 262144", "ct_sync_not_in_sync{reason=\"initsync\"} 0",
            // 1795670047 less 3 h 12 min, less 4 d
            "ct_sync_in_sync_since_timestamp_seconds 1795658527.0",
            "ct_sync_start_time_seconds 1795324447.0", "ct_sync_clock_offset_seconds -0.000058",
            "# TYPE ct_sync_packets_total counter", "ct_sync_packets_total{direction=\"in\"} 4200",
            "ct_sync_packets_total{direction=\"out\"} 14",
            "ct_sync_lost_packets_total 3", "ct_sync_events_total 1000",
            "ct_sync_injections_total{operation=\"create\"} 7",
            "ct_sync_dropped_packets_total{reason=\"version\"} 0",
            "ct_sync_dropped_packets_total{reason=\"stale\"} 5",
            "ct_sync_peer_last_heard_timestamp_seconds{peer_id=\"1\",role=\"master\"} "
                + "1795670046.954",
            "ct_sync_lacking_entries{what=\"nat_chain\"} 0", "ct_sync_l2drop 1",
            "ct_sync_l2drop_error 0", "ct_sync_initsync_running 0",
        ]
        for line in expected { #expect(lines.contains(line), "\(line)") }
        #expect(
            lines.contains {
                $0.hasPrefix("ct_sync_build_info{version=\"")
                    && $0.hasSuffix("node_id=\"2\",syncdev=\"eth2\",group=\"224.0.0.254\"} 1")
            })
        // Nothing that belongs to the other role, nothing that is not known.
        for name in ["ready_slaves", "known_slaves", "alone_seconds", "last_promotion", "verified"]
        {
            #expect(!lines.contains { $0.contains("ct_sync_\(name)") }, "\(name)")
        }
    }

    @Test func aSlaveThatIsNotInSyncHasOneReason() throws {
        let lines = Self.lines(try Self.status(SampleReport.slave(.noMaster)))
        #expect(lines.contains("ct_sync_in_sync 0") && lines.contains("ct_sync_well 0"))
        let reasons = lines.filter { $0.hasPrefix("ct_sync_not_in_sync{") }
        #expect(reasons.count == NodeReport.Reason.ofSync.count)
        #expect(
            reasons.filter { $0.hasSuffix(" 1") } == ["ct_sync_not_in_sync{reason=\"no_master\"} 1"]
        )
        #expect(!lines.contains { $0.hasPrefix("ct_sync_in_sync_since") })
        // What a master alone has is no reason of a slave.
        #expect(!reasons.contains { $0.contains("\"alone\"") })
    }

    @Test func aMasterKnowsItsSlaves() throws {
        let lines = Self.lines(
            try Self.status(SampleReport.alone) { $0.roleChanges = (toMaster: 2, toSlave: 1) })
        let expected = [
            "ct_sync_ready_slaves 0", "ct_sync_known_slaves 1", "ct_sync_alone_seconds 420.0",
            "ct_sync_last_promotion_duration_seconds 0.000412",
            "ct_sync_peer_in_sync{peer_id=\"2\"} 1",
            "ct_sync_peer_backlog_packets{peer_id=\"2\"} 0",
            "ct_sync_role_changes_total{to=\"master\"} 2",
            "ct_sync_role_changes_total{to=\"slave\"} 1",
        ]
        for line in expected { #expect(lines.contains(line), "\(line)") }
        #expect(!lines.contains { $0.hasPrefix("ct_sync_in_sync ") })
        #expect(
            Self.lines(try Self.status(SampleReport.master)).contains("ct_sync_alone_seconds 0"))
    }

    @Test func whatIsLackingIsCountedByKind() throws {
        let status = try Self.status(SampleReport.slave) { report in
            report.lacks = [
                NodeReport.Lack(what: "helper", name: "ftp", count: 3),
                NodeReport.Lack(what: "helper", name: "sip", count: 4),
                NodeReport.Lack(what: "nat", count: 1),
                NodeReport.Lack(what: "address", name: "10.2.0.2", count: 5),
            ]
            report.l2drop.failure = "nft: no \"such\" thing\n"
            report.injectionErrors = [("ENOSPC", 9)]
            report.verified = NodeReport.Verified(age: 47_000_000_000, entries: 10, differed: 2)
        }
        let lines = Self.lines(status)
        let expected = [
            "ct_sync_lacking_entries{what=\"helper\"} 7", "ct_sync_lacking_entries{what=\"nat\"} 1",
            "ct_sync_lacking_entries{what=\"address\"} 5",
            "ct_sync_l2drop_error 1", "ct_sync_injection_errors_total{errno=\"ENOSPC\"} 9",
            "ct_sync_verified_entries 10", "ct_sync_verified_differences 2",
            "ct_sync_verified_timestamp_seconds 1795670000.0",
        ]
        for line in expected { #expect(lines.contains(line), "\(line)") }
    }

    @Test func aDaemonThatDoesNotAnswerIsDown() {
        #expect(
            Metrics.text(nil)
                == "# HELP ct_sync_up Whether the daemon answers.\n# TYPE ct_sync_up gauge\n"
                + "ct_sync_up 0\n")
    }

    @Test func labelsAreEscaped() {
        var text = MetricsText()
        text.add("a", .gauge, "b", [MetricsText.Sample("1", [("l", "x\"y\\z\n")])])
        text.add("nothing", .gauge, "b", [])
        #expect(text.text == "# HELP a b\n# TYPE a gauge\na{l=\"x\\\"y\\\\z\\n\"} 1\n")
    }

    /// Each has one name, and a counter's ends as Prometheus wants it.
    @Test func namesFollowTheConventions() {
        let names = Metrics.all.map(\.name)
        #expect(Set(names).count == names.count)
        for metric in Metrics.all {
            #expect(metric.name.hasPrefix("ct_sync_"))
            #expect(metric.name.hasSuffix("_total") == (metric.kind == .counter), "\(metric.name)")
            #expect(metric.help.hasSuffix("."), "\(metric.name)")
        }
    }
}
