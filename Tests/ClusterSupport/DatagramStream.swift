// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// A stream of requests and replies over UDP or ICMP, with the names the server knows it by.
///
/// The server answers each UDP request; ICMP echo requests its kernel answers, and the server only
/// watches. What identifies the stream at the server is the source port or the echo identifier: a
/// firewall that has lost the mapping gives it another.
package final class DatagramStream: Sendable {
    /// Replies at the client.
    package let gaps = Gaps()
    private let running = Box(Atomic(true))
    private let seen = Box(Mutex<[UInt16]>([]))
    private let threads: [Background]

    /// The different ports or identifiers the server has seen, in order.
    package var identities: [UInt16] { seen.value.withLock { $0 } }

    private init(
        request: @escaping @Sendable (UInt16) throws -> Void,
        reply: @escaping @Sendable () throws -> Bool,
        server: @escaping @Sendable () throws -> UInt16?, intervalMilliseconds: Int
    ) {
        let (running, seen, gaps) = (running, seen, gaps)
        threads = [
            Background(named: "cts_request") {
                var number: UInt16 = 0
                while running.value.load(ordering: .relaxed) {
                    number &+= 1
                    // A lost request shows as a gap in the replies.
                    try? request(number)
                    pause(Double(intervalMilliseconds) / 1000)
                }
            },
            Background(named: "cts_reply") {
                while running.value.load(ordering: .relaxed) {
                    if (try? reply()) == true { gaps.progress() }
                }
            },
            Background(named: "cts_serve") {
                while running.value.load(ordering: .relaxed) {
                    guard let identity = (try? server()) ?? nil else { continue }
                    seen.value.withLock { if !$0.contains(identity) { $0.append(identity) } }
                }
            },
        ]
    }

    deinit { stop() }

    /// Ends the stream.
    package func stop() {
        running.value.store(false, ordering: .relaxed)
        for thread in threads { thread.join() }
    }

    /// Waits for some more replies.
    ///
    /// - Throws: `NeverHappened` where they do not come in time.
    package func expectReplies(_ number: Int = 5, within seconds: Double = 10) throws {
        let goal = gaps.count + number
        try eventually(
            "\(number) more replies", within: seconds, detail: { "identities \(identities)" }
        ) { gaps.count >= goal }
    }

    /// UDP requests from one port of the client to a server that answers.
    package static func udp(
        from client: Namespace, port local: Endpoint? = nil, to server: Namespace,
        at endpoint: Endpoint, intervalMilliseconds: Int = 5
    ) throws -> DatagramStream {
        let answering = try Socket.datagrams(from: endpoint, in: server)
        let asking = try Socket.datagrams(from: local, to: endpoint, in: client)
        return DatagramStream(
            request: { number in
                try asking.send([UInt8(number >> 8), UInt8(number & 0xff)])
            },
            reply: { try asking.receive() != nil },
            server: {
                guard let (bytes, peer) = try answering.receive() else { return nil }
                try answering.send(bytes, to: peer)
                return peer.port
            }, intervalMilliseconds: intervalMilliseconds)
    }

    /// Echo requests of one identifier to a host's kernel.
    package static func icmpEcho(
        from client: Namespace, to server: Namespace, address: String,
        intervalMilliseconds: Int = 5
    ) throws -> DatagramStream {
        let peer = Endpoint(address, 0)
        let watching = try Socket.icmp(ipv6: peer.isIPv6, in: server)
        let asking = try Socket.icmp(ipv6: peer.isIPv6, to: peer, in: client)
        let identifier = UInt16.random(in: 1...UInt16.max)
        let ipv6 = peer.isIPv6
        return DatagramStream(
            request: { number in
                try asking.send(ICMPEcho(identifier, sequence: number).request(ipv6: ipv6))
            },
            reply: {
                guard let (bytes, _) = try asking.receive() else { return false }
                let echo = ICMPEcho(reply: bytes, ipv6: ipv6)
                return echo?.identifier == identifier
            },
            server: {
                guard let (bytes, _) = try watching.receive() else { return nil }
                return ICMPEcho(request: bytes, ipv6: ipv6)?.identifier
            }, intervalMilliseconds: intervalMilliseconds)
    }
}

/// The head of an echo message (RFC 792, RFC 4443).
package struct ICMPEcho {
    package let identifier: UInt16
    package let sequence: UInt16

    package init(_ identifier: UInt16, sequence: UInt16) {
        self.identifier = identifier
        self.sequence = sequence
    }

    /// Reads a request as a raw socket gives it.
    package init?(request bytes: [UInt8], ipv6: Bool) {
        self.init(bytes, type: ipv6 ? 128 : 8, ipv6: ipv6)
    }

    /// Reads a reply as a raw socket gives it.
    package init?(reply bytes: [UInt8], ipv6: Bool) {
        self.init(bytes, type: ipv6 ? 129 : 0, ipv6: ipv6)
    }

    /// A raw IPv4 socket gives the IP header too, an IPv6 one does not.
    private init?(_ bytes: [UInt8], type: UInt8, ipv6: Bool) {
        let start = ipv6 ? 0 : Int((bytes.first ?? 0) & 0x0f) * 4
        guard bytes.count >= start + 8, bytes[start] == type else { return nil }
        identifier = UInt16(bytes[start + 4]) << 8 | UInt16(bytes[start + 5])
        sequence = UInt16(bytes[start + 6]) << 8 | UInt16(bytes[start + 7])
    }

    /// A request without data.
    package func request(ipv6: Bool) -> [UInt8] { message(type: ipv6 ? 128 : 8) }

    /// A reply without data.
    package func reply(ipv6: Bool) -> [UInt8] { message(type: ipv6 ? 129 : 0) }

    /// The kernel fills in the checksum of ICMPv6, not that of ICMP.
    private func message(type: UInt16) -> [UInt8] {
        var sum = UInt32(type << 8) + UInt32(identifier) + UInt32(sequence)
        while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
        let words = [type << 8, ~UInt16(sum), identifier, sequence]
        return words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    }
}
