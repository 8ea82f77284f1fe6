// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

extension ControlClient {
    /// Asks a running daemon for an answer of any length, which is handed over line by line.
    ///
    /// - Parameters:
    ///   - controlFile: the daemon's control file, beside which its socket is.
    ///   - lines: the request, such as `get=dump`.
    ///   - timeoutMilliseconds: how long the daemon may be silent.
    ///   - listKey: the key of the lines that are a list, of any length.
    ///   - value: takes the value of each of these where it lies, as UTF-8: a String each would cost more
    ///     than all else that is done with it.
    ///   - body: takes each other line but the last.
    /// - Returns: the answer's errno: 0 for success.
    /// - Throws: `SystemError`; ENOENT and ECONNREFUSED if no daemon is there, EPROTO for an
    ///   answer that ends too early or is none.
    package static func request(
        controlFile: String, _ lines: [ControlLine], timeoutMilliseconds: Int = 5_000,
        listKey: String = "", eachValue value: (UnsafeRawBufferPointer) -> Void = { _ in },
        eachLine body: (ControlLine) -> Void
    ) throws(SystemError) -> CInt {
        let path = socketPath(controlFile, lines)
        let patience = UInt64(timeoutMilliseconds) * Duration.millisecond
        let descriptor = try connected(path, Clock.now() + patience)
        let raw = descriptor.raw
        try send(ControlLine.render(lines), raw, path)
        let prefix = listKey.isEmpty ? [] : Array("\(listKey)=".utf8)
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
            switch takeLines(pending[...end], prefix, value, body) {
            case .more: pending.removeSubrange(...end)
            case .end(let number): return number
            case .malformed: throw SystemError("read \(path)", errno: EPROTO)
            }
        }
    }

    /// What some whole lines of an answer came to.
    private enum Progress {
        case more
        /// The answer ended with this errno.
        case end(CInt)
        case malformed
    }

    private static func takeLines(
        _ lines: ArraySlice<UInt8>, _ listPrefix: [UInt8],
        _ value: (UnsafeRawBufferPointer) -> Void, _ body: (ControlLine) -> Void
    ) -> Progress {
        guard String(validating: lines, as: UTF8.self) != nil else { return .malformed }
        return lines.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while let line = nextLine(&rest) {
                guard let start = line.baseAddress, !line.isEmpty else { continue }
                if !listPrefix.isEmpty, line.count >= listPrefix.count,
                    memcmp(start, listPrefix, listPrefix.count) == 0
                {
                    value(UnsafeRawBufferPointer(rebasing: line[listPrefix.count...]))
                    continue
                }
                guard let line = ControlLine(parsing: line) else { return .malformed }
                if line.key == "errno", let number = CInt(line.value) { return .end(number) }
                body(line)
            }
            return .more
        }
    }

    /// Takes a line from bytes that end with one, without its end; nil if there is none.
    private static func nextLine(
        _ rest: inout Slice<UnsafeRawBufferPointer>
    ) -> UnsafeRawBufferPointer? {
        let bytes = UnsafeRawBufferPointer(rebasing: rest)
        guard let start = bytes.baseAddress,
            let end = memchr(start, CInt(UInt8(ascii: "\n")), bytes.count)
        else { return nil }
        let count = UnsafeRawPointer(end) - start
        rest = rest.dropFirst(count + 1)
        return UnsafeRawBufferPointer(rebasing: bytes[..<count])
    }
}
