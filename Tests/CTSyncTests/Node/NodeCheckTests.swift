// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct NodeCheckTests {
    private static var facts: NodeCheck.Facts {
        var facts = NodeCheck.Facts(traits: traits, reconcileSeconds: 300)
        facts.outside.own = [HostAddress(text: "10.0.0.1")].compactMap { $0 }
        facts.outside.routes = 3
        return facts
    }

    /// As of both nodes.
    private static var traits: Traits {
        var traits = Traits()
        for (trait, value) in [
            (KernelTrait.conntrackMax, 262_144), (.buckets, 65_536), (.events, 1), (.tcpLoose, 0),
            (.forwarding, 1), (.forwarding6, 1), (.reversePath, 0), (.establishedTimeout, 432_000),
        ] {
            traits[trait] = UInt32(value)
        }
        return traits
    }

    private static var slave: NodeReport {
        var report = SampleReport.slave
        report.verified = NodeReport.Verified(
            age: 42 * Duration.second, entries: 104_382, differed: 0)
        report.peers[0].traits = traits
        return report
    }

    private static var master: NodeReport {
        var report = SampleReport.master
        var told = traits
        told.add(slave)
        report.peers[0].traits = told
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

    /// While a cluster gets its key a node without one is expected.
    @Test func keysThatDiffer() {
        var report = Self.master
        report.seal.mode = .strict
        report.seal.strangers = [SampleReport.stranger(3, .unsealed)]
        let sentence = "nodes: node 3 at 0.0.0.0 does not seal its packets"
        #expect(Self.bad(report) == ["fail \(sentence)"])
        report.seal.mode = .permissive
        #expect(Self.bad(report) == ["warn \(sentence)"])
    }

    @Test func aDropThatIsOffByHand() {
        var report = Self.slave
        report.l2drop.isOn = false
        #expect(Self.bad(report).map { $0.prefix(26) } == ["warn l2drop: open, by hand"])
    }

    @Test func aReadyPairHasNothingToSay() {
        #expect(Self.bad(Self.slave) == [])
        #expect(Self.bad(Self.master) == [])
        let items = NodeCheck(Self.master, Self.facts).items
        #expect(
            items.first { $0.name == "verified" }?.text
                == "node 2: 40 s ago: 104,382 entries, 0 differed, 0 added")
        #expect(
            items.first { $0.name == "settings" }?.text
                == "as on node 2, timeouts too: max 262144, buckets 65536, events 1, tcp_loose 0, "
                + "net.ipv4.ip_forward 1, net.ipv6.conf.all.forwarding 1, "
                + "net.ipv4.conf.all.rp_filter 0")
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
        add("fail peer: 10.0.0.1 is an address of this node itself") {
            $0.link.misplaced.own = [HostAddress(text: "10.0.0.1")].compactMap { $0 }
        }
        add("warn peer: 10.0.0.9 is in no network of eth2, and no route by it leads there") {
            $0.link.misplaced.elsewhere = [HostAddress(text: "10.0.0.9")].compactMap { $0 }
        }
        add("fail nodes: packets from 10.0.0.1 are dropped: own_id") {
            $0.drops = [
                NodeReport.Drop(
                    reason: "own_id", count: 1, address: "10.0.0.1", age: Duration.second)
            ]
        }
        add("warn clock: 3 s apart from node 1's") {
            $0.peers[0].clockOffsetMicroseconds = -3_000_000
        }
        add("warn verified: not yet") { $0.verified = nil }
        add("warn verified: 42 s ago: 5 entries, 2 differed, 0 added") {
            $0.verified = NodeReport.Verified(age: 42 * Duration.second, entries: 5, differed: 2)
        }
        add("warn verified: 2 h ago: 5 entries, 0 differed") {
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
        func bad(_ trait: KernelTrait, _ value: UInt32?) -> [String] {
            var facts = Self.facts
            facts.traits[trait] = value
            var report = Self.slave
            // The same there.
            report.peers[0].traits?[trait] = value
            return Self.bad(report, facts)
        }
        #expect(bad(.events, 0) == ["fail events: off"])
        #expect(bad(.events, 2) == ["warn events: only while somebody listens"])
        #expect(bad(.forwarding, 0) == ["fail forwarding: IPv4 is not forwarded"])
        #expect(bad(.buckets, 1_024) == ["warn buckets: 1,024 for 262,144 entries"])
        var facts = Self.facts
        facts.availableKilobytes = 70 << 10
        #expect(Self.bad(Self.slave, facts) == [])
        facts.availableKilobytes = 50 << 10
        #expect(
            Self.bad(Self.slave, facts) == [
                "warn memory: 50 MB are available, a full table takes about 60 MB more"
            ])
        facts = Self.facts
        facts.fileTroubles = ["the disk is full"]
        #expect(Self.bad(Self.slave, facts) == ["warn files: the disk is full"])
        facts = Self.facts
        facts.fileOnDisk = "/var/lib/state"
        #expect(
            Self.bad(Self.slave, facts) == [
                "warn files: /var/lib/state is not in memory: a takeover waits for its disk"
            ])
    }

    /// Side by side, from both ends: what is wrong is set on the slave.
    @Test(arguments: [
        (KernelTrait.tcpLoose, UInt32(1), UInt32(0), "warn nf_conntrack_tcp_loose"),
        (.establishedTimeout, 432_000, 600, "warn nf_conntrack_tcp_timeout_established"),
        (.reversePath, 0, 1, "warn net.ipv4.conf.all.rp_filter"),
        (.forwarding6, 1, 0, "fail net.ipv6.conf.all.forwarding"),
        (.conntrackMax, 262_144, 110_000, "warn nf_conntrack_max"),
        (.conntrackMax, 262_144, 1_000, "fail nf_conntrack_max"),
    ]) func settingsThatDifferAreToldOnBothNodes(
        _ trait: KernelTrait, _ ofMaster: UInt32, _ ofSlave: UInt32, _ name: String
    ) {
        var slave = Self.slave
        var facts = Self.facts
        slave.peers[0].traits?[trait] = ofMaster
        facts.traits[trait] = ofSlave
        #expect(Self.bad(slave, facts) == ["\(name): \(ofSlave) here, \(ofMaster) on node 1"])
        var master = Self.master
        master.peers[0].traits?[trait] = ofSlave
        facts.traits[trait] = ofMaster
        #expect(Self.bad(master, facts) == ["\(name): \(ofMaster) here, \(ofSlave) on node 2"])
        let remedies = NodeCheck(master, facts).items.map(\.remedy)
        #expect(remedies.contains("on node 2: sysctl -w \(trait.key)=\(ofMaster)"))
    }

    @Test func aMasterSaysTheSameOfItsSlaves() {
        var told = Self.slave
        told.lacks = [
            NodeReport.Lack(what: "nat_chain", count: 3),
            NodeReport.Lack(what: "helper", name: "ftp", count: 1),
            NodeReport.Lack(what: "helper", name: "sip", count: 2),
        ]
        told.verified?.differed = 2
        var report = Self.master
        report.peers[0].traits?.add(told)
        let nat = "no nat chain here for 3 connections that must be translated"
        #expect(
            Self.bad(report) == [
                "fail node 2: there: \(nat)",
                "warn node 2: there: the helper  is not there for 3 connections",
                "warn verified: node 2: 40 s ago: 104,382 entries, 2 differed, 0 added",
            ])
        report.peers[0].traits = Self.traits
        #expect(Self.bad(report) == ["warn verified: node 2: not yet"])
        // One that says nothing is no fault.
        report.peers[0].traits = nil
        #expect(Self.bad(report) == [])
    }

    @Test func behindTheDarknessAreAddressesAndRoutes() {
        let text = """
            Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
            eth0 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0
            eth1 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
            eth2 00FF1FAC 00000000 0001 0 0 0 00FFFFFF 0 0 0
            """
        let zeros = String(repeating: "0", count: 32)
        let text6 = """
            \(zeros) 00 \(zeros) 00 fd\(zeros.dropFirst(2)) 00000400 1 0 00000003 eth1
            fd\(zeros.dropFirst(2)) 40 \(zeros) 00 \(zeros) 00000100 1 0 00000001 eth1
            fe80\(zeros.dropFirst(4)) 40 \(zeros) 00 \(zeros) 00000100 1 0 00000001 eth1
            fd\(zeros.dropFirst(2)) 80 \(zeros) 00 \(zeros) 00000000 2 0 80200001 eth1
            \(zeros) 00 \(zeros) 00 \(zeros) ffffffff 1 0 00200200 lo
            """
        var facts = Self.facts
        facts.outside.routes = 0
        #expect(Self.bad(Self.slave, facts) == ["fail routes: none behind the darkness"])
        let routes = Route.all(
            ipv4: text.split(separator: "\n"), ipv6: text6.split(separator: "\n"))
        facts.outside.count(routes, ["eth2"])
        let items = NodeCheck(Self.slave, facts).items
        #expect(items.first { $0.name == "routes" }?.text == "4 routes; default by: eth0, eth1")
        #expect(items.first { $0.name == "addresses" }?.text == "1 address on this dark node")
        facts.outside.ofMaster = [HostAddress(text: "10.0.0.9")].compactMap { $0 }
        #expect(
            Self.bad(Self.slave, facts) == [
                "fail address: 10.0.0.9 of node 1 is not on this dark node"
            ])
        facts.outside = NodeCheck.Outside()
        #expect(
            Self.bad(Self.slave, facts) == [
                "fail addresses: none behind the darkness", "fail routes: none behind the darkness",
            ])
        // Who is not dark has what the manager gives it.
        var bright = Self.slave
        bright.l2drop = NodeReport.Dark()
        #expect(Self.bad(bright, facts) == [])
    }

    @Test func theForecastIsTheLastTakeoversAndARehearsals() {
        func takeover(_ report: NodeReport, _ facts: NodeCheck.Facts) -> NodeCheck.Item? {
            NodeCheck(report, facts).items.first { $0.name == "takeover" }
        }
        #expect(
            takeover(Self.slave, Self.facts)?.text
                == "none since the daemon runs; ct_sync rehearse on a slave times one")
        var report = Self.slave
        report.promotionMicroseconds = 412
        var facts = Self.facts
        var rehearsal = Rehearsal(nodeID: 2)
        rehearsal.add("term", 900_000, .done(""), isWaitedFor: true)
        rehearsal.add("timers", 9_000_000, .done(""), isWaitedFor: false)
        facts.rehearsal = (90 * Duration.second, rehearsal)
        #expect(
            takeover(report, facts)?.text
                == "the last promotion took 0.4 ms, a rehearsal 90 s ago: a promotion would take "
                + "0.9 ms and lack nothing")
        rehearsal.add("epoch", 0, .failed("no room"), isWaitedFor: true)
        facts.rehearsal = (90 * Duration.second, rehearsal)
        let item = takeover(report, facts)
        #expect(item?.level == .warn && item?.remedy == "ct_sync rehearse")
        #expect(item?.text.hasSuffix(": a promotion would fail: epoch") == true)
    }
}
