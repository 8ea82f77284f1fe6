// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

/// WIRE.md names the timers' constants, and says what they are.
@Suite struct WireDocumentTests {
    private static let timers: [String: (UInt64, unit: UInt64)] = [
        "GapTimer.reorderWait": (GapTimer.reorderWait, Duration.millisecond),
        "GapTimer.shortest": (GapTimer.shortest, Duration.millisecond),
        "GapTimer.longest": (GapTimer.longest, Duration.millisecond),
        "InitsyncRequest.shortest": (InitsyncRequest.shortest, Duration.millisecond),
        "InitsyncRequest.longest": (InitsyncRequest.longest, Duration.millisecond),
        "SlaveProtocol.fullRetry": (SlaveProtocol.fullRetry, Duration.second),
        "ReportTimer.interval": (ReportTimer.interval, Duration.second),
        "ReportTimer.walkInterval": (ReportTimer.walkInterval, Duration.millisecond),
        "SlaveProtocol.branchPatience": (SlaveProtocol.branchPatience, Duration.second),
        "SlaveEngine.strayTime": (SlaveEngine.strayTime, Duration.second),
        "ReceivedInitsync.emptinessPatience": (
            ReceivedInitsync.emptinessPatience, Duration.second
        ),
        "SlaveProtocol.silence": (SlaveProtocol.silence, Duration.second),
        "ClaimAnswer.interval": (ClaimAnswer.interval, Duration.millisecond),
        "PacketOrder.regressionPatience": (PacketOrder.regressionPatience, Duration.second),
        "ParentWait.patienceSeconds": (
            UInt64(ParentWait.patienceSeconds) * Duration.second, Duration.second
        ),
        "ExpectationTable.retryInterval": (ExpectationTable.retryInterval, Duration.millisecond),
        "ReplicaTable.holdSeconds": (
            UInt64(ReplicaTable.holdSeconds) * Duration.second, Duration.second
        ),
        "ReplicaTable.renewSeconds": (
            UInt64(ReplicaTable.renewSeconds) * Duration.second, Duration.second
        ),
        "Sender.announceInterval": (Sender.announceInterval, Duration.millisecond),
        "Sender.linksInterval": (Sender.linksInterval, Duration.millisecond),
        "Sender.longestInterval": (Sender.longestInterval, Duration.second),
        "Retransmission.pause": (Retransmission.pause, Duration.millisecond),
        "Retransmission.pauseOfAll": (Retransmission.pauseOfAll, Duration.millisecond),
        "Retransmission.patience": (Retransmission.patience, Duration.millisecond),
        "Wholeness.patience": (Wholeness.patience, Duration.second),
        "MasterProtocol.silenceMilliseconds": (
            UInt64(MasterProtocol.silenceMilliseconds) * Duration.millisecond,
            Duration.millisecond
        ),
    ]

    private static func text() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appendingPathComponent("WIRE.md"), encoding: .utf8)
    }

    @Test func namesTheTimersAsTheyAre() throws {
        let text = try Self.text()
        var said: [String: Substring] = [:]
        for row in text.matches(of: /\| `(\w+\.\w+)` \| ([0-9]+ m?s) \|/) {
            said[String(row.1)] = row.2
        }
        #expect(Set(said.keys) == Set(Self.timers.keys))
        for (name, (time, unit)) in Self.timers {
            let symbol = unit == Duration.second ? "s" : "ms"
            #expect(said[name] == "\(time / unit) \(symbol)", "\(name)")
            #expect(time % unit == 0, "\(name)")
        }
    }

    /// All that the status may say of a slave is in the tables of its states.
    @Test func namesTheStates() throws {
        let text = try Self.text()
        for state in SlaveProtocol.OutOfSync.allCases {
            #expect(text.contains("| `\(state.rawValue)` |"), "\(state)")
        }
    }
}
