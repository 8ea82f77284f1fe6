// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct RehearsalTests {
    private static var rehearsal: Rehearsal {
        var rehearsal = Rehearsal(nodeID: 2)
        rehearsal.add("receive", 300_000, .done("0 packets had arrived"), isWaitedFor: true)
        rehearsal.add("term", 600_000, .done("had and given back"), isWaitedFor: true)
        rehearsal.add("l2drop", 3_000_000, .done("dark by netdev"), isWaitedFor: false)
        rehearsal.add("timers", 240_000_000, .done("100 entries walked"), isWaitedFor: false)
        return rehearsal
    }

    private static func text(_ rehearsal: Rehearsal) throws -> String {
        RehearsalText(try #require(StatusReport.parse(rehearsal.status.lines))).text
    }

    @Test func whatIsWaitedForIsAdded() throws {
        #expect(Self.rehearsal.promotionNanoseconds == 900_000)
        #expect(Self.rehearsal.isReady)
        #expect(
            try Self.text(Self.rehearsal) == """
                node 2: a promotion would take 0.9 ms and lack nothing
                    receive   0.3 ms    0 packets had arrived
                    term      0.6 ms    had and given back
                    besides:
                    l2drop    3 ms      dark by netdev
                    timers    240 ms    100 entries walked

                """)
    }

    @Test func whatIsMissingIsNamedWithARemedy() throws {
        var rehearsal = Self.rehearsal
        rehearsal.missing = [
            Rehearsal.Missing(
                what: "helper", count: 3, text: "no ftp", command: "modprobe nf_conntrack_ftp")
        ]
        #expect(!rehearsal.isReady)
        let text = try Self.text(rehearsal)
        #expect(text.hasPrefix("node 2: a promotion would take 0.9 ms and lack something\n"))
        #expect(
            text.hasSuffix("    missing   no ftp\n      try     modprobe nf_conntrack_ftp\n"))
    }

    @Test func aStepThatFailsIsTheResult() throws {
        var rehearsal = Self.rehearsal
        rehearsal.take("epoch") { .failed("no space") }
        #expect(!rehearsal.isReady)
        let text = try Self.text(rehearsal)
        #expect(text.hasPrefix("node 2: a promotion would fail: epoch\n"))
        #expect(text.contains("FAILED: no space\n"))
    }

    @Test func whatASlaveLacksIsMissing() {
        #expect(Rehearsal.missing(SampleReport.slave) == [])
        let silent = Rehearsal.missing(SampleReport.slave(.silent))
        #expect(silent.map(\.what) == ["master_silent"])
        #expect(silent[0].text == "node 1 is silent" && silent[0].count == 9)
        var report = SampleReport.slave
        report.lacks = [
            NodeReport.Lack(what: "nat_chain", count: 3), NodeReport.Lack(what: "nat", count: 0),
            NodeReport.Lack(what: "helper", name: "ftp", count: 1),
        ]
        let lacking = Rehearsal.missing(report)
        #expect(lacking.map(\.what) == ["nat_chain", "helper"])
        #expect(lacking.map(\.count) == [3, 1])
        #expect(lacking.allSatisfy { !$0.command.isEmpty })
    }
}
