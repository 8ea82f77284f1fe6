// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// A TCP server that sends back what it gets, one thread for all its connections.
package final class EchoServer: Sendable {
    private let running = Box(Atomic(true))
    private let thread: Background

    /// Listens at an endpoint of a host.
    package init(on endpoint: Endpoint, in host: Namespace) throws {
        let listener = try Socket.listening(on: endpoint, in: host)
        let running = running
        thread = Background(named: "cts_echo") {
            var open: [Socket] = []
            while running.value.load(ordering: .relaxed) {
                Self.serve(listener, &open)
            }
        }
    }

    deinit { stop() }

    /// Ends the server and its connections.
    package func stop() {
        running.value.store(false, ordering: .relaxed)
        thread.join()
    }

    private static func serve(_ listener: Socket, _ open: inout [Socket]) {
        var polled = ([listener] + open).map {
            pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0)
        }
        guard poll(&polled, nfds_t(polled.count), 50) > 0 else { return }
        let ready = zip(open, polled.dropFirst()).map { $0.1.revents != 0 }
        open = zip(open, ready).filter { !$0.1 || echo($0.0) }.map(\.0)
        if polled[0].revents != 0, let socket = try? listener.accept() { open.append(socket) }
    }

    /// False when the connection has ended.
    private static func echo(_ socket: Socket) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        do {
            guard let count = try buffer.withUnsafeMutableBytes({ try socket.receive(into: $0) })
            else { return true }
            if count == 0 { return false }
            return try buffer.withUnsafeBytes { bytes in
                try socket.send(.init(rebasing: bytes[..<count])) == count
            }
        } catch {
            return false
        }
    }
}

/// A TCP connection to an `EchoServer` whose every answer is compared with what was sent.
package final class EchoConnection: Sendable {
    private let socket: Socket
    private let sequence = Mutex<UInt64>(0)

    /// Connects from a host.
    package init(
        from host: Namespace, at local: Endpoint? = nil, to server: Endpoint
    ) throws {
        socket = try Socket.connecting(to: server, from: local, in: host)
    }

    /// Connects from the namespace of the calling thread.
    init(to server: Endpoint) throws {
        socket = try Socket.connecting(to: server)
    }

    /// The client's port.
    package var localPort: UInt16 { socket.localPort }

    /// Has TCP probe the connection once a second while it is idle.
    package func keepAlive() throws { try socket.keepAlive() }

    /// Sends numbered bytes and waits for the same ones.
    ///
    /// - Throws: `NeverHappened` where they do not come in time or are not the same, `CallFailed`
    ///   where the connection is broken.
    package func exchange(within seconds: Double = 10) throws {
        let number = sequence.withLock { number -> UInt64 in
            number += 1
            return number
        }
        let sent = (0..<64).map { UInt8(truncatingIfNeeded: number &* 131 &+ $0) }
        try socket.send(sent)
        var received: [UInt8] = []
        try eventually("echo \(number)", within: seconds, every: 0) {
            var buffer = [UInt8](repeating: 0, count: 64)
            let count = try buffer.withUnsafeMutableBytes { try socket.receive(into: $0) }
            if count == 0 { throw CallFailed("echo \(number)", errno: ECONNRESET) }
            received += buffer.prefix(count ?? 0)
            return received.count >= sent.count
        }
        guard received == sent else {
            throw NeverHappened("echo \(number) with the bytes that were sent", within: seconds)
        }
    }

    /// Closing sends a reset instead of a FIN, so that the entries end at once.
    package func resetOnClose() throws { try socket.resetOnClose() }
}
