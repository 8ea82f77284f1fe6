// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Tells the service manager how the daemon is: the datagrams of sd_notify(3).
///
/// Without NOTIFY_SOCKET in the environment it does nothing. A message that cannot be sent is
/// dropped: the manager's ear is no condition of replication. Used by one thread.
struct ServiceNotify: ~Copyable {
    /// Within which time the manager wants to hear `WATCHDOG=1` again, halved; nil for no watchdog.
    let watchdogInterval: UInt64?
    /// The socket; -1 if nobody listens.
    private let raw: CInt
    private var address = sockaddr_un()
    private var addressLength: socklen_t = 0
    private var aliveAt: Instant = 0
    private var shownStatus = ""

    /// A notifier as the process's environment asks for it.
    init() {
        self.init { name in getenv(name).map { String(cString: $0) } }
    }

    /// A notifier as an environment asks for it.
    ///
    /// - Parameter environment: looks a variable up; nil if it is not set.
    init(environment: (String) -> String?) {
        watchdogInterval = Self.watchdogInterval(environment)
        guard let name = environment("NOTIFY_SOCKET"),
            let length = Self.fill(&address, Array(name.utf8))
        else {
            raw = -1
            return
        }
        addressLength = length
        let kind = CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        raw = socket(AF_UNIX, kind, 0)
    }

    deinit {
        if raw >= 0 { close(raw) }
    }

    /// Whether a manager listens.
    var isHeard: Bool { raw >= 0 }

    /// The start is complete.
    func ready() {
        send("READY=1")
    }

    /// The end has begun.
    func stopping() {
        send("STOPPING=1")
    }

    /// One line for a person, sent when it is another one than before.
    mutating func show(_ status: String) {
        guard status != shownStatus else { return }
        shownStatus = status
        send("STATUS=" + String(status.map { $0.isNewline ? " " : $0 }))
    }

    /// The daemon is alive: to be called at each turn of its loop, sent when it is due.
    mutating func alive(now: Instant) {
        guard let watchdogInterval, now &- aliveAt >= watchdogInterval else { return }
        aliveAt = now
        send("WATCHDOG=1")
    }

    private func send(_ message: String) {
        guard isHeard else { return }
        let bytes = Array(message.utf8)
        withUnsafeBytes(of: address) { storage in
            guard let base = storage.baseAddress else { return }
            _ = sendto(
                raw, bytes, bytes.count, CInt(MSG_NOSIGNAL),
                base.assumingMemoryBound(to: sockaddr.self), addressLength)
        }
    }

    /// Half of WATCHDOG_USEC, in nanoseconds, where WATCHDOG_PID means this process.
    private static func watchdogInterval(_ environment: (String) -> String?) -> UInt64? {
        if let process = environment("WATCHDOG_PID"), process != String(getpid()) { return nil }
        guard let text = environment("WATCHDOG_USEC"), let microseconds = UInt64(text),
            microseconds > 0, microseconds <= .max / Duration.microsecond
        else { return nil }
        return microseconds * Duration.microsecond / 2
    }

    /// Writes the name of NOTIFY_SOCKET as an address: a path, or after `@` an abstract name.
    ///
    /// - Returns: the address's length; nil for a name that is neither.
    private static func fill(_ address: inout sockaddr_un, _ name: [UInt8]) -> socklen_t? {
        let isAbstract = name.first == UInt8(ascii: "@")
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard name.count > 1, isAbstract || name.first == UInt8(ascii: "/"),
            // A path needs a zero behind it; an abstract name is as long as the address says.
            name.count < room || isAbstract && name.count == room
        else { return nil }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            path.copyBytes(from: name)
            if isAbstract { path[0] = 0 }
        }
        let offset = MemoryLayout.offset(of: \sockaddr_un.sun_path) ?? 2
        return socklen_t(offset + name.count + (isAbstract ? 0 : 1))
    }
}
