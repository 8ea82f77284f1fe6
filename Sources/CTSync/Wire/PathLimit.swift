// SPDX-License-Identifier: GPL-2.0-or-later

/// What packets may have on their way to a slave, as a master has found out.
struct PathLimit: Equatable, Sendable, BitwiseCopyable {
    /// Bytes without IP and UDP headers; `Int.max` for whatever the device takes.
    var byteCount = Int.max
    /// The slave that larger ones did not reach.
    var nodeID: UInt8 = 0

    /// Whether the device takes more.
    var isLess: Bool { byteCount < .max }
}
