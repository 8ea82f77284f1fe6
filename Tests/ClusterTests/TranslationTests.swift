// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// Address translation on the standby.
    @Suite struct TranslationTests {
        /// Two hosts use the same port towards one server. The translation gives the second another:
        /// only what is in the table is known to be in use.
        @Test(arguments: [false, true], Replication.allCases)
        func aPortInUseIsGivenToNobodyElse(ipv6: Bool, _ replication: Replication) throws {
            try scenario(translation: .masquerade, replication: replication) { cluster in
                let other = ipv6 ? "fd00:1::3" : "10.1.0.3"
                try cluster.client.ip("addr add \(other)/\(ipv6 ? "64 nodad" : "24") dev eth0")
                let service = Plan.service(ipv6: ipv6)
                let first = Endpoint(Plan.client(ipv6: ipv6), 40_000)
                let second = Endpoint(other, 40_000)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(
                    from: cluster.client, at: first, to: service)
                try connection.exchange()
                let answering = try Socket.datagrams(from: service, in: cluster.server)
                let sources = try [first, second].map {
                    try Socket.datagrams(from: $0, to: service, in: cluster.client)
                }
                let port = try sourcePort(of: sources[0], at: answering)
                #expect(port == 40_000)

                try cluster.takeOver(replication)
                try onlyByReplication {
                    let otherPort = try sourcePort(of: sources[1], at: answering)
                    guard otherPort != port else {
                        throw NeverHappened("a port that is not in use", within: 0)
                    }
                    let later = try EchoConnection(
                        from: cluster.client, at: second, to: service)
                    try later.exchange(within: replication.patience)
                    try connection.exchange(within: replication.patience)
                    try later.exchange(within: replication.patience)
                }
                #expect(try sourcePort(of: sources[0], at: answering) == port)
                let replies = try cluster.firewalls[1].table(ipv6: ipv6).map(\.reply)
                #expect(replies.count == 4)
            }
        }

        /// The kernel takes the translation of an entry where no rule will ever apply it.
        @Test func aNodeWithoutNATChainsSaysSo() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let words = "conntrack -I -t 600 -s 10.1.0.77 -d 198.51.100.7 -p udp --dport 53"
                let make = { (port: Int, translation: String) throws in
                    let line = "\(words) --sport \(port) \(translation)"
                    try first.host.run(line.split(separator: " ").map(String.init))
                }
                try second.host.nft(
                    "delete chain inet filter prerouting; delete chain inet filter postrouting")
                try make(1, "")
                try make(2, "--src-nat 10.2.0.1")
                try eventually("the count in the status") {
                    try second.lacksNATChain(for: 1)
                }
                try make(3, "--src-nat 10.2.0.1")
                try eventually("the new count") {
                    try second.lacksNATChain(for: 2)
                }
                #expect(second.log.components(separatedBy: "has no nat chain").count == 2)
                #expect(try second.table().count == 3)
                try second.host.nft(
                    "table ip late { chain c { type nat hook postrouting priority 100; }; }")
                try eventually("an end of it") {
                    try second.lacksNATChain(for: 0)
                }
                #expect(try first.lacksNATChain(for: 0))
            }
        }

        /// The port by which a server knows a client's socket.
        private func sourcePort(of socket: Socket, at server: Socket) throws -> UInt16? {
            var port: UInt16?
            try eventually("a request at the server", every: 0) {
                try socket.send([1])
                port = try server.receive()?.from.port
                return port != nil
            }
            // A repetition may be on its way: it is not the next caller's.
            while try server.receive() != nil {}
            return port
        }
    }
}

extension Firewall {
    /// Whether it says that so many entries would find no nat chain.
    fileprivate func lacksNATChain(for count: Int) throws -> Bool {
        try command(["status", "--field", "lacking.0.count"]).output == "\(count)\n"
    }
}
