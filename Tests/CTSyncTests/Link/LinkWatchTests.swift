// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct LinkWatchTests {
    /// Bytes that end too early are a reason to look, and nothing else.
    @Test func shortMessagesNameNoDevice() {
        // RTM_DELLINK of device 7, 32 bytes.
        let message: [UInt8] =
            [32, 0, 0, 0, 17, 0] + [UInt8](repeating: 0, count: 10)
            + [0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        for count in 0..<message.count {
            var news = LinkWatch.News()
            LinkWatch.read(message.span.bytes.extracting(first: count), into: &news)
            #expect(news.removed.isEmpty)
        }
        var news = LinkWatch.News()
        LinkWatch.read(message.span.bytes, into: &news)
        #expect(news.removed == [7])
        var short = message
        short[0] = 24
        news = LinkWatch.News()
        LinkWatch.read(short.span.bytes.extracting(first: 24), into: &news)
        #expect(news.removed.isEmpty)
    }
}
