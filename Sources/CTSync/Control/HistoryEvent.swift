// SPDX-License-Identifier: GPL-2.0-or-later

/// A transition that a node went through: a line of the journal and of `ct_sync history`.
package struct HistoryEvent: Sendable, Equatable {
    /// What changed.
    package enum Kind: String, Sendable, CaseIterable {
        /// The node's role.
        case role
        /// What a promotion came to, phase by phase.
        case takeover
        /// Whether a slave is in sync, or whether a master has a slave that could take over.
        case state
        /// Another node.
        case peer
        /// The sync device.
        case link
        /// Whether the node is dark.
        case l2drop
        /// The key: read again, or another node that speaks with another one, or with none.
        case key
        /// A remark: something is not as it should be, and the node is well all the same.
        case remark
        /// Whether the daemon answers, as those see it who ask it: in no journal.
        case daemon

        /// MESSAGE_ID of sd-journal, as `journalctl MESSAGE_ID=...` takes it.
        var messageID: String {
            switch self {
            case .role: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e501"
            case .state: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e502"
            case .peer: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e503"
            case .link: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e504"
            case .l2drop: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e505"
            case .remark: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e506"
            case .daemon: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e507"
            case .takeover: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e508"
            case .key: "5c1f0e2a6d9b4c7e8f30a1b2c3d4e509"
            }
        }
    }

    /// Counts the events of a node; given by `History`.
    package var number: UInt64 = 0
    /// When, in microseconds since 1970.
    package var wallMicroseconds: UInt64
    /// What changed.
    package var kind: Kind
    /// Whether it is for the worse.
    package var isBad: Bool
    /// The node's role then.
    package var role: Role
    /// The reason, as `reason` of the status; nil if there is none.
    package var reason: String?
    /// The other node that it is about.
    package var peerID: UInt8?
    /// The sentence.
    package var text: String
    /// Of a takeover: its phases.
    package var takeover: TakeoverPhases?

    /// Microseconds that are fewer than 2^63 nanoseconds: a line with a larger number is none that was
    /// written here, and nothing that is reckoned with it must go beyond what there is room for.
    static let largest = UInt64(Int64.max) / Duration.microsecond
    /// What parts the fields of its line.
    private static let separator: Character = "\t"

    /// A line of the file, and the value of a line of the control socket.
    package var line: String {
        let plain = text.map { $0.isNewline || $0 == Self.separator ? " " : $0 }
        let fields = [
            String(number), String(wallMicroseconds), kind.rawValue, isBad ? "bad" : "good",
            role.description, reason ?? "-", peerID.map { String($0) } ?? "-", String(plain),
        ]
        return (fields + (takeover.map { [$0.line] } ?? []))
            .joined(separator: String(Self.separator))
    }

    /// Reads what `line` writes; nil for anything else.
    package init?(line: some StringProtocol) {
        let parts = line.split(separator: Self.separator, omittingEmptySubsequences: false)
        guard parts.count == 8 || parts.count == 9, let number = UInt64(parts[0]),
            let time = UInt64(parts[1]), max(number, time) <= Self.largest,
            let kind = Kind(rawValue: String(parts[2])),
            ["good", "bad"].contains(parts[3]), let role = Role(text: parts[4])
        else { return nil }
        let takeover = parts.count == 9 ? TakeoverPhases(line: parts[8]) : nil
        guard parts.count == 8 || takeover != nil else { return nil }
        self.init(
            number: number, wallMicroseconds: time, kind: kind, isBad: parts[3] == "bad",
            role: role, reason: parts[5] == "-" ? nil : String(parts[5]),
            peerID: UInt8(parts[6]), text: String(parts[7]),
            takeover: takeover)
    }

    init(
        number: UInt64 = 0, wallMicroseconds: UInt64, kind: Kind, isBad: Bool, role: Role,
        reason: String? = nil, peerID: UInt8? = nil, text: String,
        takeover: TakeoverPhases? = nil
    ) {
        self.number = number
        self.wallMicroseconds = wallMicroseconds
        self.kind = kind
        self.isBad = isBad
        self.role = role
        self.reason = reason
        self.peerID = peerID
        self.text = text
        self.takeover = takeover
    }

    /// As an object of `ct_sync history --json`, on one line.
    package var json: String {
        var report = StatusReport()
        report.add("number", number)
        report.add("time_seconds", .seconds(microseconds: Int64(clamping: wallMicroseconds)))
        report.add("kind", kind.rawValue)
        report.add("good", !isBad)
        // Who does not answer has none.
        report.add("role", kind == .daemon ? nil : role.description)
        report.add("reason", reason)
        report.add("peer_id", count: peerID.map { Int($0) })
        report.add("text", text)
        if let takeover { report.add(group: "takeover") { takeover.add(to: &$0) } }
        return report.compact
    }
}
