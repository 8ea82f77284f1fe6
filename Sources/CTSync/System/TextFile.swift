// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Small text files: the configuration, what /proc says, what is written for others to read.
package enum TextFile {
    /// Reads a file whole; bytes that are no UTF-8 are replaced.
    ///
    /// - Parameter limit: the most bytes it may have.
    /// - Throws: `SystemError` of open(2) or read(2); EFBIG above the limit.
    static func read(_ path: String, limit: Int = 65_536) throws(SystemError) -> String {
        let file = try Descriptor("open \(path)") { ctsync_open(path, O_RDONLY, 0) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = try retrying("read \(path)") { Glibc.read(file.raw, &chunk, chunk.count) }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw SystemError("read \(path)", errno: EFBIG) }
        }
    }

    /// The lines of a file; none if it cannot be read: it is not there, or not for this user.
    static func lines(_ path: String, limit: Int = 65_536) -> [Substring] {
        do throws(SystemError) {
            return try read(path, limit: limit).split(separator: "\n")
        } catch {
            return []
        }
    }

    /// Replaces a file in one step: a reader finds the old text or the new one.
    ///
    /// - Parameter mode: the new file's, less the umask.
    /// - Throws: `SystemError` of open(2), write(2) or rename(2); the old file stays.
    package static func replace(
        _ path: String, with text: String, mode: UInt32 = 0o644
    ) throws(SystemError) {
        // Beside it, and of a name that no reader of *.prom or *.json takes for one.
        let new = "\(path).\(getpid()).new"
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
        do throws(SystemError) {
            let file = try Descriptor("open \(new)") { ctsync_open(new, flags, mode) }
            let bytes = Array(text.utf8)
            var written = 0
            while written < bytes.count {
                let start = written
                written += try retrying("write \(new)") {
                    bytes[start...].withUnsafeBytes { write(file.raw, $0.baseAddress, $0.count) }
                }
            }
            try retrying("rename \(new)") { rename(new, path) }
        } catch {
            unlink(new)
            throw error
        }
    }
}
