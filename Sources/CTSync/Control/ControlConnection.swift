// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// One client of the control socket, as far as it has got.
final class ControlConnection {
    /// What the connection waits for.
    enum Progress {
        /// The rest of the request.
        case reading
        /// Room for the rest of the answer.
        case writing
        /// The time for the next piece of the answer.
        case resting
        /// Nothing: to be closed.
        case done
    }

    /// Tells it from the other clients.
    let token: UInt64
    /// When it came, or took the last piece of an answer.
    private(set) var since: Instant
    /// How long it may take from then on: who reads a long answer in a pager takes time.
    var patience: UInt64 {
        stream == nil ? ControlSocket.clientPatience : ControlSocket.readerPatience
    }
    /// What took longer than a piece does only waited for a processor.
    private static let longestRest = 20 * Duration.millisecond
    private let descriptor: Descriptor
    private var request: [UInt8] = []
    private var reply = TextBuffer()
    private var sent = 0
    /// Whether the request is here, and is being answered.
    private(set) var isAnswering = false
    private var stream: (any ControlStream)?
    private var nextPiece: Instant = 0
    /// When a client that rests is to be advanced.
    private(set) var restsUntil: Instant?

    /// Takes over an accepted connection.
    init(_ descriptor: consuming Descriptor, token: UInt64, since: Instant) {
        self.descriptor = descriptor
        self.token = token
        self.since = since
    }

    /// The descriptor's number.
    var raw: CInt { descriptor.raw }

    /// Goes on as far as it can without waiting.
    func advance(_ answer: (ControlRequest) -> ControlReply) -> Progress {
        restsUntil = nil
        if !isAnswering {
            switch receive() {
            case .reading: return .reading
            case .done: return .done
            case .writing, .resting: break
            }
            let asked = ControlLine.parse(request[...]).flatMap(ControlRequest.init)
            // Its client has told its user that nothing was changed; a newer order may have come.
            if asked?.verb == .set, hasHungUp { return .done }
            let answer = asked.map(answer) ?? .notUnderstood
            isAnswering = true
            answer.append(to: &reply)
            stream = answer.stream
        }
        var progress = send()
        if isSent, let stream, Clock.now() >= nextPiece {
            addPiece(stream)
            progress = send()
        }
        guard isSent, stream != nil, !hasHungUp else { return progress }
        restsUntil = nextPiece
        return .resting
    }

    private var isSent: Bool { sent == reply.bytes.count }

    /// Asks for the next piece of an answer; a call each, so that other clients get their turn, and
    /// for a quarter of the time at most, so that who looks does not hold up who replicates.
    private func addPiece(_ stream: any ControlStream) {
        since = Clock.now()
        sent = 0
        reply.removeAll()
        if let errno = stream.next(&reply) {
            ControlReply(errno: errno).append(to: &reply)
            self.stream = nil
        }
        let end = Clock.now()
        nextPiece = end + min(3 * (end - since), Self.longestRest)
    }

    /// Whether the client has closed its end; one that has only ended its input still listens.
    private var hasHungUp: Bool {
        var peer = pollfd(fd: raw, events: 0, revents: 0)
        return poll(&peer, 1, 0) == 1 && peer.revents & Int16(POLLHUP | POLLERR) != 0
    }

    /// Reads until the empty line: `.writing` is then next. More than the limit is not answered.
    private func receive() -> Progress {
        var chunk = [UInt8](repeating: 0, count: 1_024)
        while request.count <= ControlSocket.requestLimit {
            let count = recv(raw, &chunk, chunk.count, CInt(MSG_DONTWAIT))
            guard count > 0 else {
                let waiting = count < 0 && (errno == EAGAIN || errno == EINTR)
                return waiting ? .reading : .done
            }
            request += chunk[..<count]
            if ControlLine.isComplete(request) { return .writing }
        }
        ControlReply(errno: EMSGSIZE).append(to: &reply)
        _ = send()
        return .done
    }

    private func send() -> Progress {
        while sent < reply.bytes.count {
            let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL)
            let count = reply.bytes.withUnsafeBytes { bytes in
                Glibc.send(raw, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, flags)
            }
            guard count > 0 else {
                return count < 0 && (errno == EAGAIN || errno == EINTR) ? .writing : .done
            }
            sent += count
        }
        return .done
    }
}
