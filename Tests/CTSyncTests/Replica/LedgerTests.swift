// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What an initsync confirms, and what it may not bring back.
@Suite struct LedgerTests {
    /// In a class, as the testing macros want what they look at unchanged.
    private final class Bench {
        private var ledger: Ledger

        init(tombstones: Int = 4) throws { ledger = try Ledger(tombstones: tombstones) }

        func begin() { ledger.begin() }
        func lose() { ledger.lose() }
        func end(_ isComplete: Bool) -> Ledger.Verdict { ledger.end(isComplete: isComplete) }
        func bury(_ fingerprint: UInt64) -> Bool { ledger.bury(fingerprint) }
        func isBuried(_ fingerprint: UInt64) -> Bool { ledger.isBuried(fingerprint) }
        func word(_ voice: Ledger.Voice) -> Ledger.Word { ledger.word(voice) }
        func isConfirmed(_ word: Ledger.Word) -> Bool { ledger.isConfirmed(word) }
        func mayCopySpeak(after word: Ledger.Word) -> Bool { ledger.mayCopySpeak(after: word) }
        func faults() -> [String] {
            var faults: [String] = []
            ledger.assertValid { faults.append($0) }
            return faults
        }
    }

    @Test func whatTheLiveStreamSaysBeatsACopyWhileAnInitsyncRuns() throws {
        let bench = try Bench()
        let before = bench.word(.live)
        bench.begin()
        #expect(bench.mayCopySpeak(after: before))
        #expect(!bench.mayCopySpeak(after: bench.word(.live)))
        #expect(bench.mayCopySpeak(after: bench.word(.copy)))
        let word = bench.word(.live)
        bench.lose()
        #expect(!bench.mayCopySpeak(after: word))
        _ = bench.end(true)
        bench.begin()
        #expect(bench.mayCopySpeak(after: word))
    }

    /// The walk began when packets were lost last, or before the stream was heard.
    @Test func soItDoesIfTheBeginWasNotReceived() throws {
        let bench = try Bench()
        let before = bench.word(.live)
        #expect(!bench.mayCopySpeak(after: before))
        bench.lose()
        #expect(bench.mayCopySpeak(after: before))
        #expect(!bench.mayCopySpeak(after: bench.word(.live)))
        #expect(bench.isConfirmed(bench.word(.copy)))
    }

    @Test func theKernelConfirmsNothing() throws {
        let bench = try Bench()
        bench.begin()
        let words = [Ledger.Voice.live, .copy, .kernel].map { bench.word($0) }
        #expect(words.map { bench.isConfirmed($0) } == [true, true, false])
        bench.begin()
        #expect(words.map { bench.isConfirmed($0) } == [false, false, false])
    }

    @Test func onlyACompleteInitsyncPurges() throws {
        let bench = try Bench()
        for (isComplete, verdict) in [(true, Ledger.Verdict.purges), (false, .confirms)] {
            bench.begin()
            #expect(bench.end(isComplete) == verdict)
        }
    }

    @Test func tombstonesAreBoundedAndGoWithTheInitsync() throws {
        let bench = try Bench(tombstones: 4)
        bench.begin()
        // Zero is a fingerprint as well, and the same twice is one.
        for fingerprint in [0, 5, 5, 1 << 63, 13] as [UInt64] { #expect(bench.bury(fingerprint)) }
        #expect(!bench.bury(21))
        #expect(bench.bury(13))
        let all: [UInt64] = [0, 5, 1 << 63, 13, 21]
        #expect(all.map { bench.isBuried($0) } == [true, true, true, true, false])
        #expect(bench.faults().isEmpty)
        _ = bench.end(true)
        #expect(all.allSatisfy { !bench.isBuried($0) })
        bench.begin()
        #expect(bench.bury(21) && bench.isBuried(21))
        bench.begin()
        #expect(!bench.isBuried(21) && bench.faults().isEmpty)
    }
}
