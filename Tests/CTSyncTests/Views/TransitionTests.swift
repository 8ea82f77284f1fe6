// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct TransitionTests {
    private var watch = TransitionWatch()
    private static let second: UInt64 = 1_000_000
    private static let start: UInt64 = 1_795_670_047_000_000

    /// What is said of a status so many seconds after the start.
    private mutating func look(
        _ report: NodeReport?, at seconds: UInt64, trouble: String = ""
    ) throws -> [Transition] {
        let status = try report.map { try #require(StatusReport.parse($0.status.lines)) }
        return watch.look(status, trouble: trouble, time: Self.start + seconds * Self.second)
    }

    @Test mutating func aSlaveLosesItsMasterAndFindsItAgain() throws {
        var slave = SampleReport.slave
        slave.epoch = 7
        let first = try look(slave, at: 0)
        #expect(
            first.map(\.text) == [
                "slave of node 1, epoch 7", "in sync", "node 1 (172.31.255.1) is heard",
            ])
        #expect(first.map(\.kind) == [.role, .sync, .peer] && first.allSatisfy { $0.after == nil })
        slave.syncAge += 5 * Duration.second
        slave.entriesHeld += 9
        #expect(try look(slave, at: 1).isEmpty)
        var silent = SampleReport.slave(.silent)
        silent.epoch = 7
        silent.peers[0].heardAge = 9 * Duration.second
        let lost = try look(silent, at: 3)
        #expect(lost.count == 2 && lost.allSatisfy { !$0.isWell })
        #expect(lost[0].text.hasPrefix("NOT in sync: ") && lost[0].after == 3 * Self.second)
        #expect(lost[1].text == "node 1 (172.31.255.1) is silent")
        #expect(try look(silent, at: 4).isEmpty)
        let found = try look(slave, at: 5)
        #expect(
            found.map(\.text) == ["in sync again, after 2 s", "node 1 (172.31.255.1) is heard"])
    }

    @Test mutating func aPromotionIsARoleAndASync() throws {
        var slave = SampleReport.slave
        slave.epoch = 7
        slave.l2drop.isOn = true
        _ = try look(slave, at: 0)
        var master = SampleReport.alone
        master.epoch = 8
        master.l2drop.isOn = false
        let promoted = try look(master, at: 2)
        #expect(promoted[0].text == "master, epoch 8" && promoted[0].kind == .role)
        #expect(promoted.contains { $0.kind == .sync && !$0.isWell })
        #expect(promoted.contains { $0.kind == .peer && $0.text.hasPrefix("node 2 ") })
        #expect(promoted.last?.text == "visible" && promoted.last?.kind == .l2drop)
        master = SampleReport.master
        master.epoch = 8
        let ready = try look(master, at: 62)
        #expect(ready.first?.text == "1 of 1 slave could take over again, after 60 s")
    }

    @Test mutating func aDaemonThatEndsAndIsThereAgain() throws {
        _ = try look(SampleReport.slave, at: 0)
        let gone = try look(nil, at: 10, trouble: "connect: Connection refused")
        #expect(gone.map(\.text) == ["the daemon does not answer: connect: Connection refused"])
        #expect(gone[0].after == 10 * Self.second && !gone[0].isWell)
        #expect(try look(nil, at: 11).isEmpty)
        let back = try look(SampleReport.slave, at: 12)
        #expect(back.map(\.text) == ["the daemon answers"])
        #expect(back[0].line.hasSuffix(" the daemon answers"))
        #expect(
            back[0].json
                == "{\"time\":\"2026-11-26T05:14:19.000000Z\",\"time_seconds\":1795670059.0,"
                + "\"kind\":\"daemon\",\"well\":true,\"text\":\"the daemon answers\","
                + "\"after_seconds\":2.0}")
        // One that is not there at the beginning is told at once.
        var other = TransitionWatch()
        #expect(other.look(nil, trouble: "x", time: 1).count == 1)
    }

    @Test func anObservationKeepsWhatAPageNeeds() throws {
        var seen = Observation(samples: 3)
        for second in 0..<5 {
            var report = SampleReport.slave
            report.link.packetsIn = UInt64(1_000 * second)
            report.entriesHeld = 100 + second
            let status = try #require(StatusReport.parse(report.status.lines))
            seen.take(status, time: Self.start + UInt64(second) * Self.second)
        }
        #expect(seen.course.samples.map(\.connections) == [102, 103, 104])
        #expect(seen.course.rate(\.packetsIn) == 1_000)
        #expect(seen.course.rates(\.packetsIn) == [1_000, 1_000])
        let last = "[[1795670051.0,104,4000,14,0,0]]"
        #expect(seen.course.json(after: Self.start + 3 * Self.second) == last)
        #expect(seen.course.json(after: Self.start + 4 * Self.second) == "[]")
        // A daemon that began anew counts from 0: no rate, and none below it.
        var report = SampleReport.slave
        report.link.packetsIn = 1
        let status = try #require(StatusReport.parse(report.status.lines))
        seen.take(status, time: Self.start + 9 * Self.second)
        #expect(seen.course.rate(\.packetsIn) == nil)
        seen.take(nil, trouble: "gone", time: Self.start + 10 * Self.second)
        #expect(seen.course.samples.count == 3 && seen.status == nil)
        let json = seen.json(after: 0)
        #expect(json.contains("\"trouble\":\"gone\",\"status\":null,\"samples\":[["))
        #expect(json.contains("\"text\":\"the daemon does not answer: gone\""))
    }
}
