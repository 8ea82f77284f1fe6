// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Testing

@testable import CTSync

/// The pages that only the start needed are given back once, and nothing is lost with them.
@Suite struct StartPagesTests {
    /// Not zero in the file: it stands where what is written stays in the process.
    nonisolated(unsafe) private static var written: [UInt64] = [1, 2, 3]
    private static let text = "a constant of more than fifteen bytes"

    @Test func theyAreGivenBackOnce() {
        var pages = StartPages(now: 5)
        let looks = [StartPages.delay - 1, StartPages.delay, StartPages.delay + 1].map {
            pages.look(now: 5 + $0)
        }
        #expect(looks == [false, true, false])
    }

    /// What was written and what was relocated would be as in the file again, and no function of the
    /// runtime would be found any more.
    @Test func whatIsWrittenStays() {
        Self.written = [7, 8]
        for _ in 0..<3 {
            // All of the program's code, at least.
            #expect(ctsync_drop_start_pages() > 1 << 20)
            #expect(Self.written == [7, 8] && Self.text.count == 37)
            #expect("\([Self.text: SystemError("call", errno: 2)])".contains("call"))
        }
    }

    @Test func zeroedMemoryIsZero() {
        let numbers = UnsafeMutablePointer<UInt64>.zeroed(count: 100_000)
        defer { numbers.deallocate() }
        #expect((0..<100_000).allSatisfy { numbers[$0] == 0 })
        numbers[99_999] = 1
    }
}
