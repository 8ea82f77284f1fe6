// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Each fault of a node that hears nobody, or not all, is its own sentence.
@Suite struct NodeReportEvidenceTests {
    private static let seen = Sighting(
        kind: .blocked, nodeID: 1, address: "172.31.255.1", isMaster: true)

    private static func sighted(_ kind: Sighting.Kind) -> NodeReport {
        var report = SampleReport.slave(.noMaster)
        report.sighting = seen
        report.sighting?.kind = kind
        return report
    }

    private static func dropped(_ reason: String, detail: UInt8 = 0x10) -> NodeReport {
        var report = SampleReport.slave(.noMaster)
        report.drops = [
            NodeReport.Drop(
                reason: reason, count: 12, address: "172.31.255.1", age: Duration.second,
                detail: detail)
        ]
        return report
    }

    private static func link(_ change: (inout NodeReport.Link) -> Void) -> NodeReport {
        var report = SampleReport.slave(.silent)
        change(&report.link)
        return report
    }

    private static func host(_ text: String) -> HostAddress {
        HostAddress(text: text) ?? HostAddress(.ipv4, .any)
    }

    private static var unanswered: NodeReport {
        var report = SampleReport.slave(.initsync)
        report.initsync.unansweredRequests = 7
        return report
    }

    static let faults: [(NodeReport.Reason, String, NodeReport)] = [
        (.noMaster, "no master heard since the start", SampleReport.slave(.noMaster)),
        (.masterSilent, "node 1 is silent", SampleReport.slave(.silent)),
        (.deviceGone, "the sync device eth2 is gone", link { $0.isPresent = false }),
        (.linkDown, "eth2 has no carrier", link { $0.hasCarrier = false }),
        (
            .ownID,
            "another node has our id 2 (from 172.31.255.1); give each its own in /etc/ct_sync.conf",
            dropped("own_id")
        ),
        (
            .oneSegment,
            "packets of one sync device come by another one (eth2); each needs a segment of its own",
            dropped("another_link")
        ),
        (
            .anotherVersion,
            "the node at 172.31.255.1 speaks wire version 2, this is 1; upgrade this node",
            dropped("version", detail: 0x20)
        ),
        (
            .anotherVersion,
            "the node at 172.31.255.1 speaks wire version 0, this is 1; upgrade that node",
            dropped("version", detail: 0x01)
        ),
        (
            .anotherCluster,
            "the node at 172.31.255.1 is of another cluster; both need the same cluster name",
            dropped("cluster")
        ),
        (
            .damaged, "packets from 172.31.255.1 are damaged or of another cluster",
            dropped("checksum")
        ),
        (
            .malformed, "packets from 172.31.255.1 are not understood (length)", dropped("length")
        ),
        (
            .anotherPort,
            "node 1 (172.31.255.1) sends to UDP port 3782, this node listens on 3781; set the same "
                + "port on both", sighted(.anotherPort(3_782))
        ),
        (
            .anotherGroup,
            "node 1 (172.31.255.1) sends to 224.0.0.9, this node listens to group 224.0.0.254; set "
                + "the same on both", sighted(.anotherGroup("224.0.0.9"))
        ),
        (
            .anotherDevice,
            "packets of node 1 (172.31.255.1) arrive on eth1, which is no sync device of this node "
                + "(eth2); both need the same wire", sighted(.anotherDevice("eth1"))
        ),
        (
            .notAPeer,
            "node 1 (172.31.255.1) is not among the peers of this node (group 224.0.0.254)",
            sighted(.notAPeer)
        ),
        (
            .ownPeer,
            "peer 172.31.255.2 is an address of this node itself; name the other nodes in "
                + "/etc/ct_sync.conf", link { $0.misplaced.own = [host("172.31.255.2")] }
        ),
        (
            .peerElsewhere,
            "peer 10.0.0.9 is in no network of eth2, and no route by it leads there",
            link { $0.misplaced.elsewhere = [host("10.0.0.9")] }
        ),
        (
            .routed,
            "packets of node 1 (172.31.255.1) come through a router (TTL 254, not 255); the sync "
                + "link must be one segment", sighted(.routed(hopLimit: 254))
        ),
        (
            .blockedHere,
            "packets of node 1 (172.31.255.1) arrive on eth2, and a rule of this node drops them",
            sighted(.blocked)
        ),
        (
            .noAnswer, "node 1 does not answer; do its rules let UDP 3781 in?", unanswered
        ),
        (.reading, "this kernel's table is being read", SampleReport.slave(.adopting)),
        (.initsync, "an initsync is asked for", SampleReport.slave(.initsync)),
        (.packetsMissing, "packets are missing and asked for again", SampleReport.slave(.gap)),
        (
            .incompleteEntries, "entries are incomplete and asked for again",
            SampleReport.slave(.insufficient)
        ),
        (
            .waitingForParent, "entries wait for the connection they belong to",
            SampleReport.slave(.waiting)
        ),
        (.refusedEntries, "the kernel refuses entries", SampleReport.slave(.refused)),
        (.tableFull, "the table is full", SampleReport.slave(.full)),
        (
            .rulesDiffer, "the rules of what is replicated differ from those of node 1",
            SampleReport.slave(.rules)
        ),
    ]

