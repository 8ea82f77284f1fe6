// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Testing

/// Two raw sockets of a protocol that this kernel has no sockets for.
struct RawPair {
    let client: Socket
    let server: Socket
    private let ipv6: Bool

    init(_ cluster: Cluster, protocolNumber: Int32, ipv6: Bool = false) throws {
        try self.init(
            cluster, protocolNumber, from: Plan.client(ipv6: ipv6), to: Plan.server(ipv6: ipv6))
    }

    /// Between any of their addresses.
    init(
        _ cluster: Cluster, _ protocolNumber: Int32, from here: String, to there: String
    ) throws {
        let (here, there) = (Endpoint(here, 0), Endpoint(there, 0))
        ipv6 = here.isIPv6
        client = try .raw(protocolNumber, from: here, to: there, ipv6: ipv6, in: cluster.client)
        server = try .raw(protocolNumber, from: there, to: here, ipv6: ipv6, in: cluster.server)
    }

    /// The two paths of an SCTP association whose ends have two addresses each.
    static func paths(_ cluster: Cluster) throws -> [RawPair] {
        try cluster.client.ip("addr add 10.1.0.3/24 dev eth0")
        try cluster.server.ip("addr add 10.2.0.3/24 dev eth0")
        return try (2...3).map {
            try RawPair(cluster, 132, from: "10.1.0.\($0)", to: "10.2.0.\($0)")
        }
    }

    /// Sends a packet and waits until the other side has it.
    func pass(_ bytes: [UInt8], fromClient: Bool, within seconds: Double = 2) throws {
        let (from, to) = fromClient ? (client, server) : (server, client)
        try from.send(bytes)
        try eventually("the packet \(bytes)", within: seconds) {
            guard let (packet, _) = try to.receive() else { return false }
            let header = ipv6 ? 0 : Int((packet.first ?? 0) & 0x0F) * 4
            return Array(packet.dropFirst(header)) == bytes
        }
    }

    /// Passes packets of SCTP, each when the one before has come.
    func pass(_ packets: [SCTPPacket.Step]) throws {
        for (fromClient, tag, type, value) in packets {
            let packet = SCTPPacket.packet(fromClient: fromClient, tag: tag, type, value)
            try pass(packet, fromClient: fromClient)
        }
    }
}

/// Packets of SCTP with one chunk (RFC 9260) and their CRC-32C.
enum SCTPPacket {
    /// From whom, verification tag, type and value of the chunk.
    typealias Step = (Bool, UInt32, UInt8, [UInt8])

    static let clientTag: UInt32 = 0x1111_1111
    static let serverTag: UInt32 = 0x2222_2222

    /// What opens an association.
    static var opening: [Step] { opening(clientTag, serverTag) }

    /// The same with other tags, on the same ports.
    static func opening(
        _ clientTag: UInt32, _ serverTag: UInt32
    ) -> [Step] {
        let start: [UInt8] = [0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]
        return [
            (true, 0, 1, big(clientTag) + start),
            (false, clientTag, 2, big(serverTag) + start),
            (true, serverTag, 10, [9, 9, 9, 9]),
            (false, clientTag, 11, []),
        ]
    }

    /// HEARTBEAT and HEARTBEAT ACK, each with a Heartbeat Info parameter.
    static var heartbeat: [Step] { heartbeat(clientTag, serverTag) }

    /// The same with other tags.
    static func heartbeat(_ clientTag: UInt32, _ serverTag: UInt32) -> [Step] {
        let info: [UInt8] = [0, 1, 0, 8, 1, 2, 3, 4]
        return [(true, serverTag, 4, info), (false, clientTag, 5, info)]
    }

    /// SHUTDOWN, SHUTDOWN-ACK, SHUTDOWN-COMPLETE.
    static var closing: [Step] {
        [(true, serverTag, 7, [0, 0, 0, 1]), (false, clientTag, 8, []), (true, serverTag, 14, [])]
    }

    static func packet(
        fromClient: Bool, tag: UInt32, _ type: UInt8, _ value: [UInt8]
    ) -> [UInt8] {
        let ports: [UInt8] = fromClient ? [0x9C, 0x40, 0x13, 0x88] : [0x13, 0x88, 0x9C, 0x40]
        let length = 4 + value.count
        let chunk = [type, type == 0 ? 3 : 0, UInt8(length >> 8), UInt8(length & 0xFF)] + value
        var packet = ports + big(tag) + [0, 0, 0, 0] + chunk
        let checksum = packet.withUnsafeBytes { CRC32C().update(0, $0.bytes) }
        packet.replaceSubrange(8..<12, with: big(checksum.byteSwapped))
        return packet
    }

    static func data(_ number: UInt32, fromClient: Bool, tag: UInt32? = nil) -> [UInt8] {
        let own = fromClient ? serverTag : clientTag
        let value = big(number) + [0, 0, 0, 0, 0, 0, 0, 0] + [1, 2, 3, 4]
        return packet(fromClient: fromClient, tag: tag ?? own, 0, value)
    }

