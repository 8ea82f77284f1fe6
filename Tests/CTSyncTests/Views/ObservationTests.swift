// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct ObservationTests {
    private var seen = Observation(samples: 3)
    private static let start: UInt64 = 1_795_670_047_000_000

    private static func event(
        _ number: UInt64, at seconds: UInt64, _ text: String = "text"
    ) -> HistoryEvent {
        HistoryEvent(
            number: number, wallMicroseconds: start + seconds * 1_000_000, kind: .role,
            isBad: false, role: .slave, text: text)
    }

    /// Answers as a daemon would: what is after the number that is asked for.
    private mutating func look(
        _ history: [HistoryEvent], _ report: NodeReport? = SampleReport.slave, at seconds: UInt64
    ) throws -> [String] {
        let status = try report.map { try #require(StatusReport.parse($0.status.lines)) }
        let since = seen.since
        let answer = Observation.Answer(
            status: status, history: status == nil ? [] : history.filter { $0.number > since },
            trouble: status == nil ? "gone" : "")
        return seen.take(answer, time: Self.start + seconds * 1_000_000).map(\.text)
    }

    @Test mutating func atFirstHowItIsThenEachEventOnce() throws {
        var history = [Self.event(5, at: 0, "old"), Self.event(6, at: 1, "older")]
        #expect(try look(history, at: 9) == ["SLAVE, in sync for 3 h 12 min"])
        #expect(seen.history.map(\.text) == ["old", "older"])
        #expect(try look(history, at: 10).isEmpty)
        history += [Self.event(7, at: 10, "new"), Self.event(8, at: 10, "newer")]
        #expect(try look(history, at: 11) == ["new", "newer"])
        #expect(try look(history, at: 12).isEmpty)
        #expect(seen.history.map(\.text) == ["old", "older", "new", "newer"])
        for number in 9..<99 {
            history.append(Self.event(UInt64(number), at: 12))
            _ = try look(history, at: 12)
        }
        #expect(seen.history.count == Observation.historyLimit)
        #expect(seen.history.last?.number == 98)
    }

    /// It counts on where it has kept its history, and begins again at 1 where that is gone.
    @Test(arguments: [(2, 3), (1, 1)])
    mutating func aDaemonThatEndsAndIsThereAgain(_ first: UInt64, _ next: UInt64) throws {
        let before = (1...2).map { Self.event($0, at: $0, "before \($0)") }
        _ = try look(before, at: 5)
        #expect(try look([], nil, at: 10) == ["the daemon does not answer: gone"])
        #expect(try look([], nil, at: 11).isEmpty)
        let after = (first == 1 ? [] : before) + [Self.event(next, at: 11, "SLAVE: started")]
        #expect(try look(after, at: 12) == ["the daemon answers", "SLAVE: started"])
        #expect(try look(after, at: 13).isEmpty)
        #expect(try look(after + [Self.event(next + 1, at: 14)], at: 14) == ["text"])
        let daemon = try #require(seen.history.first { $0.kind == .daemon })
        #expect(daemon.isBad && daemon.json.contains("\"kind\": \"daemon\""))
        #expect(daemon.json.contains("\"role\": null"))
    }

    /// What a daemon did before is no news to who has waited for it.
    @Test mutating func whoWaitsForADaemonIsToldOfItsStart() throws {
        #expect(try look([], nil, at: 5) == ["the daemon does not answer: gone"])
        let history = [Self.event(1, at: 1, "old"), Self.event(2, at: 6, "SLAVE: started")]
        #expect(try look(history, at: 7) == ["the daemon answers", "SLAVE: started"])
    }

    @Test func anEventIsOneLineOfJSON() {
        #expect(
            Self.event(3, at: 0).json
                == "{\"number\": 3, \"time_seconds\": 1795670047.0, \"kind\": \"role\", "
                + "\"good\": true, \"role\": \"slave\", \"reason\": null, "
                + "\"peer_id\": null, \"text\": \"text\"}")
    }

    @Test mutating func itKeepsWhatAPageNeeds() throws {
        for second in 0..<5 {
            var report = SampleReport.slave
            report.link.packetsIn = UInt64(1_000 * second)
            report.entriesHeld = 100 + second
            _ = try look([], report, at: UInt64(second))
        }
        #expect(seen.course.samples.map(\.connections) == [102, 103, 104])
        #expect(seen.course.rate(\.packetsIn) == 1_000)
        #expect(seen.course.rates(\.packetsIn) == [1_000, 1_000])
        let last = "[[1795670051.0,104,4000,14,0,0]]"
        #expect(seen.course.json(after: Self.start + 3_000_000) == last)
        #expect(seen.course.json(after: Self.start + 4_000_000) == "[]")
        // A daemon that began anew counts from 0: no rate, and none below it.
        var report = SampleReport.slave
        report.link.packetsIn = 1
        _ = try look([], report, at: 9)
        #expect(seen.course.rate(\.packetsIn) == nil)
        _ = try look([], nil, at: 10)
        #expect(seen.course.samples.count == 3 && seen.status == nil)
        let json = seen.json(after: 0)
        #expect(json.contains("\"trouble\":\"gone\",\"status\":null,\"samples\":[["))
        #expect(json.contains("\"text\": \"the daemon does not answer: gone\""))
    }
}
