// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import Glibc

/// The terminal while `ct_sync watch` has it: its other screen, without a cursor and without echo.
final class Screen {
    /// What to do after a wait.
    enum Event {
        /// Draw again: time is over, or the terminal has another size.
        case draw
        /// A key or a signal ends it.
        case quit
    }

    private let before: termios

    /// What a handler may touch: whether a signal has asked for the end.
    nonisolated(unsafe) private static var isStopped: sig_atomic_t = 0

    /// Takes over the terminal; nil if standard input or output is none.
    init?() {
        var settings = termios()
        guard isatty(STDOUT_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else {
            return nil
        }
        before = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        // Suspended, it would leave its screen behind.
        withUnsafeMutableBytes(of: &settings.c_cc) { $0[Int(VSUSP)] = 0 }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        for number in [SIGTERM, SIGINT, SIGHUP] {
            signal(number) { _ in Screen.isStopped = 1 }
        }
        // It ends a wait, so that the screen is drawn at once.
        signal(SIGWINCH) { _ in }
        write("\u{1B}[?1049h\u{1B}[?25l")
    }

    /// Gives it back as it was.
    func close() {
        write("\u{1B}[?25h\u{1B}[?1049l")
        var settings = before
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
    }

    /// Columns and rows.
    var size: (Int, Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Whether the locale's characters are UTF-8.
    static var isUTF8: Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else {
                continue
            }
            let upper = value.uppercased()
            return upper.contains("UTF-8") || upper.contains("UTF8")
        }
        return false
    }

    /// Draws lines from the top, and nothing below them.
    func show(_ lines: [String]) {
        let rows = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n")
        write("\u{1B}[H\(rows)\u{1B}[J")
    }

    /// Waits for a key, a signal or an instant.
    func wait(until deadline: Instant) -> Event {
        let now = Clock.now()
        let left = (max(deadline, now) - now) / Duration.millisecond
        var polled = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        let ready = poll(&polled, 1, CInt(clamping: left + 1))
        if Screen.isStopped != 0 { return .quit }
        guard ready > 0 else { return .draw }
        var keys = [UInt8](repeating: 0, count: 64)
        let count = read(STDIN_FILENO, &keys, keys.count)
        // Nothing to read: the terminal is gone.
        guard count > 0 else { return .quit }
        return keys[..<count].contains { "qQ\u{3}".utf8.contains($0) } ? .quit : .draw
    }

    private func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            guard count > 0 || errno == EINTR else { return }
            rest = rest.dropFirst(max(0, count))
        }
    }
}