    private static func big(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
}

extension ClusterTests {
    /// Live SCTP and GRE through a takeover, packet by packet.
    @Suite struct RawProtocolTests {
        @Test(arguments: Replication.allCases)
        func anAssociationOfSCTP(_ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let pair = try RawPair(cluster, protocolNumber: 132)
                try pair.pass(SCTPPacket.opening)
                try pair.pass(SCTPPacket.data(1, fromClient: true), fromClient: true)
                try cluster.takeOver(replication)
                try onlyByReplication {
                    try pair.pass(SCTPPacket.data(2, fromClient: false), fromClient: false)
                    try pair.pass(SCTPPacket.data(3, fromClient: true), fromClient: true)
                }
                // The tags are still watched.
                #expect(throws: NeverHappened.self) {
                    try pair.pass(
                        SCTPPacket.data(4, fromClient: true, tag: 0x3333_3333), fromClient: true,
                        within: 0.3)
                }
            }
        }

        /// The kernel tells nobody of the new tags.
        @Test(arguments: Replication.allCases)
        func anAssociationThatIsOpenedAgain(_ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let pair = try RawPair(cluster, protocolNumber: 132)
                let (client, server): (UInt32, UInt32) = (0x4444_4444, 0x5555_5555)
                let openings = [SCTPPacket.opening, SCTPPacket.opening(client, server)]
                for (number, opening) in openings.enumerated() {
                    try pair.pass(opening)
                    // The first one is known everywhere before it is opened again.
                    if number == 0, replication == .on {
                        try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0])
                    }
                }
                if replication == .on { try cluster.waitForTags() }
                try cluster.takeOver(replication)
                try onlyByReplication {
                    try pair.pass(
                        SCTPPacket.data(2, fromClient: false, tag: client), fromClient: false)
                    try pair.pass(
                        SCTPPacket.data(3, fromClient: true, tag: server), fromClient: true)
                }
            }
        }

        /// A path of an association with several addresses begins with a HEARTBEAT: an entry of its own.
        @Test(arguments: Replication.allCases)
        func aSecondPathOfAnAssociation(_ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let pair = try RawPair(cluster, protocolNumber: 132)
                try pair.pass(SCTPPacket.heartbeat)
                try cluster.takeOver(replication)
                try onlyByReplication {
                    try pair.pass(SCTPPacket.data(2, fromClient: false), fromClient: false)
                    try pair.pass(SCTPPacket.data(3, fromClient: true), fromClient: true)
                }
            }
        }

        /// Side by side: the first path began with an INIT, the second with a HEARTBEAT, and each is an entry with
        /// tags of its own. An association that is opened again has new ones on both, of which no event tells.
        @Test(arguments: [false, true], Replication.allCases)
        func twoPathsOfAnAssociation(isOpenedAgain: Bool, _ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let paths = try RawPair.paths(cluster)
                var tags = (client: SCTPPacket.clientTag, server: SCTPPacket.serverTag)
                try paths[0].pass(SCTPPacket.opening)
                try paths[1].pass(SCTPPacket.heartbeat)
                if replication == .on {
                    try cluster.firewalls[1].waitForEqualTable(
                        to: cluster.firewalls[0], atLeast: 2)
                    try cluster.waitForTags()
                }
                if isOpenedAgain {
                    tags = (0x4444_4444, 0x5555_5555)
                    try paths[0].pass(SCTPPacket.opening(tags.client, tags.server))
                    // The kernel takes the tag of one direction from the first, that of the other from the next.
                    for _ in 0..<2 {
                        try paths[1].pass(SCTPPacket.heartbeat(tags.client, tags.server))
                    }
                    if replication == .on { try cluster.waitForTags() }
                }
                let there = SCTPPacket.data(2, fromClient: true, tag: tags.server)
                let back = SCTPPacket.data(3, fromClient: false, tag: tags.client)
                for path in paths { try path.pass(there, fromClient: true) }
                try cluster.takeOver(replication)
                for path in paths {
                    try onlyByReplication {
                        try path.pass(back, fromClient: false)
                        try path.pass(there, fromClient: true)
                    }
                }
            }
        }

        @Test(arguments: Replication.allCases)
        func aTunnelOfGRE(_ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let pair = try RawPair(cluster, protocolNumber: 47)
                // Version 0, no options, IPv4 inside.
                let head: [UInt8] = [0, 0, 8, 0]
                try pair.pass(head + [1], fromClient: true)
                try pair.pass(head + [2], fromClient: false)
                try cluster.takeOver(replication)
                try onlyByReplication {
                    try pair.pass(head + [3], fromClient: false)
                    try pair.pass(head + [4], fromClient: true)
                }
            }
        }
    }
}

extension Cluster {
    /// Waits until the second firewall has the verification tags of the first.
    fileprivate func waitForTags() throws {
        try eventually("the tags at the slave", detail: { logs }) {
            try firewalls[0].tags() == firewalls[1].tags()
        }
    }
}

extension Firewall {
    /// Each SCTP entry of its table with its tags.
    fileprivate func tags() throws -> Set<String> {
        try host.inside {
            var found: Set<String> = []
            let dump = try TableDump()
            try dump.start(family: .ipv4)
            var isMore = true
            while isMore {
                isMore = try dump.step { entry in
                    guard entry.key.tuple.protocolNumber == 132 else { return }
                    let (tuple, info) = (entry.key.tuple, entry.protocolInfo)
                    found.insert("\(tuple) \(info.originalTag) \(info.replyTag)")
                } expectation: { _ in
                }
            }
            return found
        }
    }
}
