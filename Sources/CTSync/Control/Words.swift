// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Numbers and times as a person reads them.
package enum Words {
    /// `104,382`
    package static func number(_ number: some BinaryInteger) -> String {
        let digits = Array(String(number))
        var words = ""
        for (index, digit) in digits.enumerated() {
            let left = digits.count - index
            if index > 0, left % 3 == 0, digits[index - 1] != "-" { words += "," }
            words.append(digit)
        }
        return words
    }

    /// `1 slave`, `2 slaves`
    package static func count(
        _ number: some BinaryInteger, _ noun: String, _ plural: String
    ) -> String {
        "\(self.number(number)) \(number == 1 ? noun : plural)"
    }

    /// A length of time, from nanoseconds: `0.4 ms`, `46 ms`, `1.2 s`, `41 s`, `7 min`, `3 h 12 min`,
    /// `4 d`.
    package static func time(_ nanoseconds: UInt64) -> String {
        let microseconds = nanoseconds / Duration.microsecond
        switch microseconds {
        case ..<10_000: return tenths(microseconds / 100) + " ms"
        case ..<1_000_000: return "\(microseconds / 1_000) ms"
        case ..<10_000_000: return tenths(microseconds / 100_000) + " s"
        default: break
        }
        let seconds = microseconds / 1_000_000
        switch seconds {
        case ..<100: return "\(seconds) s"
        case ..<3_600: return "\(seconds / 60) min"
        case ..<86_400: return two(seconds / 3_600, "h", seconds % 3_600 / 60, "min")
        default: return two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h")
        }
    }

    private static func two(
        _ large: UInt64, _ unit: String, _ small: UInt64, _ part: String
    ) -> String {
        small == 0 ? "\(large) \(unit)" : "\(large) \(unit) \(small) \(part)"
    }

    private static func tenths(_ count: UInt64) -> String {
        count % 10 == 0 ? "\(count / 10)" : "\(count / 10).\(count % 10)"
    }

    /// The time of day of a wall clock's microseconds, in local time: `02:14:07`.
    package static func clock(_ wallMicroseconds: UInt64) -> String {
        var seconds = time_t(wallMicroseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return [parts.tm_hour, parts.tm_min, parts.tm_sec].map { two(Int($0)) }
            .joined(separator: ":")
    }

    /// The same with milliseconds: `02:14:07.042`.
    static func preciseClock(_ wallMicroseconds: UInt64) -> String {
        let milliseconds = String(wallMicroseconds / 1_000 % 1_000 + 1_000)
        return "\(clock(wallMicroseconds)).\(milliseconds.dropFirst())"
    }

    /// The date and time of an event, in local time: `2026-11-25 02:14:07`.
    package static func time(of event: HistoryEvent) -> String {
        var seconds = time_t(event.wallMicroseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        let date = [Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { two($0) }
        return "\(parts.tm_year + 1_900)-\(date.joined(separator: "-")) "
            + clock(event.wallMicroseconds)
    }

    private static func two(_ number: Int) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
