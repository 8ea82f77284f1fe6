// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Small text files: the configuration, and what /proc says.
enum TextFile {
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
}
