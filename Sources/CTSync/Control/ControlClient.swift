// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The other end of the control socket, as `ct_sync status` uses it.
package enum ControlClient {
    /// Asks a running daemon.
    ///
    /// - Parameters:
    ///   - controlFile: the daemon's control file, beside which its socket is.
    ///   - lines: the request, such as `get=status`.
    ///   - timeoutMilliseconds: how long to wait for the whole answer.
    /// - Returns: the answer's lines without the last one, which was `errno=0`.
    /// - Throws: `SystemError`; ENOENT and ECONNREFUSED if no daemon is there, the answer's own
    ///   errno if it is not 0, EPROTO for an answer that is none.
    package static func request(
        controlFile: String, _ lines: [ControlLine], timeoutMilliseconds: Int = 2_000
    ) throws(SystemError) -> [ControlLine] {
        let path = socketPath(controlFile, lines)
        let deadline = Clock.now() + UInt64(timeoutMilliseconds) * Duration.millisecond
        let descriptor = try connected(path, deadline)
        let raw = descriptor.raw
        try send(ControlLine.render(lines), raw, path)
        let reply = try receive(raw, path, deadline)
        guard let answered = ControlLine.parse(reply[...]), let last = answered.last,
            last.key == "errno", let number = CInt(last.value)
        else {
            throw SystemError("read \(path)", errno: EPROTO)
        }
        guard number == 0 else { throw SystemError("ct_sync's answer", errno: number) }
        return answered.dropLast()
    }

    /// The socket for a request: who is not root may use the one that takes no orders, if it is there.
    static func socketPath(
        _ controlFile: String, _ lines: [ControlLine], userID: uid_t = geteuid()
    ) -> String {
        let view = controlFile + ControlSocket.viewSuffix
        let isQuestion = lines.first?.key == ControlRequest.Verb.get.rawValue
        guard isQuestion, userID != 0, access(view, F_OK) == 0 else {
            return controlFile + ControlSocket.suffix
        }
        return view
    }

    /// Connects to the socket of this path.
    static func connected(
        _ path: String, _ deadline: Instant
    ) throws(SystemError) -> Descriptor {
        let descriptor = try Descriptor("socket") {
            socket(
                AF_UNIX,
                CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        }
        let raw = descriptor.raw
        while true {
            // EAGAIN: the daemon's queue of newcomers is full for the moment.
            let connected: CInt? = try retryingNonBlocking("connect \(path)") {
                ControlSocket.withAddress(path) { connect(raw, $0, $1) } ?? tooLong()
            }
            if connected != nil { return descriptor }
            guard Clock.now() < deadline else {
                throw SystemError("connect \(path)", errno: ETIMEDOUT)
            }
            usleep(5_000)
        }
    }

    /// Sends a whole request.
    ///
    /// - Throws: `SystemError`; EMSGSIZE if the socket took a part of it.
    static func send(_ bytes: [UInt8], _ raw: CInt, _ path: String) throws(SystemError) {
        // A request is smaller than any socket's buffer: all of it goes at once.
        let count = try retrying("write \(path)") {
            Glibc.send(raw, bytes, bytes.count, CInt(MSG_NOSIGNAL))
        }
        guard count == bytes.count else { throw SystemError("write \(path)", errno: EMSGSIZE) }
    }

    private static func receive(
        _ raw: CInt, _ path: String, _ deadline: Instant
    ) throws(SystemError) -> [UInt8] {
        var reply: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let now = Clock.now()
            guard now < deadline else { throw SystemError("read \(path)", errno: ETIMEDOUT) }
            var wait = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
            let milliseconds = CInt((deadline - now) / Duration.millisecond + 1)
            try retrying("poll") { poll(&wait, 1, milliseconds) }
            let count = try retryingNonBlocking("read \(path)") {
                recv(raw, &chunk, chunk.count, 0)
            }
            guard let count else { continue }
            if count == 0 { return reply }
            reply += chunk[..<count]
        }
    }
}
