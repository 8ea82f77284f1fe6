// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A point on a clock that never goes back, in nanoseconds; state machines are handed it.
package typealias Instant = UInt64

/// One microsecond, millisecond and second in the unit of `Instant`.
package enum Duration {
    /// A microsecond in nanoseconds.
    static let microsecond: UInt64 = 1_000
    /// A millisecond in nanoseconds.
    package static let millisecond: UInt64 = 1_000_000
    /// A second in nanoseconds.
    package static let second: UInt64 = 1_000_000_000
}

/// The machine's clocks, read only by threads and never by state machines.
package enum Clock {
    /// CLOCK_BOOTTIME in nanoseconds: goes on through a suspend, as connections' timeouts do.
    package static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * Duration.second + UInt64(time.tv_nsec)
    }

    /// CLOCK_REALTIME in microseconds since 1970.
    package static func wallMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }
}
