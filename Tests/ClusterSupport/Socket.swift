// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A socket that was opened in a namespace and stays there; closed with its last owner.
///
/// Sending and receiving block, for `patience` at most, so that every thread of the tests ends.
package final class Socket: Sendable {
    package let raw: CInt

    private init(owning raw: CInt) { self.raw = raw }

    deinit { close(raw) }

    private convenience init(_ family: CInt, _ type: __socket_type, _ number: CInt) throws {
        let kind = CInt(type.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let raw = socket(family, kind, number)
        guard raw >= 0 else { throw CallFailed("socket") }
        self.init(owning: raw)
        try setPatience(milliseconds: 50)
    }

    /// A TCP socket that listens.
    package static func listening(on endpoint: Endpoint, in host: Namespace) throws -> Socket {
        try host.inside {
            let socket = try Socket(endpoint.family, SOCK_STREAM, 0)
            try socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
            try socket.bind(endpoint)
            guard listen(socket.raw, 128) == 0 else { throw CallFailed("listen \(endpoint)") }
            return socket
        }
    }

    /// A TCP connection, from any port or from this one; fails after two seconds without an answer.
    package static func connecting(
        to endpoint: Endpoint, from local: Endpoint? = nil, in host: Namespace
    ) throws -> Socket {
        try host.inside { try connecting(to: endpoint, from: local) }
    }

    /// The same from the namespace of the calling thread.
    static func connecting(to endpoint: Endpoint, from local: Endpoint? = nil) throws -> Socket {
        let socket = try Socket(endpoint.family, SOCK_STREAM, 0)
        if let local { try socket.bind(local) }
        try socket.setPatience(milliseconds: 2000)
        try socket.connect(endpoint)
        try socket.set(InternetProtocol.tcp, TCP_NODELAY, 1)
        try socket.setPatience(milliseconds: 50)
        return socket
    }

    /// A TCP connection that has sent its SYN and waits for no answer.
    package static func beginning(to endpoint: Endpoint, in host: Namespace) throws -> Socket {
        try host.inside {
            let socket = try Socket(
                endpoint.family, __socket_type(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            let result = try endpoint.withSocketAddress { Glibc.connect(socket.raw, $0, $1) }
            guard result == 0 || errno == EINPROGRESS else {
                throw CallFailed("connect \(endpoint)")
            }
            return socket
        }
    }

    /// Whether a TCP connection is established.
    package func isEstablished() throws -> Bool {
        var information = tcp_info()
        var size = socklen_t(MemoryLayout<tcp_info>.size)
        guard getsockopt(raw, InternetProtocol.tcp, TCP_INFO, &information, &size) == 0 else {
            throw CallFailed("getsockopt TCP_INFO")
        }
        return information.tcpi_state == 1
    }

    /// A UDP socket, bound or connected or both.
    package static func datagrams(
        from local: Endpoint? = nil, to peer: Endpoint? = nil, in host: Namespace
    ) throws -> Socket {
        try host.inside {
            let family = local?.family ?? peer?.family ?? AF_INET
            let socket = try Socket(family, SOCK_DGRAM, 0)
            if let local { try socket.bind(local) }
            if let peer { try socket.connect(peer) }
            return socket
        }
    }

    /// A raw socket that gets every ICMP or ICMPv6 packet of its host.
    package static func icmp(
        ipv6: Bool, to peer: Endpoint? = nil, in host: Namespace
    ) throws -> Socket {
        try host.inside {
            let number = ipv6 ? InternetProtocol.icmpv6 : InternetProtocol.icmp
            let socket = try Socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW, number)
            if let peer { try socket.connect(peer) }
            return socket
        }
    }

    /// A raw socket that gets every packet of a protocol: of IPv4 with its IP header, of IPv6 without.
    package static func raw(
        _ number: CInt, from local: Endpoint? = nil, to peer: Endpoint? = nil, ipv6: Bool = false,
        in host: Namespace
    ) throws -> Socket {
        try host.inside {
            let socket = try Socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW, number)
            if let local { try socket.bind(local) }
            if let peer { try socket.connect(peer) }
            return socket
        }
    }

    /// Takes the next connection of a listening socket; nil when none came.
    package func accept() throws -> Socket? {
        let raw = Glibc.accept(self.raw, nil, nil)
        guard raw >= 0 else { return try nothing("accept") }
        let socket = Socket(owning: raw)
        _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
        try socket.setPatience(milliseconds: 50)
        try socket.set(InternetProtocol.tcp, TCP_NODELAY, 1)
        return socket
    }

    /// Sends what it can; nil when nothing could go now.
    package func send(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        let count = Glibc.send(raw, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
        guard count >= 0 else { return try nothing("send") }
        return count
    }

    /// Sends one datagram to a peer; false when it could not go now.
    @discardableResult
    package func send(_ bytes: [UInt8], to peer: Endpoint? = nil) throws -> Bool {
        let count =
            if let peer {
                try peer.withSocketAddress {
                    sendto(raw, bytes, bytes.count, CInt(MSG_NOSIGNAL), $0, $1)
                }
            } else {
                Glibc.send(raw, bytes, bytes.count, CInt(MSG_NOSIGNAL))
            }
        if count < 0 { return try nothing("send") ?? false }
        return true
    }

    /// Receives into a buffer; nil when nothing came, 0 at the end of a connection.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        let count = recv(raw, buffer.baseAddress, buffer.count, 0)
        guard count >= 0 else { return try nothing("recv") }
        return count
    }

    /// Receives one datagram and its sender; nil when nothing came.
    package func receive() throws -> (bytes: [UInt8], from: Endpoint)? {
        var bytes = [UInt8](repeating: 0, count: 2048)
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(raw, &bytes, bytes.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { return try nothing("recvfrom") }
        guard let peer = Endpoint(storage) else { throw CallFailed("recvfrom", errno: EINVAL) }
        return (Array(bytes.prefix(count)), peer)
    }

    /// How often in a row the oldest unacknowledged segment has been repeated (tcp_info's
    /// tcpi_retransmits).
    package func repetitions() throws -> UInt8 {
        var bytes = [UInt8](repeating: 0, count: 104)
        var size = socklen_t(bytes.count)
        guard getsockopt(raw, InternetProtocol.tcp, TCP_INFO, &bytes, &size) == 0 else {
            throw CallFailed("getsockopt TCP_INFO")
        }
        return bytes[2]
    }

    /// No more data after what has been sent.
    package func finish() {
        shutdown(raw, CInt(SHUT_WR))
    }

    /// Closing sends a reset instead of a FIN.
    package func resetOnClose() throws {
        var value = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        guard setsockopt(raw, SOL_SOCKET, SO_LINGER, &value, size) == 0 else {
            throw CallFailed("setsockopt SO_LINGER")
        }
    }

    /// Has TCP ask once a second whether the other side is there, and give up after ten.
    func keepAlive() throws {
        try set(SOL_SOCKET, SO_KEEPALIVE, 1)
        try set(InternetProtocol.tcp, TCP_KEEPIDLE, 1)
        try set(InternetProtocol.tcp, TCP_KEEPINTVL, 1)
        try set(InternetProtocol.tcp, TCP_KEEPCNT, 10)
    }

    /// The speed of a TCP sender in bytes per second.
    package func limit(bytesPerSecond: CInt) throws {
        try set(SOL_SOCKET, SO_MAX_PACING_RATE, bytesPerSecond)
    }

    private func bind(_ endpoint: Endpoint) throws {
        let result = try endpoint.withSocketAddress { Glibc.bind(raw, $0, $1) }
        guard result == 0 else { throw CallFailed("bind \(endpoint)") }
    }

    private func connect(_ endpoint: Endpoint) throws {
        let result = try endpoint.withSocketAddress { Glibc.connect(raw, $0, $1) }
        guard result == 0 else { throw CallFailed("connect \(endpoint)") }
    }

    /// The own port of a TCP or UDP socket; 0 if it has none.
    var localPort: UInt16 {
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(raw, $0, &length)
            }
        }
        // In the same place for IPv4.
        return UInt16(bigEndian: address.sin6_port)
    }

    private func set(_ level: CInt, _ option: CInt, _ value: CInt) throws {
        var value = value
        let size = socklen_t(MemoryLayout<CInt>.size)
        guard setsockopt(raw, level, option, &value, size) == 0 else {
            throw CallFailed("setsockopt \(option)")
        }
    }

    private func setPatience(milliseconds: Int) throws {
        var value = timeval(
            tv_sec: milliseconds / 1000, tv_usec: (milliseconds % 1000) * 1000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            guard setsockopt(raw, SOL_SOCKET, option, &value, size) == 0 else {
                throw CallFailed("setsockopt SO_RCVTIMEO")
            }
        }
    }

    /// nil where the call only had nothing to do.
    private func nothing<Result>(_ call: String) throws -> Result? {
        let number = errno
        if number == EAGAIN || number == EWOULDBLOCK || number == EINTR { return nil }
        throw CallFailed(call, errno: number)
    }
}
