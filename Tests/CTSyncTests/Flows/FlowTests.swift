// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

struct FlowTests {
    // 2026-01-31T12:00:00Z
    private static let noon: UInt64 = 1_769_860_800_000_000

    private func event(
        _ kind: FlowEventKind, _ entry: Entry, _ accounting: Accounting = Accounting(),
        portID: UInt32 = 0
    ) -> FlowEvent {
        FlowEvent(
            kind: kind, time: Self.noon + 1, entry: entry, accounting: accounting, portID: portID)
    }

    private var counted: Accounting {
        var accounting = Accounting()
        accounting.original = Accounting.Count(packets: 3, bytes: 180)
        accounting.reply = Accounting.Count(packets: 2, bytes: 5_000_000_000)
        return accounting
    }

    private let web = SampleEntries.entry(
        SampleEntries.tuple(ProtocolNumber.tcp, 1234, 443), [.IPS_SEEN_REPLY])

    @Test func anEventIsALineOfWords() {
        let line = event(.begin, web).text
        #expect(
            line
                == "time=2026-01-31T12:00:00.000001Z event=begin family=ipv4 protocol=tcp "
                + "src=10.0.0.1 dst=192.0.2.1 sport=1234 dport=443 reply_src=192.0.2.1 "
                + "reply_dst=10.0.0.1 reply_sport=443 reply_dport=1234 state=ESTABLISHED "
                + "status=SEEN_REPLY timeout=600 mark=1234")
    }

    @Test func anEndSaysWhatTheKernelCounted() throws {
        var accounting = counted
        accounting.start = (Self.noon - 1_234_567) * 1_000
        let line = event(.end, web, accounting, portID: 77).text
        #expect(
            line.hasSuffix(
                " packets=3 bytes=180 reply_packets=2 reply_bytes=5000000000 duration=1.234 "
                    + "portid=77"))
        let parsed = try JSONSerialization.jsonObject(with: Data(EntryLine.json(line).utf8))
        let object = try #require(parsed as? [String: Any])
        #expect(object["event"] as? String == "end")
        #expect(object["reply_bytes"] as? UInt64 == 5_000_000_000)
        #expect(object["duration"] as? Double == 1.234)
        #expect(object["src"] as? String == "10.0.0.1")
        #expect(object["status"] as? [String] == ["SEEN_REPLY"])
        // The kernel's own stop counts, not the time of reading.
        accounting.stop = (Self.noon - 1_000_000) * 1_000
        #expect(event(.end, web, accounting).text.contains(" duration=0.234"))
        // A clock that was set back gives no negative time.
        accounting.stop = 1
        #expect(event(.end, web, accounting).text.contains(" duration=0.000"))
    }

    @Test func dropsAreReadFromTheKernelsTable() {
        let table = """
            sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
            0000000000000000 0   0          00000000 0        0        0     2        0        1017
            0000000000000000 12  4711       00000007 212992   0        0     2        4093     88123
            0000000000000000 12  88123      00000007 0        0        0     2        7        5

            """
        #expect(FlowReader.drops(inode: 88_123, table) == 4_093)
        #expect(FlowReader.drops(inode: 5, table) == 7)
        #expect(FlowReader.drops(inode: 4_711, table) == nil)
    }

    private var tally: FlowTally {
        var tally = FlowTally()
        tally.add(event(.begin, web))
        tally.add(event(.change, web))
        tally.add(event(.end, web, counted))
        let dns = SampleEntries.entry(
            SampleEntries.tuple(ProtocolNumber.udp, 5353, 53), [.IPS_SRC_NAT])
        let forwarded = SampleEntries.entry(
            SampleEntries.tuple(ProtocolNumber.tcp, 999, 443, family: .ipv6),
            [.IPS_DST_NAT, .IPS_SRC_NAT])
        let ping = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.icmp, 1, 8 << 8), [])
        for entry in [web, web, dns, forwarded, ping] { tally.add(entry) }
        return tally
    }

    @Test func aSummaryIsForPeople() {
        let summary = FlowSummary(
            time: Self.noon, interval: 10_000_000_000, tally: tally, missed: 1_234_567)
        #expect(
            summary.text == """
                2026-01-31T12:00:00Z  10.000 s: 1 begun (0/s), 1 ended (0/s), 1 changed (0/s); \
                1,234,567 events MISSED
                    connections     in all 5, tcp 3, icmp 1, udp 1
                    tcp states      ESTABLISHED 3
                    translated      no 3, source 1, both 1
                    ended, packets  tcp 5
                    ended, bytes    tcp 5,000,000,180
                    sources         10.0.0.1 4, fd00:0:0:1::1 1
                    destinations    192.0.2.1 tcp/443 2, 192.0.2.1 icmp 1, 192.0.2.1 udp/53 1, \
                2001:db8::2 tcp/443 1
                """)
        let nothing = FlowSummary(
            time: Self.noon, interval: 1_000_000_000, tally: FlowTally(), missed: 0)
        #expect(nothing.text.contains("0 changed (0/s); nothing missed\n"))
        #expect(nothing.text.contains("sources         none"))
    }

    @Test func aSummaryIsForPrograms() throws {
        let summary = FlowSummary(
            time: Self.noon, interval: 10_000_000_000, tally: tally, missed: 9)
        #expect(!summary.json.contains("\n"))
        let parsed = try JSONSerialization.jsonObject(with: Data(summary.json.utf8))
        let object = try #require(parsed as? [String: Any])
        #expect(object["connections"] as? Int == 5 && object["missed"] as? Int == 9)
        #expect(object["seconds"] as? Double == 10)
        let protocols = try #require(object["protocols"] as? [[String: Any]])
        #expect(protocols.compactMap { $0["protocol"] as? String } == ["icmp", "tcp", "udp"])
        #expect(protocols[1]["bytes"] as? UInt64 == 5_000_000_180)
        #expect((object["translated"] as? [String: Int])?["both"] == 1)
        let services = try #require(object["destinations"] as? [[String: Any]])
        #expect(services[0]["service"] as? String == "192.0.2.1 tcp/443")
        #expect(services[0]["connections"] as? Int == 2)
    }

    @Test func onlyTheLargestAreNamed() {
        let counts: [Int: UInt64] = [1: 5, 2: 9, 3: 5, 4: 1]
        let top = FlowTally.top(counts, 2) { "n\($0)" }
        #expect(top.map(\.0) == ["n2", "n1"] && top.map(\.1) == [9, 5])
        #expect(FlowTally.top([:] as [Int: UInt64], 3) { "\($0)" }.isEmpty)
    }

    @Test func aLogIsOpenedAgainAndSaysWhatItLost() throws {
        let scratch = ScratchDirectory()
        let (log, old) = (scratch.file("log"), scratch.file("log.1"))
        var said: [String] = []
        let output = try FlowOutput(path: log) { said.append($0) }
        output.add("first")
        try output.flush(unless: -1)
        try FileManager.default.moveItem(atPath: log, toPath: old)
        output.add("second")
        try output.flush(unless: -1)
        // A full disk: what is written meanwhile is lost, and said once.
        symlink("/dev/full", log)
        output.reopen()
        for line in ["third", "fourth"] {
            output.add(line)
            try output.flush(unless: -1)
        }
        #expect(said == ["lines are lost: write \(log): No space left on device"])
        unlink(log)
        output.reopen()
        output.add("fifth")
        try output.flush(unless: -1)
        #expect(ScratchDirectory.read(old) == "first\nsecond\n")
        let lines = try #require(ScratchDirectory.read(log)).split(separator: "\n")
        #expect(lines.count == 2 && lines[1] == "fifth")
        #expect(lines[0].hasSuffix("Z event=unwritten lines=2"))
        // Where the log cannot be opened again, the old one goes on.
        try FileManager.default.moveItem(atPath: log, toPath: old + "2")
        mkdir(log, 0o700)
        output.reopen()
        output.add("sixth")
        try output.flush(unless: -1)
        #expect(ScratchDirectory.read(old + "2")?.hasSuffix("fifth\nsixth\n") == true)
        #expect(said.last == "the log stays the old one: open \(log): Is a directory")
    }
}
