// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What the daemon answers on the control socket: lines, and an errno(3) of 0 for success.
public struct ControlReply: Sendable, Equatable {
    /// The lines before the last one.
    public let lines: [ControlLine]
    /// The last line's number.
    public let errno: CInt

    /// An answer that holds these lines.
    public init(_ lines: [ControlLine] = [], errno: CInt = 0) {
        self.lines = lines
        self.errno = errno
    }

    /// An answer that holds a status.
    public init(_ report: StatusReport) {
        self.init(report.lines)
    }

    /// The answer to what is not understood.
    public static let notUnderstood = ControlReply(errno: EINVAL)

    /// The bytes on the socket.
    var bytes: [UInt8] {
        ControlLine.render(lines + [ControlLine("errno", String(errno))])
    }
}
