// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct HistoryTests {
    static func event(_ text: String, peer: UInt8? = nil) -> HistoryEvent {
        HistoryEvent(
            wallMicroseconds: 1_795_644_168_958_210, kind: .state, isBad: true, role: .slave,
            reason: peer == nil ? nil : "master_silent", peerID: peer, text: text)
    }

    @Test func anEventComesBackFromItsLine() {
        for event in [Self.event("SLAVE, in sync"), Self.event("é = \"x\"", peer: 7)] {
            #expect(HistoryEvent(line: event.line) == event)
        }
        #expect(HistoryEvent(line: Self.event("a\tb\nc").line)?.text == "a b c")
    }

    @Test func aTakeoverComesBackWithItsPhases() {
        var event = Self.event("takeover: order")
        let step = TakeoverPhases.Step(after: 12_000, count: 1_051)
        for phases in [
            TakeoverPhases(orderedAt: 1_700_000_000_000_000, claim: 300),
            TakeoverPhases(
                orderedAt: 1_700_000_000_000_000, claim: 300, open: 400, isStillDark: true,
                firstPacket: 2_000, timers: step, windows: step, end: 7),
        ] {
            event.takeover = phases
            #expect(HistoryEvent(line: event.line) == event)
        }
        let line = event.line
        #expect(HistoryEvent(line: line + ",1") == nil)
        #expect(HistoryEvent(line: line.replacing(",400,", with: ",x,")) == nil)
        #expect(HistoryEvent(line: line.replacing(",400,", with: ",\(UInt64.max),")) == nil)
    }

    @Test(
        arguments: [
            "", "1", "x\t1\tstate\tbad\tslave\t-\t-\tt", "1\t1\tnone\tbad\tslave\t-\t-\tt",
            "1\t1\tstate\tworse\tslave\t-\t-\tt", "1\t1\tstate\tbad\tking\t-\t-\tt",
            "1\t1\tstate\tbad\tslave\t-\t-\tt\tu",
            "\(UInt64.max)\t1\tstate\tbad\tslave\t-\t-\tt",
            "1\t\(UInt64.max)\tstate\tbad\tslave\t-\t-\tt",
        ]) func whatIsNoEventIsNone(_ line: String)
    {
        #expect(HistoryEvent(line: line) == nil)
    }

    @Test func aHundredAreKeptAndOutliveTheDaemon() throws {
        let scratch = ScratchDirectory()
        let path = scratch.path + "/state"
        var history = History(controlFile: path)
        #expect(history.events.isEmpty)
        for number in 1...130 { history.add(Self.event("event \(number)")) }
        try TextFile.replace(history.path, with: history.text)
        let next = History(controlFile: path)
        #expect(next.events == history.events)
        #expect(next.events.count == 100)
        #expect(next.events.first?.text == "event 31" && next.events.last?.number == 130)
        // The numbers go on.
        var third = next
        #expect(third.add(Self.event("more")).number == 131)
        // A line that is none does no harm.
        try "nonsense\n\(Self.event("good").line)\n".write(
            toFile: path + History.suffix, atomically: true, encoding: .utf8)
        #expect(History(controlFile: path).events.map(\.text) == ["good"])
    }

    @Test func theLongestHundredFit() throws {
        let scratch = ScratchDirectory()
        let path = scratch.path + "/state"
        var history = History(controlFile: path)
        for _ in 0..<100 { history.add(Self.event(String(repeating: "x", count: 5_000))) }
        try TextFile.replace(history.path, with: history.text)
        #expect(History(controlFile: path).events.count == 100)
    }
}
