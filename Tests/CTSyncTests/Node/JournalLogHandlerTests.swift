// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Logging
import Testing

@testable import CTSync

@Suite struct JournalLogHandlerTests {
    private func lines(forJournal: Bool, _ body: (inout Logger) -> Void) -> String {
        var ends: [CInt] = [0, 0]
        precondition(pipe(&ends) == 0)
        var handler = JournalLogHandler(level: .debug, forJournal: forJournal, descriptor: ends[1])
        handler[metadataKey: "node"] = "3"
        var logger = Logger(label: "test") { _ in handler }
        body(&logger)
        close(ends[1])
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(ends[0], &bytes, bytes.count)
        close(ends[0])
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    @Test func theJournalGetsItsPriorities() {
        let text = lines(forJournal: true) { logger in
            logger.trace("not shown")
            logger.debug("a")
            logger.info("b")
            logger.notice("c")
            logger.warning("d", metadata: ["b": "2", "a": "1"])
            logger.error("e\n<0>f")
            logger.critical("g", metadata: ["node": "4"])
        }
        #expect(
            text == """
                <7>a node=3
                <6>b node=3
                <5>c node=3
                <4>d a=1 b=2 node=3
                <3>e <0>f node=3
                <2>g node=4

                """)
    }

    @Test func aTerminalGetsTheTimeAndTheLevel() throws {
        let text = lines(forJournal: false) { $0.warning("low on memory") }
        let form = #/\d\d:\d\d:\d\d\.\d\d\d ct_sync: warning: low on memory node=3\n/#
        #expect(try form.wholeMatch(in: text) != nil, "\(text)")
    }
}
