// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Standard input, output and error.
package enum StandardDescriptors {
    /// Opens /dev/null for each that whoever started the program has closed. What is opened next would have
    /// its number otherwise, and a log line would be written into the lock file.
    package static func openClosed() {
        for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 {
            // It gets the lowest number that is free: this one.
            _ = open("/dev/null", O_RDWR)
        }
    }

    /// Whether all that was printed has been written, also what was printed long ago.
    package static func isOutputWritten() -> Bool { ctsync_output_is_written() }

    /// Prints UTF-8 and a line break, without a String being made of it: for long lists.
    package static func printLine(_ text: UnsafeRawBufferPointer) {
        ctsync_output_line(text.baseAddress, text.count)
    }
}
