// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// A reset whose sequence number was guessed: what docs/limits.md says of it, measured with
    /// `make takeovers`.
    @Suite struct BlindResetTests {
        @Test(.enabled(if: TakeoverMatrix.isWhole, "make takeovers"))
        func aQuietReplicaBelievesAnyReset() throws {
            try scenario(replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let ports = (UInt16(41_000)..<41_005).map { $0 }
                let connections = try ports.map { port in
                    let local = Endpoint(Plan.client(ipv6: false), port)
                    let connection = try EchoConnection(
                        from: cluster.client, at: local, to: service)
                    try connection.exchange()
                    return connection
                }
                try second.waitForEqualTable(to: first, atLeast: ports.count)
                #expect(try closed(ports, cluster, at: first) == 0)
                try cluster.crash(first)
                try cluster.promote(second)
                let quiet = try closed(ports, cluster, at: second)
                print("blind resets closed \(quiet) of \(ports.count) after a takeover")
                // The ends do not believe them, and what they say passes.
                for connection in connections { try connection.exchange() }
            }
        }

        /// Sends one to each port of the client, in the server's name; how many entries are closed.
        private func closed(
            _ ports: [UInt16], _ cluster: Cluster, at firewall: Firewall
        ) throws -> Int {
            let socket = try Socket.raw(
                6, to: Endpoint(Plan.client(ipv6: false), 0), in: cluster.server)
            for port in ports { try socket.send(Self.reset(to: port)) }
            // They may be dropped, so nothing tells when they have passed.
            pause(0.5)
            return try firewall.table().count { $0.tcp?.state == 8 }
        }

        /// From 10.2.0.2 port 7000 to 10.1.0.2.
        private static func reset(to port: UInt16) -> [UInt8] {
            let sequence = UInt32.random(in: 0...UInt32.max)
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
}
