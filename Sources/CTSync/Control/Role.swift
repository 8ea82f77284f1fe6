// SPDX-License-Identifier: GPL-2.0-or-later

/// What a node does: a master tells the others its connections, a slave holds them ready.
package enum Role: UInt8, Sendable, Hashable, CustomStringConvertible {
    /// Holds replicas of the master's connections.
    case slave = 0
    /// Forwards the traffic.
    case master = 1

    /// Reads `master`, `slave` or the module's numbers `1` and `0`.
    package init?(text: some StringProtocol) {
        switch text {
        case "master", "1": self = .master
        case "slave", "0": self = .slave
        default: return nil
        }
    }

    /// `master` or `slave`.
    package var description: String {
        switch self {
        case .master: "master"
        case .slave: "slave"
        }
    }
}
