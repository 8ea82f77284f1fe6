// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

@testable import CTSync

extension ClusterTests {
    /// A reset whose sequence number was guessed: what docs/limits.md says of it.
    @Suite struct BlindResetTests {
        private static let ports = (UInt16(41_000)..<41_010).map { $0 }

        /// The old master's kernel believes none; the new one's any, until it has seen an acknowledgement.
        @Test func aQuietReplicaBelievesAnyReset() throws {
            try scenario(replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let stage = try ResetStage(cluster, Self.ports)
                defer { stage.stop() }
                try second.waitForEqualTable(to: first, atLeast: Self.ports.count)
                #expect(try stage.closedByBlindResets(at: first).isEmpty)
                try cluster.crash(first)
                try cluster.promote(second)
                let speaking = stage.connections.suffix(5)
                for connection in speaking { try connection.exchange() }
                let quiet = Set(Self.ports.dropLast(5))
                #expect(try stage.closedByBlindResets(at: second) == quiet)
                // The ends do not believe them, and what they say passes.
                for connection in stage.connections { try connection.exchange() }
            }
        }

        /// All that ctnetlink can say of an acknowledgement is that there was one. The kernel takes an entry that
        /// was made a moment ago for a connection that is being opened, and believes any reset all the same.
        @Test func anAcknowledgementThatIsOnlySaidHelpsNobody() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let stage = try ResetStage(cluster, Self.ports)
                defer { stage.stop() }
                try node.host.inside { try Self.makeAnew() }
                #expect(try stage.closedByBlindResets(at: node) == Set(Self.ports))
            }
        }

        /// And once the kernel has seen a packet it takes that acknowledgement to have been 0: what an end's own
        /// reset says beyond half of the numbers is before it, and invalid.
        @Test func anAcknowledgementThatIsOnlySaidForbidsTrueResets() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let stage = try ResetStage(cluster, Self.ports)
                defer { stage.stop() }
                try node.host.inside { try Self.makeAnew() }
                try cluster.server.nft(
                    """
                    table ip mute {
                        chain output { type filter hook output priority 0; meta l4proto tcp drop; }
                    }
                    """)
                try stage.sayUnheard()
                let numbers = try stage.nextNumbers().mapValues(\.client)
                let before = try node.invalidPackets()
                try stage.reset()
                try stage.waitForResets(Self.ports.count, at: node)
                let closed = try stage.closed(at: node)
                #expect(closed == Set(numbers.filter { $0.value < 1 << 31 }.keys))
                let invalid = try node.invalidPackets() - before
                #expect(invalid == Self.ports.count - closed.count)
                print("of \(Self.ports.count) true resets \(invalid) are invalid")
            }
        }

        /// Makes the TCP entries of the calling thread's namespace anew, as a slave's daemon does, and says that
        /// an acknowledgement has passed in both directions.
        private static func makeAnew() throws {
            var entries: [Entry] = []
            let dump = try TableDump()
            try dump.start(family: .ipv4)
            var isMore = true
            while isMore {
                isMore = try dump.step { entry in
                    if entry.key.tuple.protocolNumber == ProtocolNumber.tcp {
                        entries.append(copy entry)
                    }
                } expectation: { _ in
                }
            }
            let batch = try RequestBatch()
            for entry in entries {
                _ = batch.delete(entry.key, tag: 1)
                _ = batch.create(entry, timeoutSeconds: 300, tag: 2)
                _ = batch.acknowledge(entry.key, tag: 3)
            }
            try batch.send { tag, errno in Issue.record("request \(tag): errno \(errno)") }
        }
    }
}

extension RequestBatch {
    /// Sets IP_CT_TCP_FLAG_MAXACK_SET in both directions of a TCP entry.
    fileprivate func acknowledge(_ key: Key, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_NEW, 0, tag, key) else { return false }
        EntryCodec.write(key, to: &writer)
        ProtocolInfoCodec.writeTCPFlags(TCPFlag.maxAckSet, mask: TCPFlag.maxAckSet, to: &writer)
        return end()
    }
}

/// Quiet connections of a client's ports to a server, what their next sequence numbers are, and who sends resets
/// with others.
private final class ResetStage {
    /// The next sequence numbers of both ends.
    typealias Numbers = (client: UInt32, server: UInt32)

    private(set) var connections: [EchoConnection]
    private let ports: [UInt16]
    private let server: EchoServer
    /// Gets what comes to the server.
    private let watching: Socket
    private let sending: Socket
    private var numbers: [UInt16: Numbers] = [:]
    private static let counted = "ip resets"

