// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct SpellingTests {
    @Test(
        arguments: [
            ("status", "status", 0), ("statsu", "status", 1), ("stats", "status", 1),
            ("sttauts", "status", 2), ("", "ab", 2), ("ab", "", 2), ("abc", "xyz", 3),
        ]) func slipsAreCounted(_ left: String, _ right: String, _ count: Int)
    {
        #expect(Spelling.slips(Array(left.utf8), Array(right.utf8)) == count)
    }

    @Test func theNearestWordIsFoundIfThereIsANearOne() {
        let words = ["status", "promote", "demote", "dump", "help"]
        #expect(Spelling.nearest(to: "statsu", among: words) == "status")
        #expect(Spelling.nearest(to: "remote", among: words) == "demote")
        #expect(Spelling.nearest(to: "hlep", among: words) == "help")
        #expect(Spelling.nearest(to: "hxyp", among: words) == nil)
        #expect(Spelling.nearest(to: "nonsense", among: words) == nil)
        #expect(Spelling.nearest(to: String(repeating: "x", count: 9_999), among: words) == nil)
        #expect(Spelling.nearest(to: "status", among: []) == nil)
    }
}
