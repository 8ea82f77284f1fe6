// SPDX-License-Identifier: GPL-2.0-or-later

/// What became of a batch of requests.
package struct BatchOutcome: Equatable, Sendable {
    /// Requests sent.
    var requests = 0
    /// Errors that came back, each handed to the caller with its request's tag.
    var failures = 0
    /// Some errors did not fit the socket's buffer (ENOBUFS): a request without an error may have
    /// failed as well, and only looking at the table tells.
    var lostErrors = false

    /// Nothing sent.
    init() {}
}
