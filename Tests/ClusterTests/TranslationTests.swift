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

        /// Another entry of the standby's has the port to which a connection is translated: it goes,
        /// unless it is the standby's own.
        @Test(arguments: [false, true])
        func aReplyTupleThatIsTakenIsTakenBack(isOwn: Bool) throws {
            try scenario(translation: .masquerade, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let source = isOwn ? "10.1.0.1" : "10.1.0.99"
                let words =
                    "conntrack -I -t 600 -p tcp -s \(source) -d 10.2.0.2 --sport 40000 --dport 7000 "
                    + "--state ESTABLISHED --src-nat 10.2.0.1"
                try second.host.run(words.split(separator: " ").map { String($0) })
                let local = Endpoint(Plan.client(ipv6: false), 40_000)
                let open = try EchoConnection(from: cluster.client, at: local, to: service)
                try open.exchange()
                if isOwn {
                    try eventually("a refusal") {
                        try second.status()?.number("refused_entries") == 1
                    }
                    #expect(try second.table().contains { $0.original.source == source })
                    // It ends, and the promotion itself tries again.
                    try second.host.run(["conntrack", "-D", "-s", source])
                } else {
                    try second.waitForEqualTable(to: first)
                    #expect(try second.status()?.number("displaced") == 1)
                }
                try cluster.crash(first)
                try cluster.promote(second)
                try open.exchange()
            }
        }

        /// `masquerade` takes the device's own address, which does not move: said before a takeover.
        @Test func whatIsTranslatedToAnAddressThatStaysIsNamed() throws {
            try scenario(translation: .masquerade, replication: .on, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try second.host.ip(
                    "addr del 10.2.0.1/24 dev wan0\naddr add 10.2.0.3/24 dev wan0")
                for node in [first, second] { try node.start(role: .slave) }
                pause(4)
                // What a manager gives it with its role moves.
                try first.host.ip("addr add 10.2.0.9/32 dev wan0")
                try first.write("1\n")
                try first.waitForRole(.master)
                try cluster.waitInSync()
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let masqueraded = try (0..<3).map { _ in
                    try EchoConnection(from: cluster.client, to: service)
                }
                try first.host.nft(
                    "insert rule inet filter postrouting oifname wan0 snat ip to 10.2.0.9")
                let moving = try (0..<2).map { _ in
                    try EchoConnection(from: cluster.client, to: service)
                }
                for connection in masqueraded + moving { try connection.exchange() }
                try eventually("the address in the status", within: 20) {
                    try second.status()?.text.contains("\"name\": \"10.2.0.1\"") == true
                }
                let text = try second.status()?.text ?? ""
                #expect(text.contains("3 connections translated to 10.2.0.1"), "\(text)")
                #expect(!text.contains("\"name\": \"10.2.0.9\""), "\(text)")
                #expect(second.log.contains("3 entries are translated to 10.2.0.1"))
                // With the address there as well, as with l2drop, all is well.
                try second.host.ip("addr add 10.2.0.1/24 dev wan0")
                try eventually("nothing lacking") {
                    try second.status()?.text.contains("\"name\": \"10.2.0.1\"") == false
                }
                try cluster.crash(first)
                try second.host.ip("addr add 10.2.0.9/32 dev wan0")
                try cluster.promote(second)
                for connection in masqueraded + moving { try connection.exchange() }
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
