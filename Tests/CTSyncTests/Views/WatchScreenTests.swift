// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct WatchScreenTests {
    private static let start: UInt64 = 1_795_670_047_000_000

    /// What is seen of a report once a second, whose counts grow.
    private static func seen(_ report: NodeReport, seconds: Int = 20) throws -> Observation {
        var seen = Observation(samples: 600)
        for second in 0..<seconds {
            var report = report
            report.entriesHeld = 104_000 + 10 * second
            report.link.packetsIn = UInt64(3_812 * second)
            report.link.bytesIn = UInt64(4_100_000 * second)
            report.counters.add(group: "injected") { group in
                group.add("created", 1_204 * second)
                group.add("updated", 2_411 * second)
                group.add("deleted", 1_190 * second)
            }
            report.counters.add("refused_entries", 4)
            report.counters.add("events", 4_805 * second)
            let status = try #require(StatusReport.parse(report.status.lines))
            seen.take(
                Observation.Answer(status: status, history: second == 0 ? [event] : []),
                time: start + UInt64(second) * 1_000_000)
        }
        return seen
    }

    private static let event = HistoryEvent(
        number: 7, wallMicroseconds: start, kind: .state, isBad: false, role: .slave,
        text: "SLAVE of node 1, in sync again")

    private func lines(
        _ seen: Observation, _ change: (inout WatchScreen.Terminal) -> Void = { _ in }
    ) -> [String] {
        var terminal = WatchScreen.Terminal()
        change(&terminal)
        return WatchScreen(seen, terminal).lines
    }

    @Test func aSlaveOn80Columns() throws {
        let lines = lines(try Self.seen(SampleReport.slave))
        #expect(lines.count <= 24 && lines.allSatisfy { $0.count <= 80 })
        #expect(lines[0].hasPrefix("fw2: SLAVE, in sync for 3 h 12 min"))
        #expect(lines[0].count == 80 && lines[0].hasSuffix(Words.clock(Self.start + 19_000_000)))
        let text = lines.joined(separator: "\n")
        #expect(text.contains(" connections  104,190     ▁"))
        #expect(text.contains("███    +1,204/s new  -1,190/s gone"))
        #expect(text.contains(" link in      3,812/s     "))
        #expect(text.contains("packets, 4.1 MB/s"))
        #expect(
            text.contains(
                " kernel       created 1,204/s  updated 2,411/s  deleted 1,190/s  refused 4"))
        #expect(text.contains("clock -58 us"))
        #expect(text.contains("\n 2     slave   here "))
        #expect(text.contains("\n 1     master  172.31.255.1              46 ms ago"))
        #expect(lines.last == " \(Words.clock(Self.start)) SLAVE of node 1, in sync again")
    }

    @Test func aMasterShowsEventsAndItsSlaves() throws {
        let text = lines(try Self.seen(SampleReport.master)).joined(separator: "\n")
        #expect(text.contains(" kernel       4,805 events/s  lost 0"))
        #expect(text.contains("  +10/s\n"))
        #expect(text.contains("0 packets       yes"))
        let alone = lines(try Self.seen(SampleReport.alone))
        #expect(alone[0].hasPrefix("fw1: MASTER, ALONE for 7 min"))
        #expect(alone.contains { $0.hasPrefix(" try   ") })
    }

    @Test(arguments: [(80, 24), (200, 60), (40, 10), (20, 3), (1, 1)])
    func itFitsAnyTerminal(_ columns: Int, _ rows: Int) throws {
        for report in [SampleReport.slave, SampleReport.alone, SampleReport.slave(.noMaster)] {
            let lines = lines(try Self.seen(report)) { ($0.columns, $0.rows) = (columns, rows) }
            #expect(!lines.isEmpty && lines.count <= rows)
            #expect(lines.allSatisfy { $0.count <= columns })
        }
    }

    @Test func colourIsOnTheStateWordAlone() throws {
        let lines = lines(try Self.seen(SampleReport.alone)) { $0.hasColor = true }
        #expect(lines[0].hasPrefix("fw1: MASTER, \u{1B}[1;31mALONE\u{1B}[0m for 7 min"))
        #expect(!lines.dropFirst().contains { $0.contains("\u{1B}") })
        let plain = self.lines(try Self.seen(SampleReport.slave)) { $0.isPlain = true }
        #expect(plain.allSatisfy { $0.allSatisfy(\.isASCII) })
    }

    @Test func withoutADaemonItSaysSo() throws {
        var seen = try Self.seen(SampleReport.slave)
        seen.take(
            Observation.Answer(trouble: "connect: No such file"), time: Self.start + 30_000_000)
        let lines = lines(seen)
        #expect(lines[0].hasPrefix("ct_sync: NO DAEMON"))
        #expect(lines[1] == " the daemon does not answer: connect: No such file")
        #expect(
            lines.contains { $0.hasSuffix("the daemon does not answer: connect: No such file") })
    }

    @Test func aGraphIsARowOfBars() {
        #expect(Graph.text([0, 1, 2, 3, 4, 5, 6, 7], width: 8) == "▁▂▃▄▅▆▇█")
        #expect(Graph.text([5, 5, 5], width: 8) == "▁▁▁")
        #expect(Graph.text([90, 100], width: 8, floor: 0) == "██")
        #expect(Graph.text([1, 2, 3], width: 2, isPlain: true) == "_@")
        #expect(Graph.text([] as [UInt64], width: 2) == "" && Graph.text([1], width: 0) == "")
        #expect(WatchScreen.bytes(812) == "812 B" && WatchScreen.bytes(4_100_000) == "4.1 MB")
        #expect(WatchScreen.bytes(123_456_789_012) == "123 GB")
    }

    @Test func whereAServerListens() throws {
        let good = try ListenAddress(text: "[::1]:9378")
        #expect(good.address == "::1" && good.isIPv6 && good.port == 9_378)
        #expect(try ListenAddress(text: "127.0.0.1:1").isIPv6 == false)
        for text in [
            "", "9378", ":9378", "127.0.0.1", "::1:9378", "[127.0.0.1]:1", "[::1]:0",
            "localhost:80", "127.0.0.1:65536",
        ] {
            #expect(throws: ConfigurationError.self, "\(text)") { try ListenAddress(text: text) }
        }
    }
}
