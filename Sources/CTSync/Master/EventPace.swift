// SPDX-License-Identifier: GPL-2.0-or-later

/// How long the event listener pauses before it looks at its socket again.
///
/// Being woken costs more than most events do. So under load the listener sleeps through a pause, in
/// which events gather, and not until the next event. The pause follows the number of events of the
/// last milliseconds: none for a connection or two, `longest` from four events a millisecond on, which
/// is some 600 connections a second. After a pause without an event it waits for the next one, which
/// then goes out at once.
///
/// An event waits for `longest` at most, so what it adds to the latency is bounded whatever the load.
struct EventPace {
    /// The pause under load.
    static let longest = 1 * Duration.millisecond
    /// The time that the load is taken over.
    private static let window = 8 * Duration.millisecond
    /// Events within the window up to which there is no pause: a connection's begin and end.
    private static let least: UInt64 = 8
    /// Events within the window from which on the pause is the longest.
    private static let most: UInt64 = 32
    /// The load is kept in parts of an event.
    private static let parts: UInt64 = 1_024

    /// Events within the window, in parts: a mean in which older events count less.
    private var load: UInt64 = 0
    private var lastLook: Instant = 0

    /// Records a look at the socket.
    ///
    /// - Parameter events: how many it found.
    /// - Returns: when to look again: at an instant, or when there is an event.
    mutating func looked(events: UInt64, now: Instant) -> Pause {
        let elapsed = min(now - min(lastLook, now), Self.window)
        lastLook = now
        load -= load * elapsed / Self.window
        load = min(load + min(events, Self.most) * Self.parts, Self.most * Self.parts * 2)
        guard events > 0, load > Self.least * Self.parts else { return .untilWoken }
        let share = min(load / (Self.most * Self.parts / 1_024), 1_024)
        return .until(now + Self.longest * share / 1_024)
    }
}
