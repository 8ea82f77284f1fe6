// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The program that this process runs.
package enum OwnProgram {
    /// The directory that it is in; empty if /proc does not say.
    package static var directory: String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        guard count > 0 else { return "" }
        let bytes = path[..<count].map { UInt8(bitPattern: $0) }
        let text = String(decoding: bytes, as: UTF8.self)
        return String(text[..<(text.lastIndex(of: "/") ?? text.startIndex)])
    }
}
