// SPDX-License-Identifier: GPL-2.0-or-later

/// What became of a batch of requests.
public struct BatchOutcome: Equatable, Sendable {
    /// Requests sent.
    public var requests = 0
    /// Errors that came back, each handed to the caller with its request's tag.
    public var failures = 0
    /// Some errors did not fit the socket's buffer (ENOBUFS): a request without an error may have
    /// failed as well, and only looking at the table tells.
    public var lostErrors = false

    /// Nothing sent.
    public init() {}
}
