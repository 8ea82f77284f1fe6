// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The daemon's end of the control socket, a unix stream socket beside the control file.
///
/// A client sends one request of `key=value` lines, ended by an empty one, and gets one answer that
/// ends with `errno=0` and an empty line. One thread polls `raw` and calls `serve(_:)`, which never
/// waits: requests are bounded, so is the number of clients, and the oldest one makes place for a
/// newcomer, so that slow and silent clients keep nobody out.
final class ControlSocket {
    /// What the socket's name has behind that of the control file.
    static let suffix = ".sock"
    /// That of the socket for those who may look and order nothing.
    static let viewSuffix = ".view.sock"
    /// The longest path of a unix socket, in bytes: sun_path without its final zero.
    static let pathLimit = 107
    /// Bytes of a request, at most.
    static let requestLimit = 4_096
    /// Clients at the same time, at most.
    static let clientLimit = 16
    /// A client that has not got its answer in this time is let go.
    static let clientPatience = 5 * Duration.second
    /// One that has not taken the next piece of a long answer in this time, likewise.
    static let readerPatience = 600 * Duration.second

    private let path: String
    /// Whether every client that could connect is answered, and only questions are.
    private let isView: Bool
    private let epoll: Descriptor
    private let listener: Descriptor
    /// Fires when the rest of a client is over; its token is no client's.
    private let alarm: Descriptor
    private var alarmTime: Instant = 0
    private static let alarmToken = UInt64.max
    private var clients: [ControlConnection] = []
    /// Makes room for a client where the process has no descriptor left: who wants to know why is to be
    /// answered, and one that waits unheard keeps `raw` readable all the time.
    private var spare: Descriptor?
    private var lastToken: UInt64 = 0

    /// Opens the socket of a control file; whoever calls it holds the `InstanceLock`, so that a
    /// socket that is there is a dead daemon's, and is replaced.
    ///
    /// - Throws: `SystemError` if it cannot be made.
    convenience init(controlFile: String) throws(SystemError) {
        try self.init(path: controlFile + ControlSocket.suffix, isView: false)
    }

    /// Opens a second socket, for the members of a group: it answers questions and takes no orders.
    ///
    /// - Parameter group: its number; the file can be used by the group only if this process may give
    ///   it away, or has that group itself.
    /// - Throws: `SystemError` if it cannot be made.
    convenience init(controlFile: String, viewFor group: gid_t) throws(SystemError) {
        try self.init(path: controlFile + ControlSocket.viewSuffix, isView: true)
        let path = path
        do throws(SystemError) {
            if getegid() != group { try retrying("chown \(path)") { chown(path, .max, group) } }
            try retrying("chmod \(path)") { chmod(path, 0o660) }
        } catch {
            unlink(path)
            throw error
        }
    }

    private init(path: String, isView: Bool) throws(SystemError) {
        self.path = path
        self.isView = isView
        epoll = try Descriptor("epoll_create") { ctsync_epoll() }
        listener = try Descriptor("socket") {
            let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            return socket(AF_UNIX, kind, 0)
        }
        alarm = try Descriptor("timerfd_create") { ctsync_timer() }
        let (raw, path) = (listener.raw, path)
        unlink(path)
        let old = umask(0o177)
        defer { umask(old) }
        try retrying("bind \(path)") {
            ControlSocket.withAddress(path) { bind(raw, $0, $1) } ?? tooLong()
        }
        try retrying("listen \(path)") { listen(raw, 64) }
        try retrying("epoll_ctl") { ctsync_epoll_add(epoll.raw, raw, 0) }
        try retrying("epoll_ctl") { ctsync_epoll_add(epoll.raw, alarm.raw, Self.alarmToken) }
        spare = Self.makeSpare()
    }

    /// What to poll for POLLIN.
    var raw: CInt { epoll.raw }

    /// Takes in clients, answers their requests and sends what is left of answers.
    ///
    /// - Parameters:
    ///   - now: the time, for letting go of clients that take too long.
    ///   - answer: what to answer to a request.
    func serve(
        now: Instant = Clock.now(), _ answer: (ControlRequest) -> ControlReply
    ) {
        serve(readyTokens(), now, answer)
    }

