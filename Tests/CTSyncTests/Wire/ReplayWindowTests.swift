// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct ReplayWindowTests {
    /// A window with its memory.
    private final class Window {
        private let words: UnsafeMutablePointer<UInt64>
        private var window: ReplayWindow

        init(_ wordCount: Int, after: UInt64) {
            words = .allocate(capacity: wordCount)
            words.initialize(repeating: .max, count: wordCount)
            window = ReplayWindow(words, wordCount: wordCount, after: after)
        }

        deinit { words.deallocate() }

        var newest: UInt64 { window.newest }
        func isNew(_ counter: UInt64) -> Bool { window.isNew(counter) }
        func take(_ counter: UInt64) -> Bool { window.take(counter) }
    }

    @Test func eachCounterComesOnce() {
        let window = Window(4, after: 10)
        do {
            let reach = ReplayWindow.reach(wordCount: 4)
            #expect(reach == 192)
            for old in [0, 1, 9, 10] as [UInt64] { #expect(!window.isNew(old)) }
            #expect(window.take(12) && window.take(11))
            #expect(!window.take(12) && !window.take(11) && !window.take(10))
            // The window moves: what it reaches is new once, what is older never.
            #expect(window.take(12 + reach))
            #expect(!window.take(12) && window.take(13) && !window.take(13))
            #expect(window.take(1_000_000) && window.newest == 1_000_000)
            #expect(!window.isNew(1_000_000 - reach) && window.take(1_000_001 - reach))
            #expect(!window.take(204))
            #expect(window.take(.max) && !window.take(.max) && window.take(.max - 1))
        }
    }

    /// Against a set of everything that has come.
    @Test func aModelSaysTheSame() {
        let chance = Chance(seed: 4)
        for _ in 0..<50 {
            let wordCount = 1 << (1 + chance.below(4))
            let start = UInt64(chance.below(500))
            let window = Window(wordCount, after: start)
            do {
                var came: Set<UInt64> = []
                var newest = start
                let reach = ReplayWindow.reach(wordCount: wordCount)
                for _ in 0..<4_000 {
                    let span = chance.happens(20) ? 5_000 : Int(reach) + 40
                    let counter = newest &+ UInt64(chance.below(span)) &- UInt64(span / 2)
                    guard counter < 1 << 62 else { continue }
                    let isOld = counter <= start || newest >= reach && counter <= newest - reach
                    let expected = !isOld && !came.contains(counter)
                    #expect(window.isNew(counter) == expected)
                    #expect(window.take(counter) == expected)
                    came.insert(counter)
                    if expected { newest = max(newest, counter) }
                    #expect(window.newest == newest)
                }
            }
        }
    }
}
