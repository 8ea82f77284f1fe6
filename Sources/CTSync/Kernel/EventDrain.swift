// SPDX-License-Identifier: GPL-2.0-or-later

/// What one receive on the event socket brought.
public struct EventDrain: Equatable, Sendable {
    /// Messages handed to the caller.
    public var messages = 0
    /// Nothing was left when it returned; poll before the next receive.
    public var isDrained = false
    /// ENOBUFS: the kernel dropped events, destroys among them; only a fresh dump repairs that.
    public var overrun = false

    /// Nothing received.
    public init() {}
}
