// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct NodeCheckTests {
    private static var facts: NodeCheck.Facts {
        NodeCheck.Facts(
            values: ["nf_conntrack_buckets": 65_536, "nf_conntrack_events": 1, "ip_forward": 1],
            reconcileSeconds: 300)
    }

    private static var slave: NodeReport {
        var report = SampleReport.slave
        report.verified = NodeReport.Verified(
            age: 42 * Duration.second, entries: 104_382, differed: 0)
        return report
    }

    /// What is not well.
    private static func bad(
        _ report: NodeReport, _ facts: NodeCheck.Facts = facts
    ) -> [String] {
        NodeCheck(report, facts).items.filter { $0.level > .ok }.map {
            "\($0.level) \($0.name): \($0.text)"
        }
    }

    @Test func aReadyPairHasNothingToSay() {
        #expect(Self.bad(Self.slave) == [])
        #expect(Self.bad(SampleReport.master) == [])
        let names = NodeCheck(Self.slave, Self.facts).items.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.contains("verified") && names.contains("room"))
    }

    @Test func whatIsNotWellHasARemedy() {
        var reports: [(NodeReport, String)] = []
        func add(
            _ line: String, _ base: NodeReport? = nil, _ change: (inout NodeReport) -> Void
        ) {
            var report = base ?? Self.slave
            change(&report)
            reports.append((report, line))
        }
        add("fail in sync: node 1 is silent") {
            $0.outOfSync = .silent
        }
        add("fail link: nobody is heard on eth2") { $0.peers = [] }
        add("fail link: eth2 has no carrier") { $0.link.hasCarrier = false }
        add("fail link: eth2 is gone") { $0.link.isPresent = false }
        add("fail nodes: packets from 10.0.0.1 are dropped: own_id") {
            $0.drops = [
                NodeReport.Drop(
                    reason: "own_id", count: 1, address: "10.0.0.1", age: Duration.second)
            ]
        }
        add("warn clock: 3 s apart") { $0.clockOffsetMicroseconds = -3_000_000 }
        add("warn verified: not yet") { $0.verified = nil }
        add("warn verified: verified 42 s ago: 5 entries, 2 differed, 0 added") {
            $0.verified = NodeReport.Verified(age: 42 * Duration.second, entries: 5, differed: 2)
        }
        add("warn verified: verified 2 h ago: 5 entries, 0 differed") {
            $0.verified = NodeReport.Verified(age: 7_200 * Duration.second, entries: 5, differed: 0)
        }
        add("fail nat chain: no nat chain here for 1 connection that must be translated") {
            $0.lacks = [NodeReport.Lack(what: "nat_chain", count: 1)]
        }
        add("warn helper: the helper ftp is not there for 1 connection") {
            $0.lacks = [NodeReport.Lack(what: "helper", name: "ftp", count: 1)]
        }
        add("warn room: 250,000 of 262,144 entries") { $0.entriesHeld = 250_000 }
        add("fail room: 300,000 of 262,144 entries") { $0.entriesOfMaster = 300_000 }
        add("fail l2drop: no rules") { $0.l2drop.failure = "no rules" }
        add("fail slaves: no slave could take over", SampleReport.alone) { _ in }
        for (report, line) in reports {
            #expect(Self.bad(report).contains(line), "\(line): \(Self.bad(report))")
            for item in NodeCheck(report, Self.facts).items where item.level > .ok {
                #expect(!item.remedy.isEmpty, "\(item)")
            }
        }
    }

    @Test func theKernelsSettingsCount() {
        func bad(_ name: String, _ value: UInt64?) -> [String] {
            var facts = Self.facts
            facts.values[name] = value
            return Self.bad(Self.slave, facts)
        }
        #expect(bad("nf_conntrack_events", 0) == ["fail events: off"])
        #expect(bad("nf_conntrack_events", 2) == ["warn events: only while somebody listens"])
        #expect(bad("ip_forward", 0) == ["fail forwarding: IPv4 is not forwarded"])
        #expect(bad("nf_conntrack_buckets", 1_024) == ["warn buckets: 1,024 for 262,144 entries"])
        var facts = Self.facts
        facts.fileTroubles = ["the disk is full"]
        #expect(Self.bad(Self.slave, facts) == ["warn files: the disk is full"])
    }
}
