// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

@Suite struct NodeReportTests {
    @Test func aSlaveThatIsWell() {
        let report = SampleReport.slave
        #expect(report.verdict == "SLAVE, in sync for 3 h 12 min")
        #expect(report.statusLine == "SLAVE of node 1, in sync")
        #expect(report.problem == nil && report.remarks.isEmpty)
        #expect(
            StatusText(report.status).text == """
                fw2: SLAVE, in sync for 3 h 12 min                                       \
                node 2, ct_sync \(CTSyncVersion), up 4 d
                    104,382 of the master's about 104,391 connections are in this kernel \
                (39 % of 262,144)
                    a takeover is possible: dark by netdev, opens when promoted

                    NODE  ROLE    ADDRESS       HEARD      BEHIND  SYNC
                    1     master  172.31.255.1  46 ms ago
                    2     slave   here                             yes

                    no packet lost, refused or dropped in 4 d; counters: ct_sync status -v

                """)
    }

    @Test func aSlaveOfAMomentDoesNotKnowYetWhetherThereIsAMaster() {
        var report = SampleReport.slave(.noMaster)
        #expect(report.status["master_heard"] == .flag(false))
        report.roleAge = SlaveProtocol.silence - 1
        #expect(report.status["master_heard"] == .absent)
        report.outOfSync = .initsync
        #expect(report.status["master_heard"] == .flag(true))
    }

    @Test func aMasterThatIsWell() {
        let report = SampleReport.master
        #expect(report.verdict.hasPrefix("MASTER for 3 h 12 min, promoted in 0.4 ms at "))
        #expect(report.statusLine == "MASTER, 1 of 1 slaves could take over now")
        #expect(
            report.facts == [
                "104,382 connections (39 % of 262,144); 1 of 1 slaves could take over now"
            ])
        #expect(report.problem == nil)
    }

    @Test func aMasterThatIsAlone() throws {
        let report = SampleReport.alone
        #expect(report.verdict == "MASTER, ALONE for 7 min: no slave could take over")
        #expect(report.statusLine == "MASTER, ALONE: no slave could take over")
        let remark = try #require(report.remarks.first)
        #expect(remark.text.hasPrefix("slave 2 (172.31.255.2) was heard last at "))
        #expect(
            remark.text.hasSuffix(
                ", in sync then. A takeover would cut 104,382 connections."))
        #expect(
            remark.tries.map(\.command) == [
                "ping -I eth2 172.31.255.2", "ct_sync status", "nft list ruleset | grep 3781",
            ])
        #expect(report.status["well"] == .flag(false))
    }

    @Test func aMasterWhoseSlaveIsNotInSync() {
        var report = SampleReport.alone
        report.peers[0].heardAge = 0
        report.peers[0].isInSync = false
        #expect(
            report.remarks.first?.text
                == "slave 2 (172.31.255.2) is heard and not in sync. A takeover would cut "
                + "104,382 connections.")
    }

    /// Two slaves, of which one is ready: well, and the other is named.
    @Test func aMasterWithOneOfTwoSlaves() {
        var report = SampleReport.master
        report.peers.append(
            NodeReport.Peer(
                nodeID: 3, role: .slave, address: "172.31.255.3", heardAge: 0))
        #expect(report.problem == nil)
        #expect(report.redundancy == "1 of 2 slaves could take over now")
        #expect(report.remarks.map(\.text) == ["slave 3 (172.31.255.3) is not in sync"])
    }

    /// In numbers with thousands; nothing of a slave that has not said it.
    @Test func howFarASlaveIsBehind() {
        func behind(_ packets: UInt64?) -> String {
            var report = SampleReport.master
            report.peers[0].behindPackets = packets
            let row = StatusText(report.status).text.split(separator: "\n").last {
                $0.contains("172.31.255.2")
            }
            let words = (row ?? "").split(separator: " ").map { String($0) }
            return words.dropFirst(6).joined(separator: " ")
        }
        #expect(behind(0) == "0 packets yes")
        #expect(behind(1) == "1 packet yes")
        #expect(behind(12_345) == "12,345 packets yes")
        #expect(behind(nil) == "yes")
    }

    @Test func anInitsyncSaysHowFarItIs() {
        var report = SampleReport.slave(.initsync)
        report.initsync = NodeReport.Progress(
            isRunning: true, done: 61_200, age: 6 * Duration.second)
        report.entriesOfMaster = 104_000
        #expect(
            report.verdict
                == "SLAVE, NOT IN SYNC for 41 s: initsync, 61,200 of about 104,000 entries, "
                + "4.1 s to go")
        #expect(report.statusLine == "SLAVE, NOT IN SYNC: initsync")
        report.entriesOfMaster = nil
        #expect(report.verdict.hasSuffix(": initsync, 61,200 entries"))
        // More than was announced: no time is promised.
        report.entriesOfMaster = 50_000
        #expect(report.verdict.hasSuffix(": initsync, 61,200 of about 50,000 entries"))
    }

    @Test func whatThisNodeLacksIsNoReadySlave() {
        var report = SampleReport.slave
        report.lacks = [NodeReport.Lack(what: "nat_chain", count: 2)]
        #expect(
            report.verdict
                == "SLAVE, in sync, NOT READY: no nat chain here for 2 connections that must be "
                + "translated")
        #expect(report.status["in_sync"] == .flag(true))
        #expect(report.status["well"] == .flag(false))
        report.lacks = [NodeReport.Lack(what: "helper", name: "ftp", count: 1)]
        #expect(report.problem == nil)
        #expect(report.remarks.map(\.text) == ["the helper ftp is not there for 1 connection"])
        #expect(report.remarks.first?.tries.first?.command == "modprobe nf_conntrack_ftp")
    }

    @Test func aNodeThatIsNotDark() {
        var report = SampleReport.slave
        report.l2drop.failure = "the node is not dark: nft: busy"
        #expect(report.verdict == "SLAVE, NOT DARK: the node is not dark: nft: busy")
        report.role = .master
        #expect(report.verdict.hasPrefix("MASTER, STILL DARK: "))
    }

    /// As a rule for what goes out does; said by both roles, also by a slave that is in sync.
    @Test func packetsThatTheNetworkRefuses() {
        for (var report, isWell) in [(SampleReport.slave, true), (SampleReport.alone, false)] {
            report.link.refused = 1_234
            report.link.lastRefusal = "EPERM"
            report.link.refusedAge = 1 * Duration.second
            #expect((report.problem == nil) == isWell)
            let remark = report.remarks.last
            #expect(remark?.reason == .sendsRefused)
            #expect(
                remark?.text
                    == "the network refuses packets of this node (EPERM); 1,234 since the start")
            #expect(
                remark?.tries.first?.command
                    == "nft list ruleset | grep -n -e drop -e reject -e 3781")
            // It is over, or the device says why.
            report.link.refusedAge = 6 * Duration.second
            #expect(!report.remarks.contains { $0.reason == .sendsRefused })
            report.link.refusedAge = 0
            report.link.hasCarrier = false
            #expect(!report.remarks.contains { $0.reason == .sendsRefused })
        }
    }

    /// It was right when the daemon started.
    @Test func aDeviceWhoseMTUIsTooSmallIsSaid() {
        for sample in [SampleReport.slave, SampleReport.master] {
            var report = sample
            report.links[0].mtu = SyncSocket.smallestMTU
            #expect(report.remarks.isEmpty)
            report.links[0].mtu = SyncSocket.smallestMTU - 1
            #expect(report.remarks.map(\.reason) == [.deviceMTU] && report.problem == nil)
            #expect(report.remarks.first?.text.hasPrefix("eth2 has an MTU of ") == true)
            #expect(report.remarks.first?.tries.first?.command == "ip link set dev eth2 mtu 1500")
            report.links[0].isPresent = false
            #expect(!report.warnings.contains { $0.reason == .deviceMTU })
        }
    }

    /// A master with a slave that could take over has another one that it does not understand.
    @Test func whoSpeaksInAnotherWayIsSaidThoughOthersAreHeard() {
        var report = SampleReport.master
        report.seal.mode = .strict
        report.seal.keyFile = "/etc/ct_sync.key"
        report.seal.strangers = [SampleReport.stranger()]
        #expect(report.problem == nil)
        #expect(report.remarks.map(\.reason) == [.anotherKey])
        #expect(report.remarks.map(\.text) == ["node 3 at 0.0.0.0 speaks with another key"])
        // Each node may have made a key of its own, in a file of the same name.
        #expect(report.remarks[0].tries[0].command == "sha256sum /etc/ct_sync.key")
        // Once, where it is the reason itself.
        report.peers = []
        report.aloneAge = 60 * Duration.second
        #expect(report.problem?.reason == .anotherKey)
        #expect(report.remarks.map(\.reason) == [.anotherKey])
        report = SampleReport.master
        report.drops = [
            NodeReport.Drop(
                reason: "version", count: 3, address: "172.31.255.3", age: 0, detail: 0x20)
        ]
        #expect(report.remarks.map(\.reason) == [.anotherVersion])
    }

    /// A permissive node takes what has no seal: it is counted, and not as dropped.
    @Test func whatHasNoSealIsNotCalledDropped() {
        var report = SampleReport.slave
        report.drops = [
            NodeReport.Drop(reason: "unsealed", count: 11),
            NodeReport.Drop(reason: "tag", count: 2),
        ]
        let text = StatusText(report.status).text
        #expect(text.contains("packets: 2 dropped, 11 without a seal in 4 d;"), "\(text)")
    }

    @Test func clocksThatAreApart() {
        var report = SampleReport.slave
        report.peers[0].clockOffsetMicroseconds = -3_600 * 1_000_000
        #expect(report.problem == nil)
        #expect(report.remarks.map(\.text) == ["this node's clock is 1 h behind node 1's"])
        report.peers[0].clockOffsetMicroseconds = 1_000_000
        #expect(report.remarks.isEmpty)
    }

    @Test(
        arguments: [
            (UInt64(412_000), "0.4 ms"), (46_000_000, "46 ms"), (1_200_000_000, "1.2 s"),
            (41_000_000_000, "41 s"), (99_999_000_000, "99 s"), (420_000_000_000, "7 min"),
            (11_520_000_000_000, "3 h 12 min"), (3_600_000_000_000, "1 h"),
            (345_600_000_000_000, "4 d"), (90_000_000_000_000, "1 d 1 h"), (0, "0 ms"),
        ]) func timesAreInWords(_ nanoseconds: UInt64, _ words: String)
    {
        #expect(Words.time(nanoseconds) == words)
    }

    @Test func numbersHaveThousands() {
        #expect(Words.number(0) == "0")
        #expect(Words.number(999) == "999")
        #expect(Words.number(1_000) == "1,000")
        #expect(Words.number(-104_382) == "-104,382")
        #expect(Words.number(1_234_567) == "1,234,567")
    }
}
