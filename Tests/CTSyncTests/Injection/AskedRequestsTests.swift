// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// Which request an answer belongs to.
@Suite struct AskedRequestsTests {
    /// In a class, as the testing macros want what they look at unchanged.
    private final class Bench {
        private var asked: AskedRequests<InjectOperation>

        init() throws { asked = try AskedRequests() }

        var tag: UInt32 { asked.tag }
        var isFull: Bool { asked.isFull }
        func append(_ place: UInt32) -> UInt32 {
            defer { asked.append(.create, place) }
            return asked.tag
        }
        func refused(_ tag: UInt32, _ errno: CInt) { asked.refused(tag, errno) }
        func removeAll() { asked.removeAll() }
        /// The places that were refused, with errno.
        var refusals: [UInt32: CInt] {
            var refusals: [UInt32: CInt] = [:]
            for index in 0..<asked.count where asked[index].errno != 0 {
                refusals[asked[index].place] = asked[index].errno
            }
            return refusals
        }
    }

    @Test func anAnswerIsThatOfItsOwnBatch() throws {
        let bench = try Bench()
        let early = (7..<10).map { bench.append($0) }
        bench.refused(early[1], EEXIST)
        #expect(bench.refusals == [8: EEXIST])
        bench.removeAll()
        let late = (20..<22).map { bench.append($0) }
        // The rest of what the kernel said to the first batch, and of what nobody asked.
        for tag in early { bench.refused(tag, ENOMEM) }
        bench.refused(bench.tag, ENOMEM)
        #expect(bench.refusals.isEmpty)
        bench.refused(late[0], ENOENT)
        #expect(bench.refusals == [20: ENOENT])
    }

    @Test func aBatchIsBounded() throws {
        let bench = try Bench()
        for place in 0..<UInt32(AskedRequests<InjectOperation>.limit) {
            #expect(!bench.isFull)
            bench.refused(bench.append(place), EBUSY)
        }
        #expect(bench.isFull)
        #expect(bench.refusals.count == AskedRequests<InjectOperation>.limit)
    }
}
