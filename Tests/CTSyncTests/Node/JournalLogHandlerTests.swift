// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc
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

    /// A line with fields goes to the journal's own socket, and to standard error if that is not there.
    @Test func fieldsGoToTheJournal() throws {
        let scratch = ScratchDirectory()
        let path = scratch.path + "/journal"
        let raw = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(raw) }
        #expect(ControlSocket.withAddress(path) { bind(raw, $0, $1) } == 0)
        var ends: [CInt] = [0, 0]
        precondition(pipe(&ends) == 0)
        defer { close(ends[0]) }
        func log(_ path: String, forJournal: Bool = true) {
            let handler = JournalLogHandler(
                level: .debug, forJournal: forJournal, descriptor: ends[1],
                journal: JournalSocket(path: path))
            var logger = Logger(label: "test") { _ in handler }
            logger.logLevel = .debug
            logger.warning(
                "node 1\nis silent", metadata: ["MESSAGE_ID": "ab", "CT_SYNC_PEER": "1"])
        }
        log(path)
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = recv(raw, &bytes, bytes.count, CInt(MSG_DONTWAIT))
        #expect(
            String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == """
                MESSAGE=node 1 is silent
                PRIORITY=4
                SYSLOG_IDENTIFIER=ct_sync
                CT_SYNC_PEER=1
                MESSAGE_ID=ab

                """)
        log(path + ".none")
        close(ends[1])
        let written = read(ends[0], &bytes, bytes.count)
        #expect(
            String(decoding: bytes.prefix(max(0, written)), as: UTF8.self)
                == "<4>node 1 is silent\n")
    }
}