    init(_ cluster: Cluster, _ ports: [UInt16]) throws {
        self.ports = ports
        // Behind the tracking of connections: what it counts has had its effect.
        for node in cluster.firewalls {
            try node.host.nft(
                """
                table \(Self.counted) {
                    counter seen { }
                    chain seen {
                        type filter hook prerouting priority -175;
                        tcp flags & rst == rst counter name seen
                    }
                }
                """)
        }
        let service = Plan.service(ipv6: false)
        server = try EchoServer(on: service, in: cluster.server)
        watching = try .raw(6, in: cluster.server)
        sending = try .raw(6, to: Endpoint(Plan.client(ipv6: false), 0), in: cluster.server)
        connections = try ports.map { port in
            let local = Endpoint(Plan.client(ipv6: false), port)
            let connection = try EchoConnection(from: cluster.client, at: local, to: service)
            try connection.exchange()
            return connection
        }
    }

    func stop() { server.stop() }

    /// Has the client say something to which nobody answers; it is said again and again.
    func sayUnheard() throws {
        let before = try nextNumbers()
        for connection in connections {
            #expect(throws: NeverHappened.self) { try connection.exchange(within: 0) }
        }
        try eventually("what each port says") {
            try nextNumbers().allSatisfy { $0.value.client != before[$0.key]?.client }
        }
    }

    /// The client's ends reset their connections.
    func reset() throws {
        for connection in connections { try connection.resetOnClose() }
        connections = []
    }

    /// By ports, from what the client acknowledged last.
    func nextNumbers() throws -> [UInt16: Numbers] {
        try eventually("the last acknowledgement of each port") {
            while let (packet, _) = try watching.receive() { note(packet) }
            return ports.allSatisfy { numbers[$0] != nil }
        }
        return numbers
    }

    private func note(_ packet: [UInt8]) {
        let start = Int((packet.first ?? 0) & 0x0F) * 4
        guard packet.count >= start + 20, packet[start + 13] & 0x10 != 0 else { return }
        let bytes = { (at: Int, count: Int) in
            packet[start + at..<start + at + count].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        let data = packet.count - start - Int(packet[start + 12] >> 4) * 4
        numbers[UInt16(bytes(0, 2))] = (bytes(4, 4) &+ UInt32(data), bytes(8, 4))
    }

    /// Sends two to each port of the client, in the server's name, far before and far behind the number that it
    /// expects.
    ///
    /// - Returns: the ports whose entries a firewall has closed.
    func closedByBlindResets(at firewall: Firewall) throws -> Set<UInt16> {
        let numbers = try nextNumbers()
        let before = try seen(firewall)
        for port in ports {
            let expected = numbers[port]?.server ?? 0
            for distance in [UInt32(1 << 30), 0 &- UInt32(1 << 30)] {
                try sending.send(Self.reset(to: port, sequence: expected &+ distance))
            }
        }
        try waitForResets(before + 2 * ports.count, at: firewall)
        return try closed(at: firewall)
    }

    /// The ports whose entries a firewall has closed.
    func closed(at firewall: Firewall) throws -> Set<UInt16> {
        let entries = try firewall.table().filter { $0.tcp?.state == TCPState.close }
        return Set(entries.map(\.original.sourcePort))
    }

    /// Waits until a firewall has looked at so many resets since the beginning.
    func waitForResets(_ count: Int, at firewall: Firewall) throws {
        try eventually("\(count) resets") { try seen(firewall) >= count }
    }

    private func seen(_ firewall: Firewall) throws -> Int {
        try firewall.packets(countedBy: "seen", in: Self.counted)
    }

    /// From 10.2.0.2 port 7000 to 10.1.0.2.
    private static func reset(to port: UInt16, sequence: UInt32) -> [UInt8] {
        var words: [UInt16] = [7_000, port, UInt16(sequence >> 16), UInt16(sequence & 0xFFFF)]
        words += [0, 0, 0x5004, 0, 0, 0]  // no acknowledgement, 20 bytes, RST, no window
        // Both addresses, TCP, 20 bytes.
        let pseudo: [UInt16] = [0x0A02, 2, 0x0A01, 2, 6, 20]
        var sum = (words + pseudo).reduce(UInt32(0)) { $0 + UInt32($1) }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
        words[8] = ~UInt16(sum)
        return words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }
}
