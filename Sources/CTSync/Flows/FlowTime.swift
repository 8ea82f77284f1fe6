// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Times in the lines of `ct_sync flows`.
enum FlowTime {
    /// In UTC, as `2026-01-31T12:00:00.000001Z`.
    static func text(microseconds: UInt64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))"
            + "-\(padded(Int(parts.tm_mday), 2))T\(padded(Int(parts.tm_hour), 2))"
            + ":\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
            + ".\(padded(Int(microseconds % 1_000_000), 6))Z"
    }

    /// Seconds with three places.
    static func seconds(nanoseconds: UInt64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        return "\(milliseconds / 1_000).\(padded(Int(milliseconds % 1_000), 3))"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
