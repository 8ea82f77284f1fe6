// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Reports as a daemon would build them.
enum SampleReport {
    /// A slave that is well.
    static var slave: NodeReport {
        var report = NodeReport()
        report.host = "fw2"
        report.nodeID = 2
        report.nodeIDFrom = "setting"
        report.controlFile = "/run/ct_sync/state"
        report.wallMicroseconds = 1_795_670_047 * 1_000_000
        report.uptime = 4 * 86_400 * Duration.second
        report.role = .slave
        report.roleAge = 4 * 86_400 * Duration.second
        report.syncAge = (3 * 3_600 + 12 * 60) * Duration.second
        report.entriesHeld = 104_382
        report.entriesOfMaster = 104_391
        report.entriesLimit = 262_144
        report.link = NodeReport.Link(
            device: "eth2", mtu: 1_500, port: 3_781, destinations: ["224.0.0.254"],
            packetsIn: 4_200, packetsOut: 14)
        report.links = [NodeReport.LinkLine(device: "eth2", mtu: 1_500)]
        report.l2drop = NodeReport.Dark(isOn: true, backend: "netdev")
        report.peers = [
            NodeReport.Peer(
                nodeID: 1, role: .master, address: "172.31.255.1",
                heardAge: 46 * Duration.millisecond, clockOffsetMicroseconds: -58)
        ]
        return report
    }

    /// A slave that is not in sync.
    static func slave(_ reason: SlaveProtocol.OutOfSync) -> NodeReport {
        var report = slave
        report.outOfSync = reason
        report.syncAge = 41 * Duration.second
        report.reasonAge = report.syncAge
        if reason == .noMaster { report.peers = [] }
        return report
    }

    /// A master with a slave that is well.
    static var master: NodeReport {
        var report = slave
        report.host = "fw1"
        report.nodeID = 1
        report.role = .master
        report.roleAge = (3 * 3_600 + 12 * 60) * Duration.second
        report.promotionMicroseconds = 412
        report.l2drop.isOn = false
        report.peers = [
            NodeReport.Peer(
                nodeID: 2, role: .slave, address: "172.31.255.2",
                heardAge: 700 * Duration.millisecond, isInSync: true, entries: 104_382,
                behindPackets: 0)
        ]
        return report
    }

    /// A node that is heard and not understood.
    static func stranger(
        _ nodeID: UInt8 = 3, _ kind: Strangers.Kind = .anotherKey,
        at peer: PeerAddress = PeerAddress(address: .any, family: .ipv4, port: 0),
        heard instant: Instant = 1
    ) -> Strangers.Stranger {
        Strangers.Stranger(nodeID: nodeID, peer: peer, kind: kind, at: instant)
    }

    /// A master that has lost it.
    static var alone: NodeReport {
        var report = master
        report.aloneAge = 7 * 60 * Duration.second
        report.peers[0].heardAge = 424 * Duration.second
        return report
    }
}
