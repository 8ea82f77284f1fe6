// SPDX-License-Identifier: GPL-2.0-or-later

/// A change of a node that a person would want to know of.
package struct Transition: Sendable, Equatable {
    /// What has changed.
    package enum Kind: String, Sendable {
        /// Whether the daemon answers.
        case daemon
        /// Master or slave.
        case role
        /// Whether the slave is in sync, or whether a slave of the master could take over.
        case sync
        /// Whether another node is heard.
        case peer
        /// Whether the node is dark as its role asks for.
        case l2drop
    }

    /// When it was seen, in microseconds since 1970.
    package let time: UInt64
    /// What has changed.
    package let kind: Kind
    /// Whether it is now as it should be.
    package let isWell: Bool
    /// What it is now.
    package let text: String
    /// For how long it was otherwise before, in microseconds; nil if that is unknown.
    package let after: UInt64?

    /// A line for a person: time of day and sentence.
    package var line: String { "\(Words.clock(time)) \(text)" }

    /// One JSON object on one line.
    package var json: String {
        let duration = after.map {
            ",\"after_seconds\":\(StatusValue.decimal(Int64(clamping: $0)))"
        }
        return "{\"time\":\"\(FlowTime.text(microseconds: time))\""
            + ",\"time_seconds\":\(StatusValue.decimal(Int64(clamping: time)))"
            + ",\"kind\":\"\(kind.rawValue)\",\"well\":\(isWell)"
            + ",\"text\":\(StatusValue.quoted(text))\(duration ?? "")}"
    }
}
