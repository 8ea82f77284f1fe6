// SPDX-License-Identifier: GPL-2.0-or-later

/// What one receive on the event socket brought.
package struct EventDrain: Equatable, Sendable {
    /// Messages handed to the caller.
    var messages = 0
    /// Nothing was left when it returned; poll before the next receive.
    var isDrained = false
    /// ENOBUFS: the kernel dropped events, destroys among them; only a fresh dump repairs that.
    var overrun = false

    /// Nothing received.
    init() {}
}
