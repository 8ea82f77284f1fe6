// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The rest of an answer that is too long to be held: asked for piece by piece, each when the client
/// has taken the one before.
protocol ControlStream: AnyObject {
    /// Adds the next lines, a piece that takes no longer than a millisecond or two; maybe none yet.
    ///
    /// - Returns: nil if more may follow, else the answer's errno(3).
    func next(_ reply: inout TextBuffer) -> CInt?
}

/// What the daemon answers on the control socket: lines, and an errno(3) of 0 for success.
struct ControlReply {
    /// The lines before the last one.
    let lines: [ControlLine]
    /// The last line's number.
    let errno: CInt
    /// What comes before the number where not all lines are there yet.
    let stream: (any ControlStream)?

    /// An answer that holds these lines.
    init(_ lines: [ControlLine] = [], errno: CInt = 0) {
        self.lines = lines
        self.errno = errno
        stream = nil
    }

    /// An answer that comes piece by piece.
    init(_ stream: any ControlStream) {
        lines = []
        errno = 0
        self.stream = stream
    }

    /// A refusal with a sentence that says why.
    init(refused sentence: String, errno: CInt) {
        self.init([ControlLine("error", sentence)], errno: errno)
    }

    /// A success with a sentence that says what was done.
    init(done sentence: String) {
        self.init([ControlLine("done", sentence)])
    }

    /// An answer that holds a status.
    init(_ report: StatusReport) {
        self.init(report.lines)
    }

    /// The answer to what is not understood.
    static var notUnderstood: ControlReply { ControlReply(errno: EINVAL) }

    /// Adds it as it goes over the socket; nothing yet if it comes piece by piece.
    func append(to text: inout TextBuffer) {
        guard stream == nil else { return }
        for line in lines { text.append(line) }
        text.append(ControlLine("errno", String(errno)))
        text.append("\n")
    }
}