    @Test func eachHasItsSentence() {
        for (reason, sentence, report) in Self.faults {
            #expect(report.problem?.reason == reason)
            #expect(report.problem?.sentence == sentence)
            #expect(report.verdict == "SLAVE, NOT IN SYNC for 41 s: \(sentence)")
            #expect(report.status["reason"] == .text(reason.rawValue))
            #expect(report.status["well"] == .flag(false))
        }
        #expect(Set(Self.faults.map(\.1)).count == Self.faults.count)
    }

    /// Every fault that somebody has to do something about says which command to type.
    @Test func eachHasACommand() {
        let alone: Set<NodeReport.Reason> = [
            .reading, .initsync, .packetsMissing, .incompleteEntries, .waitingForParent,
        ]
        for (reason, sentence, report) in Self.faults where !alone.contains(reason) {
            let tries = report.problem?.tries ?? []
            #expect(!tries.isEmpty, "\(sentence)")
            #expect(tries.allSatisfy { !$0.command.isEmpty && !$0.why.isEmpty }, "\(sentence)")
        }
    }

    @Test func whatWasDroppedLongAgoIsNoEvidence() {
        var report = Self.dropped("own_id")
        report.drops[0].age = NodeReport.evidenceAge
        #expect(report.problem?.reason == .noMaster)
    }

    /// What comes tells more than where a peer is; but a node that names itself is told so at once, also when
    /// others are heard.
    @Test func misplacedPeers() {
        var report = Self.sighted(.notAPeer)
        report.link.misplaced.elsewhere = [Self.host("10.0.0.9")]
        #expect(report.problem?.reason == .notAPeer)
        report.link.misplaced.own = [Self.host("172.31.255.2")]
        #expect(report.problem?.reason == .ownPeer)
        report = SampleReport.slave
        report.link.misplaced.elsewhere = [Self.host("10.0.0.9")]
        #expect(report.problem == nil && report.warnings.isEmpty)
        report.link.misplaced.own = [Self.host("172.31.255.2")]
        #expect(report.problem == nil && report.warnings.map(\.reason) == [.ownPeer])
    }

    /// On one segment a node is heard from as many addresses as it has devices: no other node has its id.
    @Test func aSharedSegmentIsNoSharedID() {
        var report = SampleReport.slave
        report.drops = Self.dropped("same_id").drops
        #expect(report.identityConflicts.map(\.reason) == [.sameID])
        report.drops += Self.dropped("another_link").drops
        #expect(report.identityConflicts.map(\.reason) == [.oneSegment])
        report.drops += Self.dropped("own_id").drops
        #expect(report.identityConflicts.map(\.reason) == [.oneSegment, .ownID])
    }

    @Test func aMasterSaysTheSameFaults() {
        var report = SampleReport.alone
        report.peers = []
        report.drops = Self.dropped("own_id").drops
        #expect(report.problem?.reason == .ownID)
        #expect(report.verdict.hasPrefix("MASTER, ALONE for 7 min: another node has our id 1 "))
        report.drops = []
        #expect(report.problem?.reason == .alone)
        report.link.hasCarrier = false
        #expect(report.problem?.reason == .linkDown)
    }
}
