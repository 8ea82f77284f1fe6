// SPDX-License-Identifier: GPL-2.0-or-later

/// What a client asked of the control socket: `get=status`, or `set=resync` with further lines.
struct ControlRequest: Sendable, Equatable {
    /// Whether something is asked for or to be changed.
    enum Verb: String, Sendable {
        /// Reads.
        case get
        /// Changes.
        case set
    }

    /// The first line's key.
    let verb: Verb
    /// The first line's value.
    let subject: String
    /// The lines after it.
    let arguments: [ControlLine]

    /// Reads the lines of a request; nil for one that is none.
    init?(_ lines: [ControlLine]) {
        guard let first = lines.first, let verb = Verb(rawValue: first.key) else { return nil }
        self.verb = verb
        subject = first.value
        arguments = Array(lines.dropFirst())
    }
}
