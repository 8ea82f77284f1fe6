// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

extension ControlClient {
    /// Asks a running daemon for an answer of any length, which is handed over line by line.
    ///
    /// - Parameters:
    ///   - controlFile: the daemon's control file, beside which its socket is.
    ///   - lines: the request, such as `get=dump`.
    ///   - timeoutMilliseconds: how long the daemon may be silent.
    ///   - body: takes each line but the last.
    /// - Returns: the answer's errno: 0 for success.
    /// - Throws: `SystemError`; ENOENT and ECONNREFUSED if no daemon is there, EPROTO for an
    ///   answer that ends too early or is none.
    package static func request(
        controlFile: String, _ lines: [ControlLine], timeoutMilliseconds: Int = 5_000,
        eachLine body: (ControlLine) -> Void
    ) throws(SystemError) -> CInt {
        let path = socketPath(controlFile, lines)
        let patience = UInt64(timeoutMilliseconds) * Duration.millisecond
        let descriptor = try connected(path, Clock.now() + patience)
        let raw = descriptor.raw
        try send(ControlLine.render(lines), raw, path)
        var pending: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            var wait = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
            guard try retrying("poll", { poll(&wait, 1, CInt(timeoutMilliseconds)) }) > 0 else {
                throw SystemError("read \(path)", errno: ETIMEDOUT)
            }
            let count = try retryingNonBlocking("read \(path)") {
                recv(raw, &chunk, chunk.count, 0)
            }
            guard let count else { continue }
            guard count > 0 else { throw SystemError("read \(path)", errno: EPROTO) }
            pending += chunk[..<count]
            guard let end = pending.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            guard let complete = ControlLine.parse(pending[...end]) else {
                throw SystemError("read \(path)", errno: EPROTO)
            }
            pending.removeSubrange(...end)
            for line in complete {
                if line.key == "errno", let number = CInt(line.value) { return number }
                body(line)
            }
        }
    }
}