    /// Goes on with long answers, if nobody asks anything.
    ///
    /// - Returns: whether that was all, so that the node need not be looked at; if not, somebody asks, and
    ///   `serve` is to be called, or an answer has ended.
    func goOn(now: Instant = Clock.now()) -> Bool {
        let ready = readyTokens()
        let isAnswering = { token in
            self.clients.contains { $0.token == token && $0.isAnswering }
        }
        guard ready.allSatisfy({ $0 == Self.alarmToken || isAnswering($0) }) else { return false }
        let count = clients.count
        serve(ready, now) { _ in .notUnderstood }
        return clients.count == count
    }

    private func readyTokens() -> ArraySlice<UInt64> {
        var tokens = [UInt64](repeating: 0, count: ControlSocket.clientLimit + 2)
        let count = Int(max(0, ctsync_epoll_ready(epoll.raw, &tokens, CInt(tokens.count))))
        return tokens[..<count]
    }

    private func serve(
        _ ready: ArraySlice<UInt64>, _ now: Instant,
        _ answer: (ControlRequest) -> ControlReply
    ) {
        let rested = clients.filter { $0.restsUntil ?? .max <= now }
        for token in ready + rested.map(\.token) {
            if token == 0 {
                acceptClients(now)
            } else if let index = clients.firstIndex(where: { $0.token == token }) {
                advance(index, answer)
            }
        }
        clients.removeAll { now &- $0.since > $0.patience && now > $0.since }
        if spare == nil { spare = Self.makeSpare() }
        setAlarm()
    }

    private func setAlarm() {
        let next = clients.compactMap(\.restsUntil).min() ?? 0
        guard next != alarmTime else { return }
        alarmTime = next
        ctsync_timer_set(alarm.raw, next)
    }

    private static func makeSpare() -> Descriptor? {
        do throws(SystemError) {
            return try Descriptor("eventfd") { ctsync_eventfd() }
        } catch {
            return nil
        }
    }

    /// Takes the socket away, at an orderly stop.
    func remove() {
        unlink(path)
    }

    private func acceptClients(_ now: Instant) {
        // As many as may wait; the rest comes with the next call.
        for _ in 0..<ControlSocket.clientLimit {
            var accepted = ctsync_accept(listener.raw)
            if accepted < 0, errno == EMFILE || errno == ENFILE, spare != nil {
                spare = nil
                accepted = ctsync_accept(listener.raw)
            }
            guard accepted >= 0 else { return }
            let descriptor = Descriptor(owning: accepted)
            guard isView || ctsync_peer_is_trusted(accepted) == 1 else { continue }
            if clients.count == ControlSocket.clientLimit { clients.removeFirst() }
            lastToken += 1
            guard ctsync_epoll_add(epoll.raw, accepted, lastToken) == 0 else { continue }
            clients.append(ControlConnection(descriptor, token: lastToken, since: now))
        }
    }

    private func advance(_ index: Int, _ answer: (ControlRequest) -> ControlReply) {
        let client = clients[index]
        let isView = isView
        let progress = client.advance { request in
            guard !isView || request.verb == .get else {
                return ControlReply(refused: "this socket takes no orders", errno: EPERM)
            }
            return answer(request)
        }
        switch progress {
        case .reading: return
        case .writing: ctsync_epoll_want_write(epoll.raw, client.raw, client.token)
        case .resting: ctsync_epoll_want_nothing(epoll.raw, client.raw, client.token)
        case .done: clients.remove(at: index)
        }
    }

    /// Hands over the address of a path; nil for one that is too long.
    static func withAddress<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        guard path.utf8.count <= pathLimit else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafeBytes(of: &address) { bytes in
            bytes.baseAddress.map {
                body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
        }
    }
}

/// A call that failed because a path is too long for a socket's address.
func tooLong() -> CInt {
    errno = ENAMETOOLONG
    return -1
}
