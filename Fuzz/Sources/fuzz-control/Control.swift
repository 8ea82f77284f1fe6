// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport
import Glibc

@testable import CTSync

/// What a client writes into the control socket, in pieces, as `ControlConnection` reads it from a
/// socket, and what it is answered.
///
/// The first byte of the input is the number of bytes of a piece.
@main enum ControlFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let piece = max(Int(input.byte()), 1)
    var sockets: [CInt] = [0, 0]
    guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &sockets) == 0,
        let descriptor = try? Descriptor("socketpair", { sockets[0] })
    else { fatalError("no socket") }
    let connection = ControlConnection(descriptor, token: 1, since: 0)
    var answered = 0
    var progress = ControlConnection.Progress.reading
    while !input.isEmpty, case .reading = progress {
        let bytes = input.array(atMost: piece)
        guard send(sockets[1], bytes, bytes.count, CInt(MSG_DONTWAIT)) == bytes.count else { break }
        progress = connection.advance { request in
            answered += 1
            return answer(request)
        }
    }
    for _ in 0..<100 {
        guard case .writing = progress else { break }
        progress = connection.advance { _ in fatalError("answered twice") }
        drain(sockets[1])
    }
    precondition(answered <= 1)
    close(sockets[1])
    return 0
}

/// An answer of each kind, with what was asked in it.
private func answer(_ request: ControlRequest) -> ControlReply {
    switch request.verb {
    case .get where request.subject == "dump": ControlReply(Pieces(request.arguments))
    case .get: ControlReply(request.arguments)
    case .set: ControlReply(refused: "no", errno: EINVAL)
    }
}

private final class Pieces: ControlStream {
    private var rest: [ControlLine]

    init(_ lines: [ControlLine]) { rest = lines }

    func next(_ reply: inout TextBuffer) -> CInt? {
        guard let last = rest.popLast() else { return 0 }
        reply.append(last)
        return nil
    }
}

private func drain(_ socket: CInt) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while recv(socket, &buffer, buffer.count, CInt(MSG_DONTWAIT)) > 0 {}
}
