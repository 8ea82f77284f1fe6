// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import ClusterSupport
import Glibc

/// Real connections through the master: each is opened, carries 64 bytes there and 64 back, and is
/// closed; one of UDP ends by its timeout.
///
/// One thread holds both ends, so that what a connection costs varies little: a packet goes through
/// client, firewall and server within the system call that sends it. The thread sleeps until each
/// connection is due.
struct Traffic {
    /// What came of it.
    struct Outcome: Sendable {
        var connections = 0
        /// Connections that did not get through within a second, or at all.
        var failures = 0
        /// By how much the last one was late.
        var lateSeconds = 0.0
        /// How long it took.
        var seconds = 0.0
    }

    enum Transport: String, Codable {
        case tcp
        case udp
    }

    /// The server listens on so many ports, for more pairs of ports than are kept in TIME_WAIT.
    private static let ports: UInt16 = 16
    private static let byteCount = 64

    private let transport: Transport
    private let listeners: [Socket]

    /// Opens the server's sockets and lets the client use its ports again soon.
    init(_ cluster: Cluster, _ transport: Transport = .tcp) throws {
        self.transport = transport
        try cluster.client.set([
            "net.ipv4.tcp_tw_reuse": 1, "net.ipv4.tcp_max_tw_buckets": 20_000,
        ])
        listeners = try (0..<Self.ports).map { number in
            let place = Endpoint(Plan.server(ipv6: false), Plan.serverPort + number)
            let socket =
                transport == .tcp
                ? try Socket.listening(on: place, in: cluster.server)
                : try Socket.datagrams(from: place, in: cluster.server)
            guard fcntl(socket.raw, F_SETFL, O_NONBLOCK) == 0 else { throw CallFailed("fcntl") }
            return socket
        }
    }

    /// Makes connections at a steady rate, or as many as can be made if that is 0.
    func run(from client: Namespace, perSecond: Int, seconds: Double) throws -> Outcome {
        let (listeners, transport) = (listeners, transport)
        return try client.inside {
            var outcome = Outcome()
            let count = perSecond == 0 ? Int.max : Int(Double(perSecond) * seconds)
            let start = Stopwatch.seconds() + 0.01
            Self.sleep(until: start)
            for number in 0..<count {
                let due = start + (perSecond == 0 ? 0 : Double(number) / Double(perSecond))
                if perSecond > 0 { Self.sleep(until: due) }
                let (listener, port) = (
                    listeners[number % listeners.count],
                    Plan.serverPort + UInt16(number % listeners.count)
                )
                let isThrough =
                    transport == .tcp
                    ? try Self.connect(to: listener, port: port)
                    : try Self.exchange(with: listener, port: port)
                outcome.connections += 1
                if !isThrough { outcome.failures += 1 }
                outcome.seconds = Stopwatch.seconds() - start
                outcome.lateSeconds = outcome.seconds - (due - start)
                if perSecond == 0, outcome.seconds >= seconds { break }
            }
            return outcome
        }
    }

    /// One pair of datagrams; whether both arrived.
    private static func exchange(with listener: Socket, port: UInt16) throws -> Bool {
        guard let near = try open(SOCK_DGRAM, port: port) else { return false }
        defer { close(near) }
        return withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
            guard let start = bytes.baseAddress, write(near, start, byteCount) == byteCount
            else { return false }
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            return withUnsafeMutablePointer(to: &peer) { storage in
                storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                    let came = wait(for: listener.raw) {
                        CInt(recvfrom(listener.raw, start, byteCount, 0, peer, &length))
                    }
                    guard came == CInt(byteCount),
                        sendto(listener.raw, start, byteCount, 0, peer, length) == byteCount
                    else { return false }
                    return wait(for: near) { CInt(read(near, start, byteCount)) }
                        == CInt(byteCount)
                }
            }
        }
    }

    /// A socket that is connected to the server, or begins to be, and that the caller closes; nil where
    /// that is refused.
    private static func open(_ type: __socket_type, port: UInt16) throws -> CInt? {
        let kind = CInt(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let near = socket(AF_INET, kind, 0)
        guard near >= 0 else { throw CallFailed("socket") }
        let result = try Endpoint(Plan.server(ipv6: false), port).withSocketAddress {
            Glibc.connect(near, $0, $1)
        }
        if result == 0 || errno == EINPROGRESS { return near }
        close(near)
        return nil
    }

    private static func sleep(until seconds: Double) {
        let left = seconds - Stopwatch.seconds()
        guard left > 0 else { return }
        let rest = left.truncatingRemainder(dividingBy: 1)
        var time = timespec(tv_sec: Int(left), tv_nsec: Int(rest * 1e9))
        nanosleep(&time, nil)
    }

    /// One connection; whether everything arrived.
    private static func connect(to listener: Socket, port: UInt16) throws -> Bool {
        guard let near = try open(SOCK_STREAM, port: port) else { return false }
        defer { close(near) }
        guard let far = wait(for: listener.raw, { accept(listener.raw, nil, nil) }) else {
            return false
        }
        defer { close(far) }
        _ = fcntl(far, F_SETFL, O_NONBLOCK)
        guard pass(from: near, to: far), pass(from: far, to: near) else { return false }
        // The client ends it first; the server has seen that before it does.
        shutdown(near, CInt(SHUT_WR))
        var byte: UInt8 = 0
        return wait(for: far) { CInt(read(far, &byte, 1)) } == 0
    }

    static func pass(from sender: CInt, to receiver: CInt) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
            guard write(sender, bytes.baseAddress, byteCount) == byteCount else { return false }
            return wait(for: receiver) { CInt(read(receiver, bytes.baseAddress, byteCount)) }
                == CInt(byteCount)
        }
    }

    /// The result of a call that does not block, when it has one; nil after a second without.
    private static func wait(for descriptor: CInt, _ call: () -> CInt) -> CInt? {
        var result = call()
        while result < 0 {
            guard errno == EAGAIN, ctsync_wait(descriptor, -1, 1_000_000_000) != 0 else {
                return nil
            }
            result = call()
        }
        return result
    }
}
