// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What is said of what changes from one report to the next.
@Suite struct ChronicleTests {
    /// A node that is looked at now and then.
    private struct Bench {
        var chronicle = Chronicle()
        var now: Instant = 1_000 * Duration.second
        /// When it took its role.
        var roleSince: Instant = 0

        /// What is said after so many seconds.
        mutating func look(_ report: NodeReport, after seconds: Double = 0) -> [String] {
            now += UInt64(seconds * 1e9)
            var report = report
            report.roleAge = now - roleSince
            return chronicle.take(report, now: now).map(\.text)
        }

        /// One that has said nothing yet; or what it says of a first report is dropped.
        init(_ first: NodeReport? = nil) {
            if let first { _ = look(first) }
        }
    }

    @Test func aSlaveThatStarts() {
        var bench = Bench()
        bench.roleSince = bench.now
        #expect(
            bench.look(SampleReport.slave(.noMaster)) == ["SLAVE: started"])
        // What each start goes through is not said, but for its end.
        #expect(
            bench.look(SampleReport.slave(.initsync), after: 0.5)
                == ["master 1 (172.31.255.1) is heard"])
        #expect(
            bench.look(SampleReport.slave, after: 0.4)
                == ["SLAVE of node 1, in sync after 900 ms (an initsync is asked for)"])
    }

    /// The link's thread noted the transition, and the report was made before it said so.
    @Test func aTransitionThatIsToldAfterALaterReport() {
        var bench = Bench(SampleReport.slave)
        #expect(
            bench.look(SampleReport.slave(.silent), after: 5)
                == ["SLAVE, NOT IN SYNC: node 1 is silent"])
        bench.now -= 1_000
        #expect(bench.look(SampleReport.slave(.silent)) == [])
        #expect(bench.look(SampleReport.slave).count == 1)
    }

    @Test func aConditionIsSaidAtOnceAndThenLessAndLess() {
        var bench = Bench(SampleReport.slave)
        #expect(
            bench.look(SampleReport.slave(.silent), after: 5)
                == ["SLAVE, NOT IN SYNC: node 1 is silent"])
        var said: [Int] = []
        for second in 1...1_300 {
            var report = SampleReport.slave(.silent)
            report.syncAge = UInt64(second) * Duration.second
            let texts = bench.look(report, after: 1)
            if !texts.isEmpty {
                said.append(second)
                #expect(
                    texts == [
                        "SLAVE, NOT IN SYNC for \(Words.time(report.syncAge)): node 1 is silent"
                    ])
            }
        }
        #expect(said == [10, 60, 600])
        #expect(
            bench.look(SampleReport.slave, after: 1)
                == ["SLAVE of node 1, in sync again after 21 min (node 1 is silent)"])
        #expect(bench.look(SampleReport.slave, after: 1).isEmpty)
    }

    /// Another reason is another sentence, and the time goes on.
    @Test func anotherReasonIsSaid() {
        var bench = Bench(SampleReport.slave)
        _ = bench.look(SampleReport.slave(.silent), after: 5)
        var cable = SampleReport.slave(.silent)
        cable.link.hasCarrier = false
        cable.syncAge = 2 * Duration.second
        #expect(
            bench.look(cable, after: 2) == [
                "eth2 has no carrier", "SLAVE, NOT IN SYNC for 2 s: eth2 has no carrier",
            ])
        #expect(
            bench.look(SampleReport.slave, after: 3) == [
                "eth2 has carrier again",
                "SLAVE of node 1, in sync again after 5 s (eth2 has no carrier)",
            ])
    }

    /// A node hears something each second that it can make nothing of.
    @Test func reasonsThatComeInTurnAreSaidLessAndLess() {
        var bench = Bench(SampleReport.slave)
        _ = bench.look(SampleReport.slave(.silent), after: 5)
        var said: [String: [Int]] = [:]
        for second in 1...900 {
            for reason in [SlaveProtocol.OutOfSync.initsync, .silent] {
                for text in bench.look(SampleReport.slave(reason), after: 0.5) {
                    said[text.split(separator: ": ").last.map(String.init) ?? "", default: []]
                        .append(second)
                }
            }
        }
        #expect(said["an initsync is asked for"]?.count ?? 0 <= 7)
        #expect(said["node 1 is silent"]?.count ?? 0 <= 7)
        #expect(said["an initsync is asked for"]?.first == 1)
        // Whoever looks later is told that it still is so.
        #expect(said.values.joined().contains { $0 > 600 })
        #expect(bench.look(SampleReport.slave, after: 1).count == 1)
    }

    /// A transition is told with a report of its instant, which has no age of the reason yet.
    @Test func anotherReasonHasTheAgeOfTheFirst() {
        var bench = Bench(SampleReport.slave)
        _ = bench.look(SampleReport.slave(.silent), after: 5)
        var past = SampleReport.slave(.kernelChanged)
        past.syncAge = 0
        let sentence = "somebody else has changed this kernel's table; it is put right"
        #expect(bench.look(past, after: 3) == ["SLAVE, NOT IN SYNC for 3 s: \(sentence)"])
    }

    /// A lossy link does not fill the journal.
    @Test func whatIsRepairedAtOnceIsNotSaid() {
        var bench = Bench(SampleReport.slave)
        for _ in 0..<100 {
            #expect(bench.look(SampleReport.slave(.gap), after: 0.3).isEmpty)
            #expect(bench.look(SampleReport.slave, after: 0.1).isEmpty)
        }
        #expect(bench.look(SampleReport.slave(.gap), after: 1).isEmpty)
        var report = SampleReport.slave(.gap)
        report.syncAge = Duration.second
        #expect(
            bench.look(report, after: 1) == [
                "SLAVE, NOT IN SYNC for 1 s: packets are missing and asked for again"
            ])
        #expect(bench.look(SampleReport.slave, after: 1).count == 1)
    }

    @Test func aTakeover() {
        var bench = Bench(SampleReport.slave)
        bench.now += 60 * Duration.second
        bench.roleSince = bench.now
        var alone = SampleReport.alone
        alone.roleCause = "ordered"
        alone.epoch = 7
        alone.peers = []
        #expect(
            bench.look(alone) == [
                "MASTER, promoted in 0.4 ms, epoch 7 after 17 min as slave: ordered",
                "the node is open",
            ])
        // A master hears from its slaves after a second or two: that is usual.
        #expect(bench.look(alone, after: 1).isEmpty)
        #expect(
            bench.look(SampleReport.master, after: 1) == [
                "slave 2 (172.31.255.2) is heard", "slave 2 (172.31.255.2) is in sync",
                "MASTER, 1 of 1 slaves could take over now after 2 s (no slave could take over)",
            ])
        // It is slave and master again between two looks.
        bench.roleSince = bench.now + Duration.second
        #expect(bench.look(SampleReport.master, after: 2).first?.hasPrefix("MASTER, ") == true)
    }

    @Test func aMasterThatStaysAlone() {
        var bench = Bench(SampleReport.master)
        var alone = SampleReport.alone
        alone.aloneAge = 0
        #expect(
            bench.look(alone, after: 60) == [
                "slave 2 (172.31.255.2) is silent", "MASTER, ALONE: no slave could take over",
            ])
        #expect(bench.look(alone, after: 1).isEmpty)
        #expect(bench.look(alone, after: 9) == ["MASTER, ALONE for 10 s: no slave could take over"])
    }

    @Test func remarksBeginAndEnd() {
        var bench = Bench(SampleReport.slave)
        var apart = SampleReport.slave
        apart.peers[0].clockOffsetMicroseconds = 5_000_000
        #expect(bench.look(apart, after: 1) == ["this node's clock is 5 s ahead of node 1's"])
        apart.peers[0].clockOffsetMicroseconds = 6_000_000
        #expect(bench.look(apart, after: 1).isEmpty)
        #expect(
            bench.look(apart, after: 9)
                == ["for 10 s: this node's clock is 6 s ahead of node 1's"])
        #expect(
            bench.look(SampleReport.slave, after: 1)
                == ["over after 11 s: this node's clock is 5 s ahead of node 1's"])
    }

    @Test func darkAndOpen() {
        var bench = Bench(SampleReport.slave)
        var open = SampleReport.slave
        open.l2drop.isOn = false
        #expect(bench.look(open, after: 1) == ["the node is open, by hand"])
        #expect(bench.look(SampleReport.slave, after: 1) == ["the node is dark, by netdev"])
    }

    /// The key that is read again, and who speaks with another one: once, and when it is over.
    @Test func keys() {
        var chronicle = Chronicle()
        var now: Instant = 1_000_000 * Duration.second
        func look(_ report: NodeReport, after seconds: UInt64) -> [HistoryEvent] {
            now += seconds * Duration.second
            var report = report
            report.roleAge += now
            return chronicle.take(report, now: now)
        }
        _ = look(SampleReport.slave, after: 0)
        var other = SampleReport.slave
        other.seal.strangers = [SampleReport.stranger()]
        let sentence = "node 3 at 0.0.0.0 speaks with another key"
        let begin = look(other, after: 1)
        #expect(begin.map(\.text) == [sentence] && begin.map(\.kind) == [.key])
        #expect(begin.first?.isBad == true && begin.first?.peerID == 3)
        #expect(begin.first?.reason == "another_key")
        for seconds: UInt64 in [1, 10, 60] { #expect(look(other, after: seconds).isEmpty) }
        let end = look(SampleReport.slave, after: 5)
        #expect(end.map(\.text) == ["over after 76 s: \(sentence)"])
        #expect(end.first?.isBad == false)
        var again = SampleReport.slave
        again.seal.readings = (1, "key file /k: 1 key; key-mode strict")
        let read = look(again, after: 1)
        #expect(read.map(\.text) == ["read again: key file /k: 1 key; key-mode strict"])
        #expect(look(again, after: 1).isEmpty)
    }

    /// Somebody pretends to be a hundred nodes: the history keeps what else it had.
    @Test func manyStrangersAreNotAllTold() {
        var bench = Bench(SampleReport.slave)
        var said = 0
        for id in UInt8(10)..<110 {
            var report = SampleReport.slave
            report.seal.strangers = [SampleReport.stranger(id)]
            said += bench.look(report, after: 0.5).count
        }
        #expect(said == 2 * Chronicle.strangersAMinute)
    }

    @Test func eventsCarryWhatCanBeSearchedFor() {
        var chronicle = Chronicle()
        let now: Instant = 1_000_000 * Duration.second
        _ = chronicle.take(SampleReport.slave, now: now)
        var report = SampleReport.slave(.silent)
        report.roleAge += 5 * Duration.second
        let events = chronicle.take(report, now: now + 5 * Duration.second)
        #expect(events.map(\.kind) == [.state])
        #expect(events.first?.reason == "master_silent" && events.first?.isBad == true)
        #expect(events.first?.role == .slave)
        let ids = Set(HistoryEvent.Kind.allCases.map(\.messageID))
        #expect(ids.count == HistoryEvent.Kind.allCases.count)
        #expect(ids.allSatisfy { $0.count == 32 && $0.allSatisfy(\.isHexDigit) })
    }

    @Test func transitionsBetweenTwoLooksAreKept() {
        var transitions = SyncTransitions()
        #expect(transitions.since(0).isEmpty)
        for number in 0..<20 {
            transitions.note(number % 2 == 0 ? .silent : nil, at: Instant(number))
        }
        #expect(transitions.since(18).map(\.at) == [18, 19])
        #expect(transitions.since(0).map(\.at) == Array(12..<20))
        #expect(transitions.since(20).isEmpty)
    }
}
