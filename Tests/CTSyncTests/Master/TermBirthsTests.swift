// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What is known of when connections began in a term.
@Suite struct TermBirthsTests {
    private let births = TermBirths()
    private let key = SampleEntries.plain[0].key
    private let other = SampleEntries.plain[1].key

    @Test func whatBeganIsKnownAndWhatDidNot() {
        births.begin()
        births.insert(key)
        #expect(births.began(key) == true && births.began(other) == false)
        births.end()
        #expect(births.began(key) == true && births.began(other) == nil)
    }

    /// Events were lost: what is not recorded may have begun with one of them, until the next term.
    @Test func whatIsLostLeavesItOpen() {
        births.begin()
        births.insert(key)
        births.missed()
        #expect(births.isRecording)
        #expect(births.began(key) == true && births.began(other) == nil)
        births.begin()
        #expect(births.began(key) == false && births.began(other) == false)
    }
}
