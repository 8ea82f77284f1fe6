// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Where `ct_sync flows` writes: standard output, or a log that is opened again after a rotation.
///
/// Lines are gathered and written when the events are drained. A reader that is slow makes the kernel
/// drop events, which is counted there; a log that cannot be written loses lines, which is counted
/// here and written as soon as that is possible.
final class FlowOutput {
    /// What a pipe with room takes without blocking (PIPE_BUF).
    private static let pipeChunk = 4_096

    private let path: String?
    private var file: Descriptor?
    private var pending: [UInt8] = []
    private var pendingLines: UInt64 = 0
    private var lost: UInt64 = 0
    /// Says on standard error what an administrator must know.
    private let say: (String) -> Void

    /// Opens the log, to append to it.
    ///
    /// - Parameter path: nil for standard output.
    /// - Throws: `SystemError` of open(2).
    init(path: String?, say: @escaping (String) -> Void) throws(SystemError) {
        self.path = path
        self.say = say
        if let path { file = try Self.open(path) }
    }

    private static func open(_ path: String) throws(SystemError) -> Descriptor {
        try Descriptor("open \(path)") {
            ctsync_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        }
    }

    /// Whether it is a log, which SIGHUP opens again.
    var isLog: Bool { path != nil }

    /// Opens the log again after it was renamed; the old one stays if that fails.
    func reopen() {
        guard let path else { return }
        do throws(SystemError) {
            file = try Self.open(path)
        } catch {
            say("the log stays the old one: \(error)")
        }
    }

    /// Adds a line.
    func add(_ line: String) {
        pending += line.utf8
        pending.append(UInt8(ascii: "\n"))
        pendingLines += 1
    }

    /// Writes what was gathered.
    ///
    /// - Parameter interrupted: a descriptor that ends the wait for a slow reader; the rest is kept.
    /// - Throws: `SystemError` of write(2) to standard output.
    func flush(unless interrupted: CInt) throws(SystemError) {
        guard !pending.isEmpty else { return }
        let hasLost = lost
        if hasLost > 0 { pending = lossNote + pending }
        let raw = file?.raw ?? STDOUT_FILENO
        var written = 0
        defer {
            pending.removeFirst(written)
            if pending.isEmpty { pendingLines = 0 }
        }
        while written < pending.count {
            if path == nil, !Self.hasRoom(raw, unless: interrupted) { return }
            let count = path == nil ? min(Self.pipeChunk, pending.count - written) : pending.count
            do throws(SystemError) {
                let start = written
                written += try retrying("write \(path ?? "standard output")") {
                    pending[start...].withUnsafeBytes {
                        write(raw, $0.baseAddress, min(count, $0.count))
                    }
                }
            } catch {
                guard path != nil else { throw error }
                if hasLost == 0 { say("lines are lost: \(error)") }
                lost += pendingLines
                written = pending.count
                return
            }
        }
        lost = 0
    }

    private var lossNote: [UInt8] {
        let time = FlowTime.text(microseconds: Clock.wallMicroseconds())
        return Array("time=\(time) event=unwritten lines=\(lost)\n".utf8)
    }

    private static func hasRoom(_ raw: CInt, unless interrupted: CInt) -> Bool {
        var polled = [
            pollfd(fd: raw, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: interrupted, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&polled, 2, -1)
        return polled[0].revents != 0
    }
}
