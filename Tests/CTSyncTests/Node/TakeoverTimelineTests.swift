// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What the history says of a takeover, from what is known of it by and by.
@Suite struct TakeoverTimelineTests {
    private static let start = 1_000 * Duration.second

    /// A takeover that was ordered at `start`, and what is known of it.
    private struct Bench {
        var facts = TakeoverTimeline.Facts(isDark: false, forwarded: 100)
        var timeline = TakeoverTimeline(
            NodeEngine.Promotion(
                orderedAt: start, claimedAt: start + 300_000, openedAt: start + 400_000),
            forwarded: 100, now: start + 1_000_000, wallMicroseconds: 1_700_000_000_001_000)

        /// Looks so many milliseconds after the order.
        mutating func look(at milliseconds: UInt64) -> HistoryEvent? {
            timeline.look(facts, now: start + milliseconds * Duration.millisecond)
        }

        /// The sentence, without the time of day.
        mutating func text(at milliseconds: UInt64) -> String? {
            look(at: milliseconds)?.text
                .replacing("order at \(Words.preciseClock(1_700_000_000_000_000))", with: "order")
        }
    }

    @Test func itIsSaidWhenAllIsKnown() {
        var bench = Bench()
        #expect(bench.look(at: 1) == nil)
        bench.facts.forwarded = 101
        #expect(bench.look(at: 2) == nil)
        bench.facts.progress.timers = (Self.start + 12 * Duration.millisecond, 1_051)
        #expect(bench.look(at: 252) == nil)
        bench.facts.progress.windows = (Self.start + 512 * Duration.millisecond, 42)
        let event = bench.look(at: 600)
        #expect(event?.kind == .takeover && event?.isBad == false && event?.role == .master)
        #expect(event?.wallMicroseconds == 1_700_000_000_600_000)
        var again = bench
        #expect(
            again.text(at: 600)
                == "takeover: order · +0.3 ms claim · +0.4 ms open · +2 ms first packet forwarded · "
                + "+12 ms timers started (1,051) · +512 ms windows of 42 connections seen")
    }

    /// The same for programs.
    @Test func itsPhasesAreFields() throws {
        var bench = Bench()
        bench.facts.forwarded = 101
        #expect(bench.look(at: 2) == nil)
        bench.facts.progress.timers = (Self.start + 12 * Duration.millisecond, 1_051)
        bench.facts.progress.windows = (Self.start + 512 * Duration.millisecond, 42)
        let said = bench.look(at: 600)
        let event = try #require(said)
        #expect(
            event.json.hasSuffix(
                """
                "takeover": {"order_time_seconds": 1700000000.0, "claim_seconds": 0.0003, \
                "open_seconds": 0.0004, "still_dark": false, "first_packet_seconds": 0.002, \
                "timers_seconds": 0.012, "timers": 1051, "windows_seconds": 0.512, "windows": 42, \
                "slave_again_seconds": null}}
                """), "\(event.json)")
        bench.facts.isDark = true
        let dark = bench.look(at: 601)?.takeover
        #expect(dark?.isStillDark == true && dark?.open == nil && dark?.end == nil)
        bench.facts.role = .slave
        let brief = bench.look(at: 700)?.takeover
        #expect(brief?.end == 700_000 && brief?.isStillDark == false)
    }

    /// What is of the promotion before does not count.
    @Test func anIdleNode() {
        var bench = Bench()
        bench.facts.isDark = nil
        bench.facts.progress.timers = (Self.start - 1, 7)
        bench.facts.progress.windows = (Self.start - 1, 7)
        bench.facts.progress.overAt = Self.start - 1
        #expect(bench.look(at: 9_999) == nil)
        #expect(bench.look(at: 10_000) == nil)
        bench.facts.progress.overAt = Self.start + 1
        #expect(
            bench.text(at: 10_000)
                == "takeover: order · +0.3 ms claim · no packet forwarded in 10 s")
        bench.facts.progress.overAt = nil
        #expect(bench.look(at: 19_999) == nil)
        #expect(bench.look(at: 20_000) != nil)
    }

    @Test func aNodeThatDoesNotOpen() {
        var bench = Bench()
        bench.facts.isDark = true
        let event = bench.look(at: 20_000)
        #expect(event?.isBad == true && event?.text.contains(" · still dark · ") == true)
    }

    @Test func aManagerThatChangesItsMind() {
        var bench = Bench()
        bench.facts.role = .slave
        bench.facts.isDark = true
        let event = bench.look(at: 700)
        #expect(event?.isBad == false)
        #expect(bench.text(at: 700)?.hasSuffix("+0.4 ms open · +700 ms slave again") == true)
    }

    /// Often at first, and never so often that it costs.
    @Test func itLooksLessAndLessOften() {
        var bench = Bench()
        var (at, count) = (UInt64(1), 0)
        while at < 9_000 {
            #expect(bench.look(at: at) == nil)
            let next = (bench.timeline.due - Self.start) / Duration.millisecond
            #expect(next > at && next <= at + max(1, at / 8) && next <= at + 250)
            (at, count) = (next, count + 1)
        }
        #expect(count < 100)
    }

    @Test func whatTheKernelSaysThatItForwarded() {
        let snmp: [Substring] = [
            "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InDelivers",
            "Ip: 1 64 4886 0 0 40 4886", "Icmp: InMsgs", "Icmp: 7",
        ]
        let snmp6: [Substring] = ["Ip6InReceives   9", "Ip6OutForwDatagrams             \t2"]
        #expect(ForwardedPackets.count(snmp: snmp, snmp6: snmp6) == 42)
        #expect(ForwardedPackets.count(snmp: snmp, snmp6: []) == 40)
        #expect(ForwardedPackets.count(snmp: [], snmp6: snmp6) == nil)
        #expect(ForwardedPackets.count(snmp: ["Ip: ForwDatagrams", "Ip: x"], snmp6: []) == nil)
    }
}
